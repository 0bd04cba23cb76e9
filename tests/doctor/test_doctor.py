"""`habitat-webhook doctor` on a real API server: each thing that can be wrong, and what --fix does about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from tests.cli.running import run, template
from tests.controlplane.client import Cluster, wait_for
from tests.demo.server import Webhook, development_certificates
from tests.support.ring_on_server import Place
from tests.support.ring_pods import injected_pod
from tests.support.webhook_config import registration
from webhook import __version__
from webhook.doctor.findings import Trouble
from webhook.doctor.fix import RESTARTED
from webhook.kube.client import ApiError, Client
from webhook.options import INJECTED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    directory = tmp_path_factory.mktemp("doctor")
    made = Webhook(directory, "127.0.0.1", certificates=development_certificates(directory, "127.0.0.1"))
    try:
        made.start(lambda: None)
        made.wait_ready(lambda: None)
        yield made
    finally:
        made.stop()


class Ward:
    """A namespace that is enabled, and its webhook, which is not called before `open`."""

    def __init__(self, cluster: Cluster, namespace: str, webhook: Webhook) -> None:
        self.cluster, self.namespace, self.webhook = cluster, namespace, webhook
        self.place = Place(cluster, namespace)

    def register(self, url: str) -> None:
        body = registration(url, self.webhook.ca, name=self.name, failure_policy="Ignore", namespaces=[self.namespace])
        self.cluster.apply(json.dumps(body))

    @property
    def name(self) -> str:
        return f"doctor-{self.namespace}"

    def open(self) -> None:
        self.register(self.webhook.url)
        probe = {"metadata": {"name": "probe", **template()["metadata"]}, "spec": template()["spec"]}
        path = f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All"
        wait_for("the webhook to be called", lambda: INJECTED in str(self.cluster.request("POST", path, probe)[1]))

    def deployment(self, name: str, kind: str = "Deployment", /, replicas: int = 2, **spec: Any) -> dict[str, Any]:
        made = template(name, discovery="none")
        body = {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": made, **spec},
        }
        if kind != "DaemonSet":
            body["spec"]["replicas"] = replicas
        if kind == "StatefulSet":
            body["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        self.cluster.apply(json.dumps(body))
        return body

    def pods(self, app: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.cluster.get("pods", "-n", self.namespace, "-l", f"app={app}")["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def wait_pods(self, app: str, count: int) -> None:
        wait_for(f"{count} pods of {app}", lambda: len(self.pods(app)) == count or None)

    def pod(self, name: str, record: dict[str, Any] | None = None, **annotations: str) -> None:
        """An injected pod; record: other values of its record."""
        made = injected_pod(name, self.namespace, discovery="none", **annotations)
        said = json.loads(made["metadata"]["annotations"][INJECTED]) | (record or {})
        made["metadata"]["annotations"][INJECTED] = json.dumps(said)
        self.place.create(made, "pods")

    def doctor(self, *options: str, stdin: str | None = None) -> Result:
        return run("doctor", "--kubeconfig", self.cluster.kubeconfig, "-n", self.namespace, *options, stdin=stdin)

    def said(self, *options: str) -> dict[str, Any]:
        return dict(json.loads(self.doctor("-o", "json", *options).stdout))

    def codes(self) -> list[tuple[str, str]]:
        return [(f["code"], f["object"]) for f in self.said()["findings"]]


@pytest.fixture
def ward(cluster: Cluster, webhook: Webhook) -> Iterator[Ward]:
    with cluster.namespace(labels={"habitat.sh/injection": "enabled"}) as namespace:
        made = Ward(cluster, namespace, webhook)
        try:
            made.register("https://127.0.0.1:1")  # nobody is there, so that pods slip through
            yield made
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration", made.name, "--ignore-not-found")


def test_where_nothing_is_wrong(ward: Ward) -> None:
    ward.open()
    ward.deployment("web")
    ward.wait_pods("web", 2)
    ward.cluster.kubectl("run", "other", "--image=x", "-n", ward.namespace)
    result = ward.doctor()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "3 pods, 2 workloads: nothing is wrong"
    assert ward.said()["ok"] is True


def test_pods_that_slipped_through_are_found_and_their_workloads_restarted(ward: Ward) -> None:
    ward.deployment("web")
    ward.deployment("db", "StatefulSet")
    ward.wait_pods("web", 2)
    ward.wait_pods("db", 2)
    ward.open()
    result = ward.doctor()
    assert result.exit_code == 1
    assert "StatefulSet/db in namespace" in result.stdout
    assert "2 pods (db-0, db-1): not injected" in result.stdout
    assert result.stdout.endswith("4 pods, 3 workloads: 2 errors\n")
    assert RESTARTED not in str(ward.cluster.get("deployments,statefulsets", "-n", ward.namespace))

    fixed = ward.doctor("--fix")
    assert fixed.exit_code == 0, fixed.stdout
    assert sorted(fixed.stdout.splitlines()[-2:]) == [
        f"restarted Deployment/web in namespace {ward.namespace}",
        f"restarted StatefulSet/db in namespace {ward.namespace}",
    ]
    for app in ("web", "db"):
        wait_for(
            f"the new pods of {app}",
            lambda app=app: (len(p := ward.pods(app)) == 2 and all(INJECTED in str(pod) for pod in p)) or None,
        )
    assert wait_for("doctor to find nothing", lambda: ward.doctor().exit_code == 0)


def test_who_cannot_be_restarted_is_named(ward: Ward) -> None:
    ward.deployment("paused", paused=False)
    ward.deployment("manual", "StatefulSet", 1, updateStrategy={"type": "OnDelete"})
    job = {"metadata": {"name": "once"}, "spec": {"template": template("once", discovery="none")}}
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    status, answer = ward.cluster.request("POST", f"/apis/batch/v1/namespaces/{ward.namespace}/jobs", job)
    assert status == 201, answer
    bare = {"metadata": {"name": "bare", **template("bare", discovery="none")["metadata"]}, "spec": template()["spec"]}
    ward.place.create(bare, "pods")
    ward.wait_pods("paused", 2)
    ward.wait_pods("manual", 1)
    wait_for("the job's pod", lambda: ward.pods("once"))
    ward.cluster.kubectl("rollout", "pause", "deployment/paused", "-n", ward.namespace)
    left = {each["name"]: each["why"] for each in ward.said("--fix")["notRestarted"]}
    assert left.keys() >= {"paused", "manual", "bare"}
    assert left["paused"] == "it is paused: kubectl rollout resume"
    assert left["manual"] == "its update strategy is OnDelete: delete its pods yourself"
    assert left["bare"] == "nobody makes it again: delete it, and create it anew"
    assert left.get("once") in (None, "a Job is not restarted: its next pods come out right")
    result = ward.doctor("--fix")
    assert result.exit_code == 1
    assert f"not restarted: Deployment/paused in namespace {ward.namespace}: it is paused" in result.stdout


def test_who_may_not_patch_is_told_and_nothing_is_lost(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.deployment("web")
    ward.deployment("db", "StatefulSet")
    ward.wait_pods("web", 2)
    ward.wait_pods("db", 2)

    def patched(client: Client, path: str, body: Any, **options: Any) -> Any:
        if path.endswith("/db"):
            raise ApiError(403, "Forbidden", "not yours", call=f"PATCH {path}")
        return real(client, path, body, **options)

    real = Client.patch
    monkeypatch.setattr(Client, "patch", patched)
    said = ward.said("--fix")
    assert [target["name"] for target in said["restarted"]] == ["web"]
    assert [
        (target["name"], target["why"].endswith("403 Forbidden: not yours")) for target in said["notRestarted"]
    ] == [("db", True)]
    assert said["ok"] is False


def test_on_a_terminal_it_asks_before(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.deployment("web")
    ward.wait_pods("web", 2)
    monkeypatch.setattr("webhook.cli.doctor.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    refused = ward.doctor("--fix", stdin="n\n")
    assert refused.exit_code == 1
    assert "Restart this 1? [y/N]" in refused.stderr
    assert f"not restarted: Deployment/web in namespace {ward.namespace}: you said no" in refused.stdout
    assert RESTARTED not in str(ward.cluster.get("deployment", "web", "-n", ward.namespace))
    assert "restarted Deployment/web" in ward.doctor("--fix", "--yes").stdout
    assert RESTARTED in str(ward.cluster.get("deployment", "web", "-n", ward.namespace))


def test_injections_that_are_not_as_they_would_be_today(ward: Ward) -> None:
    ward.pod("same")
    ward.pod("older", {"version": "0.0.9"})
    ward.pod("stale", {"digest": "0123456789abcdef"})
    found = {f["object"]: f for f in ward.said()["findings"]}
    assert {name: f["code"] for name, f in found.items()} == {"Pod/older": "OtherVersion", "Pod/stale": "Stale"}
    assert found["Pod/older"]["message"] == f"injected by version 0.0.9, version {__version__} runs"
    assert found["Pod/older"]["severity"] == "note"


def test_a_note_is_nothing_wrong(ward: Ward) -> None:
    ward.pod("older", {"version": "0.0.9"})
    result = ward.doctor()
    assert result.exit_code == 0
    assert result.stdout.endswith("1 pod, 0 workloads: 1 note\n")


def test_pods_whose_peers_were_written_are_not_stale(ward: Ward) -> None:
    pods = ward.place.pods("web-0", "web-1")
    ward.place.tell_everybody(pods)
    ward.place.service()
    assert ward.said()["findings"] == []


def test_a_pod_that_would_be_refused_today(ward: Ward) -> None:
    wrong = template("web", discovery="none", group="a b")
    ward.place.create({"metadata": {"name": "web", **wrong["metadata"]}, "spec": wrong["spec"]}, "pods")
    assert ward.codes() == [("RefusedToday", "Pod/web")]


def test_annotations_that_nobody_reads(ward: Ward) -> None:
    ward.open()
    body = ward.deployment("web", replicas=1)
    body["spec"]["template"]["metadata"]["annotations"]["habitat.sh/chanel"] = "stable"
    body["metadata"]["annotations"] = {"habitat.sh/group": "live"}
    ward.cluster.apply(json.dumps(body))
    bare = template("bare", discovery="none", unheard_of="x")
    ward.place.create({"metadata": {"name": "bare", **bare["metadata"]}, "spec": bare["spec"]}, "pods")
    found = {(f["code"], f["object"]): f["message"] for f in ward.said()["findings"]}
    assert found == {
        ("UnknownAnnotation", "Deployment/web"): (
            "habitat.sh/chanel is unknown and has no effect; did you mean habitat.sh/channel?"
        ),
        ("UnknownAnnotation", "Pod/bare"): "habitat.sh/unheard-of is unknown and has no effect",
        ("MisplacedAnnotation", "Deployment/web"): "habitat.sh/group does nothing in metadata.annotations",
    }


def test_defaults_of_the_namespace_that_nobody_reads(ward: Ward) -> None:
    defaults = ("default.habitat.sh/grop=live", "default.habitat.sh/container=web")
    ward.cluster.kubectl("annotate", "namespace", ward.namespace, *defaults)
    assert [(f["code"], f["object"], f["message"]) for f in ward.said()["findings"]] == [
        (
            "UnknownAnnotation",
            f"Namespace/{ward.namespace}",
            "default.habitat.sh/container has no effect: habitat.sh/container is for one workload",
        ),
        ("UnknownAnnotation", f"Namespace/{ward.namespace}", "default.habitat.sh/grop is unknown"),
    ]


def test_a_default_of_the_namespace_that_has_changed_since(ward: Ward) -> None:
    ward.pod("web")
    assert ward.codes() == []
    ward.cluster.kubectl("annotate", "namespace", ward.namespace, "default.habitat.sh/group=live")
    assert ward.codes() == [("Stale", "Pod/web")]


def test_rings_with_islands(ward: Ward) -> None:
    pods = ward.place.pods("a", "b", "c", "d")
    for one, other in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")):
        ward.place.tell(one, [pods[other]])
    ward.place.service()
    said = ward.said()
    assert said["ok"] is False
    assert [ring["code"] for ring in said["rings"]] == ["Islands"]


def test_a_namespace_that_is_not_there(cluster: Cluster, ward: Ward) -> None:
    result = run("doctor", "--kubeconfig", cluster.kubeconfig, "-n", "nowhere-at-all")
    assert result.exit_code == 2
    assert "there is no namespace nowhere-at-all" in result.stderr


def test_every_finding_is_explained_in_the_documentation() -> None:
    text = PAGE.read_text()
    rows = [f"| {t.code} | {t.severity.value} | {t.meaning} | {t.advice} |" for t in Trouble]
    assert [line for line in text.splitlines() if line in rows] == rows

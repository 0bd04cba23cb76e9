"""What somebody reads who applies a workload: the real kubectl against a real API server; its words are kept.

`pytest tests/advise --update` writes them anew.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.advise.workloads import CASES, LEADER, MISTAKES, SERVICE, workload
from tests.controlplane.client import Cluster
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import VALIDATING, registration
from webhook.advise.cautions import CAUTIONS
from webhook.decide import DOCS_URL
from webhook.problems import WARNING_LIMIT

TEXTS = Path(__file__).parent / "texts"
NOT_LABELLED, DISABLED = "not labelled", "disabled"


@dataclass(frozen=True, slots=True)
class Place:
    """The shipped configuration for workloads, acting in three namespaces: by label, as the tests call them."""

    cluster: Cluster
    server: WebhookServer
    namespaces: dict[str, str]

    def kubectl(self, *arguments: str, document: Any = None, where: str = "enabled") -> tuple[int, str]:
        """Exit code, and what is printed, with the namespace's random name taken out."""
        text = None if document is None else json.dumps(document)
        done = self.cluster.run_kubectl(*arguments, "-n", self.namespaces[where], input=text)
        said = (done.stderr + done.stdout).replace(self.namespaces[where], "shop").replace(DOCS_URL, "DOCS")
        return done.returncode, said

    def dry_run(self, document: Any, *, where: str = "enabled") -> tuple[int, str]:
        return self.kubectl("apply", "--dry-run=server", "-f", "-", document=document, where=where)

    def reviews(self) -> float:
        return sum(self.server.metric("workload_reviews_total", result=r) for r in ("denied", "warned", "silent"))


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("advise")
    run = f"r{uuid.uuid4().hex[:8]}"
    label = "habitat.sh/injection"
    with (
        cluster.namespace(labels={"run": run, label: "enabled"}) as enabled,
        cluster.namespace(labels={"run": run}) as unlabelled,
        cluster.namespace(labels={"run": run, label: "disabled"}) as disabled,
        webhook_server(directory, f"--kubeconfig={cluster.kubeconfig}") as server,
    ):
        cluster.wait("serve to be ready", lambda: server.get("/readyz")[0] == 200)
        ca = server.files.ca.read_bytes()
        configuration = registration(server.url, ca, kind=VALIDATING, name=f"habitat-{run}")
        [webhook] = configuration["webhooks"]
        webhook["namespaceSelector"]["matchExpressions"].append({"key": "run", "operator": "In", "values": [run]})
        cluster.apply(json.dumps(configuration))
        made = Place(cluster, server, {"enabled": enabled, NOT_LABELLED: unlabelled, DISABLED: disabled})
        try:
            cluster.wait("the webhook to be called", lambda: made.dry_run(CASES["mistakes"])[0] != 0)
            yield made
        finally:
            cluster.kubectl("delete", "validatingwebhookconfiguration", f"habitat-{run}")


@pytest.fixture(scope="module")
def kept(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the one that is kept under a name."""

    def compare(name: str, text: str) -> None:
        path = TEXTS / f"{name.replace(' ', '-')}.txt"
        if request.config.getoption("--update"):
            TEXTS.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{path.name} is new: run pytest tests/advise --update, and read what it wrote"
        assert text == path.read_text()

    return compare


@pytest.mark.parametrize("name", CASES)
def test_kubectl_says_at_apply_what_is_wrong_and_what_will_surprise(
    place: Place, kept: Callable[[str, str], None], name: str
) -> None:
    code, said = place.dry_run(CASES[name])
    kept(name, said)
    assert (code != 0) is ("is invalid" in said)


def test_a_namespace_that_is_not_labelled_is_warned_about(place: Place, kept: Callable[[str, str], None]) -> None:
    code, said = place.dry_run(workload(), where=NOT_LABELLED)
    assert code == 0
    kept("a namespace without a label", said)


def test_a_mistake_is_no_reason_to_refuse_what_is_not_injected(place: Place) -> None:
    code, said = place.dry_run(CASES["mistakes"], where=NOT_LABELLED)
    assert (code, said.count("Warning:")) == (0, 1)
    before = place.reviews()
    assert place.dry_run(CASES["mistakes"], where=DISABLED) == (0, "deployment.apps/web created (server dry run)\n")
    assert place.reviews() == before, "a disabled namespace is asked about"


# who is asked about


def asked(place: Place, document: Any, *command: str) -> bool:
    """Whether the webhook was asked, once at most."""
    before = place.reviews()
    code, said = place.kubectl(*command, document=document)
    assert code == 0, said
    assert place.reviews() - before in (0, 1)
    return place.reviews() > before


def test_what_nobody_annotated_costs_no_call(place: Place) -> None:
    bare = workload(annotations={})
    del bare["spec"]["template"]["metadata"]["annotations"], bare["metadata"]["annotations"]
    others = workload(annotations={"example.com/a": "b"}, own={"habitat.example.com/c": "d"})
    dry_run = ("apply", "--dry-run=server", "-f", "-")
    for document in (bare, others):
        for kind in ("Deployment", "CronJob"):
            made = workload(kind, {}) if kind == "CronJob" else document
            assert not asked(place, made, *dry_run)
    assert asked(place, workload(annotations={}, own={"habitat.sh/group": "a"}), *dry_run)
    inner = workload("CronJob", {})
    inner["spec"]["jobTemplate"]["metadata"] = {"annotations": SERVICE}
    assert asked(place, inner, *dry_run)


def test_scaling_status_labels_and_the_children_of_a_workload_cost_no_call(place: Place) -> None:
    before = place.reviews()
    place.kubectl("apply", "-f", "-", document=workload(replicas=1))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert place.reviews() == before + 1, "its ReplicaSet or its status was asked about"
    assert not asked(place, None, "scale", "deployment/web", "--replicas=2")
    assert not asked(place, None, "label", "deployment/web", "team=a")
    assert not asked(place, None, "annotate", "deployment/web", "example.com/by=a")
    assert not asked(place, None, "patch", "deployment/web", "-p", '{"metadata": {"finalizers": ["example.com/x"]}}')
    assert asked(place, None, "annotate", "deployment/web", "habitat.sh/group=blue")
    assert not asked(place, None, "annotate", "deployment/web", "example.com/by=b", "--overwrite")
    assert asked(place, None, "set", "image", "deployment/web", "web=another")
    place.kubectl("delete", "deployment", "web", "--wait=false")
    assert not asked(place, None, "patch", "deployment/web", "-p", '{"metadata": {"finalizers": []}}', "--type=merge")


def test_jobs_of_a_cron_job_are_not_asked_about(place: Place) -> None:
    assert asked(place, workload("CronJob"), "apply", "-f", "-")
    job = workload("Job")
    found = place.cluster.get("cronjob", "web", "-n", place.namespaces["enabled"])["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "web", "uid": found["uid"], "controller": True}
    job["metadata"] = {"name": "web-now", "ownerReferences": [owner]}
    assert not asked(place, job, "apply", "-f", "-")
    del job["metadata"]["ownerReferences"]
    job["metadata"]["name"] = "web-by-hand"
    assert asked(place, job, "apply", "-f", "-")


# changes of what is bad already


def test_what_was_bad_before_can_be_changed_and_mended_but_not_made_worse(
    place: Place, kept: Callable[[str, str], None]
) -> None:
    made = workload(annotations=MISTAKES)
    made["metadata"]["name"] = "bad"
    # as one that was there before the webhook: the label comes later
    place.cluster.kubectl("label", "namespace", place.namespaces["enabled"], "habitat.sh/injection-", "--overwrite")
    try:
        place.cluster.wait("nobody to mind", lambda: place.kubectl("apply", "-f", "-", document=made)[0] == 0)
    finally:
        label = ("habitat.sh/injection=enabled", "--overwrite")
        place.cluster.kubectl("label", "namespace", place.namespaces["enabled"], *label)
    place.cluster.wait("the label to count", lambda: place.dry_run(CASES["mistakes"])[0] != 0)

    code, said = place.kubectl("set", "image", "deployment/bad", "web=another")
    assert code == 0
    kept("a repair", said)
    assert place.kubectl("patch", "deployment", "bad", "-p", '{"spec": {"replicas": 0}}')[0] == 0
    half = {"spec": {"template": {"metadata": {"annotations": {"habitat.sh/group": "blue"}}}}}
    assert place.kubectl("patch", "deployment", "bad", "-p", json.dumps(half))[0] == 0
    worse = {"spec": {"template": {"metadata": {"annotations": {"habitat.sh/gossip-port": "0"}}}}}
    code, said = place.kubectl("patch", "deployment", "bad", "-p", json.dumps(worse))
    assert code != 0
    assert "habitat.sh/gossip-port" in said
    assert "habitat.sh/topology" in said, "all of its problems are said"
    whole = {"spec": {"template": {"metadata": {"annotations": {"habitat.sh/topology": "standalone"}}}}}
    code, said = place.kubectl("patch", "deployment", "bad", "-p", json.dumps(whole))
    assert (code, "Warning" in said) == (0, False)


def test_the_causes_name_fields_of_the_workload(place: Place) -> None:
    path = f"/apis/apps/v1/namespaces/{place.namespaces['enabled']}/deployments?dryRun=All"
    status, answer = place.cluster.request("POST", path, CASES["mistakes"])
    assert (status, answer["reason"], answer["details"]["kind"]) == (422, "Invalid", "Deployment")
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "spec.template.metadata.annotations[habitat.sh/group]",
        "spec.template.metadata.annotations[habitat.sh/topology]",
    ]


def test_every_review_is_counted_and_logged_with_its_codes(place: Place) -> None:
    warned = place.server.metric("workload_warnings_total", code="LeaderTooFew")
    count = place.server.metric("review_duration_seconds_count", endpoint="validate")
    place.dry_run(workload(annotations=LEADER, replicas=1))
    assert place.server.metric("workload_warnings_total", code="LeaderTooFew") == warned + 1
    assert place.server.metric("review_duration_seconds_count", endpoint="validate") == count + 1
    line = [line for line in place.server.lines() if line["message"] == "workload review"][-1]
    assert (line["owner"], line["operation"], line["decision"]) == ("Deployment/web", "CREATE", "allow")
    assert (line["cautions"], line["dry_run"]) == (["LeaderTooFew"], True)


# the texts


def test_no_text_is_stale() -> None:
    there = {path.stem for path in TEXTS.iterdir()}
    assert there == {name.replace(" ", "-") for name in (*CASES, "a namespace without a label", "a repair")}


def test_kubectl_has_said_every_warning_that_is_declared() -> None:
    said = "\n".join(path.read_text() for path in TEXTS.iterdir())
    for caution in CAUTIONS:
        pattern = re.sub(r"\\\{\w+\\\}", ".*", re.escape(caution.sentence))
        assert re.search(f"^Warning: {pattern}$", said, re.MULTILINE), caution.code


def test_no_warning_is_longer_than_kubernetes_asks_for() -> None:
    lines = [line for path in TEXTS.iterdir() for line in path.read_text().splitlines() if line.startswith("Warning: ")]
    assert lines
    assert all(len(line) - len("Warning: ") <= WARNING_LIMIT for line in lines)

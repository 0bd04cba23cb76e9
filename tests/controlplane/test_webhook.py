"""The webhook behind a real API server: every kind of workload, who is asked about, and what a user reads."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.controlplane.manifests import LABELS, PODS, annotated_pod, template
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import registration

ENABLED = {"habitat.sh/injection": "enabled"}


@dataclass(frozen=True, slots=True)
class Installed:
    """The webhook as it is registered in the cluster; it acts only in namespaces with the label `run`."""

    cluster: Cluster
    server: WebhookServer
    run: str

    @contextlib.contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """A namespace in which this webhook acts; labels as keyword arguments win over habitat.sh/injection=enabled."""
        chosen = ENABLED if not labels else {k.replace("__", "/").replace("_", "."): v for k, v in labels.items()}
        with self.cluster.namespace(labels={"run": self.run, **chosen}) as name:
            yield name


def register(cluster: Cluster, url: str, ca: bytes, run: str, *, failure_policy: str | None = None) -> str:
    """Register the shipped configuration for namespaces with the label run=<run>; returns its name."""
    configuration = registration(url, ca, name=f"habitat-{run}", failure_policy=failure_policy)
    for webhook in configuration["webhooks"]:
        webhook["namespaceSelector"]["matchExpressions"].append({"key": "run", "operator": "In", "values": [run]})
    cluster.apply(json.dumps(configuration))
    return f"habitat-{run}"


@contextlib.contextmanager
def registered(cluster: Cluster, url: str, ca: bytes, *, failure_policy: str | None = None) -> Iterator[str]:
    run = f"r{uuid.uuid4().hex[:8]}"
    name = register(cluster, url, ca, run, failure_policy=failure_policy)
    try:
        yield run
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", name)


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    directory = tmp_path_factory.mktemp("webhook")
    with webhook_server(directory) as server, registered(cluster, server.url, server.files.ca.read_bytes()) as run:
        webhook = Installed(cluster, server, run)
        with webhook.namespace() as namespace:  # the API server learns of a configuration within a second or so
            cluster.wait("the webhook to be called", lambda: _injected(dry_run(cluster, namespace, annotated_pod())))
        yield webhook


def dry_run(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
    """The pod as the API server would store it."""
    status, answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    assert status == 201, answer
    result: dict[str, Any] = answer
    return result


def _injected(pod: dict[str, Any]) -> bool:
    return "habitat.sh/injected" in pod["metadata"].get("annotations", {})


def pods(cluster: Cluster, namespace: str, count: int) -> list[dict[str, Any]]:
    """The pods of a namespace, once there are as many as expected."""

    def enough() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = cluster.get("pods", "-n", namespace)["items"]
        return items if len(items) >= count else None

    return cluster.wait(f"{count} pods in {namespace}", enough)


@pytest.mark.parametrize("kind", sorted(PODS))
def test_pods_of_every_kind_of_workload_are_injected(installed: Installed, kind: str) -> None:
    workload, count = PODS[kind]
    with installed.namespace() as namespace:
        installed.cluster.apply(json.dumps(workload | {"metadata": {"name": "web", "namespace": namespace}}))
        if kind == "CronJob":  # now, rather than at the next full minute
            installed.cluster.kubectl("create", "job", "now", "--from=cronjob/web", "-n", namespace)
        for pod in pods(installed.cluster, namespace, count):
            assert _injected(pod)
            assert pod["metadata"]["labels"].items() >= LABELS.items()
            [container] = pod["spec"]["containers"]
            assert container["args"] == ["--peer-watch-file=/habitat/peers", "--sys-ip-address=$(POD_IP)"]


def test_injected_deployment_becomes_ready(installed: Installed) -> None:
    with installed.namespace() as namespace:
        workload, _ = PODS["Deployment"]
        installed.cluster.apply(json.dumps(workload | {"metadata": {"name": "web", "namespace": namespace}}))
        installed.cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")


def test_kubectl_run_is_injected_and_shows_the_warnings(installed: Installed) -> None:
    with installed.namespace() as namespace:
        command = ["run", "web", "--image=i", "-n", namespace, "--annotations=habitat.sh/service=web"]
        done = installed.cluster.run_kubectl(*command, "--annotations=habitat.sh/topologie=leader")
        errors = done.stderr
        assert done.returncode == 0, errors
        assert "Warning: no licence is accepted" in errors
        assert "Warning: habitat.sh/topologie is unknown and has no effect; did you mean habitat.sh/topology?" in errors
        assert _injected(installed.cluster.get("pod", "web", "-n", namespace))


def test_unannotated_pods_never_reach_the_webhook(installed: Installed) -> None:
    plain = annotated_pod({})
    nothing = annotated_pod({})
    del nothing["metadata"]["annotations"], nothing["metadata"]["labels"]
    opted_out = annotated_pod({"habitat.sh/service": "web", "habitat.sh/inject": "false"})
    with installed.namespace() as namespace:
        before = installed.server.reviews_seen()
        for pod in (plain, nothing, opted_out):
            assert not _injected(dry_run(installed.cluster, namespace, pod))
        assert installed.server.reviews_seen() == before
        assert _injected(dry_run(installed.cluster, namespace, annotated_pod()))
        assert installed.server.reviews_seen() == before + 1


def test_dry_run_shows_what_a_real_create_makes(installed: Installed) -> None:
    cluster = installed.cluster
    with installed.namespace() as namespace:
        rehearsed = dry_run(cluster, namespace, annotated_pod())
        cluster.apply(json.dumps(annotated_pod() | {"apiVersion": "v1", "kind": "Pod"} | _named("web", namespace)))
        real = cluster.get("pod", "web", "-n", namespace)
        for pod in (rehearsed, real):
            pod["spec"].pop("nodeName", None)
        without_token = [_without_token_volume(pod["spec"]) for pod in (rehearsed, real)]
        assert without_token[0] == without_token[1]
        assert (
            rehearsed["metadata"]["annotations"]["habitat.sh/injected"]
            == (real["metadata"]["annotations"]["habitat.sh/injected"])
        )


def _named(name: str, namespace: str) -> dict[str, Any]:
    metadata = annotated_pod()["metadata"] | {"name": name, "namespace": namespace}
    return {"metadata": metadata}


def _without_token_volume(spec: dict[str, Any]) -> str:
    """The spec as text, the random name of the service account's token volume put aside."""
    text = json.dumps(spec, sort_keys=True)
    names = {v["name"] for v in spec["volumes"] if v["name"].startswith("kube-api-access-")}
    for name in names:
        text = text.replace(name, "kube-api-access")
    return text


def test_restricted_namespace_admits_injected_pods(installed: Installed) -> None:
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    annotations = {"service": "web", "files-secret": "f", "data-claim": "d", "config-map": "c", "ring-key": "managed"}
    pod = annotated_pod({f"habitat.sh/{k}": v for k, v in annotations.items()}, securityContext=restricted)
    labels = {"habitat_sh__injection": "enabled", "pod-security_kubernetes_io__enforce": "restricted"}
    with installed.namespace(**labels) as namespace:
        after = dry_run(installed.cluster, namespace, pod)
        assert [c["name"] for c in after["spec"]["initContainers"]] == ["habitat-files"]
        naked = annotated_pod()
        status, answer = installed.cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", naked)
        assert status == 403, answer


def test_every_mistake_is_in_the_message_that_kubectl_prints(installed: Installed) -> None:
    wrong = {"habitat.sh/service": "web", "habitat.sh/topology": "Leader", "habitat.sh/config": "a =\n"}
    with installed.namespace() as namespace:
        pod = annotated_pod(wrong) | {"apiVersion": "v1", "kind": "Pod"}
        text = json.dumps(pod | {"metadata": pod["metadata"] | {"name": "web", "namespace": namespace}})
        done = installed.cluster.run_kubectl("create", "-f", "-", input=text)
        errors = done.stderr
        assert done.returncode == 1, errors
        assert 'The Pod "web" is invalid:' in errors
        assert '[habitat.sh/topology]: "Leader" is not known; allowed: standalone, leader (https://' in errors
        assert "[habitat.sh/config]: the TOML is wrong: Invalid value (at line 1, column 4)" in errors
        assert "/annotations.md#config)" in errors
        assert "Traceback" not in errors


def test_mistake_in_a_deployment_is_in_its_replicasets_event(installed: Installed) -> None:
    cluster = installed.cluster
    with installed.namespace() as namespace:
        workload = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": template({"habitat.sh/service": "web", "habitat.sh/group": "a.b"}),
            },
        }
        cluster.apply(json.dumps(workload))

        def said() -> str | None:
            events = cluster.get("events", "-n", namespace)["items"]
            texts = [e["message"] for e in events if e["reason"] == "FailedCreate"]
            return next((t for t in texts if "habitat.sh/group" in t), None)

        assert '"a.b" is not a service group name' in cluster.wait("the event of the ReplicaSet", said)


def test_registered_twice_injects_once(installed: Installed) -> None:
    """As with reinvocation: the second call finds everything there."""
    cluster, server = installed.cluster, installed.server
    with installed.namespace() as namespace:
        alone = dry_run(cluster, namespace, annotated_pod())
        second = registration(
            server.url, server.files.ca.read_bytes(), name=f"again-{installed.run}", namespaces=[namespace]
        )
        cluster.apply(json.dumps(second))
        try:
            before = server.reviews_seen()

            def both() -> dict[str, Any] | None:
                nonlocal before
                pod = dry_run(cluster, namespace, annotated_pod())
                calls, before = server.reviews_seen() - before, server.reviews_seen()
                return pod if calls >= 2 else None

            twice = cluster.wait("both configurations to be called", both)
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration", f"again-{installed.run}")
        assert _without_token_volume(twice["spec"]) == _without_token_volume(alone["spec"])


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_webhook_that_is_down_stops_annotated_pods_only_under_fail(
    cluster: Cluster, policy: str, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack, webhook_server(tmp_path) as server:
        ca = server.files.ca.read_bytes()
        run = stack.enter_context(registered(cluster, server.url, ca, failure_policy=policy))
        ns = stack.enter_context(cluster.namespace(labels=ENABLED | {"run": run}))
        cluster.wait("the webhook to be called", lambda: _injected(dry_run(cluster, ns, annotated_pod())))
        server.stop()
        path = f"/api/v1/namespaces/{ns}/pods?dryRun=All"
        if policy == "Fail":

            def refused() -> dict[str, Any] | None:
                status, answer = cluster.request("POST", path, annotated_pod())
                return answer if status == 500 else None

            answer = cluster.wait("the pod to be refused", refused)
            assert 'failed calling webhook "inject.habitat.sh"' in answer["message"]
        else:
            assert not _injected(dry_run(cluster, ns, annotated_pod()))
        assert not _injected(dry_run(cluster, ns, annotated_pod({})))

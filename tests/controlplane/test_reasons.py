"""Every reason code, as the answer to something that a real API server asks."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.policy.making import text_of
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import registration
from webhook.inject import Reason, Situation, inject
from webhook.inject.patch import apply

TROUBLESHOOTING = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
LABELS = {"enabled": {"habitat.sh/injection": "enabled"}, "disabled": {"habitat.sh/injection": "disabled"}, "none": {}}
POLICY = """
- name: left-alone
  match: {podSelector: {matchLabels: {policy: never}}}
  inject: never
- name: with-a-group
  match: {podSelector: {matchLabels: {policy: denied}}}
  require: [group]
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A webhook that is asked about whatever carries the label `run`, for whatever is done to it."""

    cluster: Cluster
    server: WebhookServer
    run: str
    namespaces: dict[str, str]

    def pod(self, **annotations: str) -> dict[str, Any]:
        marks = {f"habitat.sh/{name}": value for name, value in annotations.items()}
        metadata = {"name": f"p-{uuid.uuid4().hex[:8]}", "labels": {"run": self.run}, "annotations": marks}
        container = {"name": "app", "image": "core/redis"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}

    def path(self, resource: str, namespace: str = "enabled") -> str:
        return f"/api/v1/namespaces/{self.namespaces[namespace]}/{resource}?dryRun=All"

    def create(self, pod: dict[str, Any], namespace: str = "enabled") -> tuple[int, Any]:
        return self.cluster.request("POST", self.path("pods", namespace), pod)

    def last(self) -> str:
        return str([line for line in self.server.lines() if line["message"] == "review"][-1]["reason"])


def wide(configuration: dict[str, Any], run: str) -> dict[str, Any]:
    """The shipped configuration without what keeps the API server from asking."""
    del configuration["webhooks"][1:]
    [webhook] = configuration["webhooks"]
    del webhook["matchConditions"], webhook["namespaceSelector"]
    webhook["objectSelector"] = {"matchLabels": {"run": run}}
    resources = ["pods", "pods/ephemeralcontainers", "configmaps"]
    webhook["rules"] = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": resources}
    ]
    return configuration


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("reasons")
    policy = directory / "policy.yaml"
    policy.write_text(text_of(POLICY))
    run = f"r{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        flags = (f"--policy={policy}", f"--kubeconfig={cluster.kubeconfig}")
        server = stack.enter_context(webhook_server(directory, *flags))
        cluster.wait("serve to be ready", lambda: server.get("/readyz")[0] == 200)
        namespaces = {name: stack.enter_context(cluster.namespace(labels=labels)) for name, labels in LABELS.items()}
        made = Place(cluster, server, run, namespaces | {"kube-system": "kube-system"})
        name = f"reasons-{run}"
        cluster.apply(json.dumps(wide(registration(server.url, server.files.ca.read_bytes(), name=name), run)))
        stack.callback(cluster.kubectl, "delete", "mutatingwebhookconfiguration", name)
        pod = made.pod(service="web")
        cluster.wait("the webhook to be called", lambda: "habitat.sh/injected" in str(made.create(pod)[1]))
        yield made


def change(place: Place, subresource: str, spec: dict[str, Any]) -> tuple[int, Any]:
    """Of a pod that exists, and that the scheduler leaves alone."""
    pod = place.pod()
    pod["spec"]["schedulingGates"] = [{"name": "example.com/never"}]
    status, stored = place.cluster.request("POST", place.path("pods").partition("?")[0], pod)
    assert status == 201, stored
    del stored["metadata"]["resourceVersion"]
    stored["spec"] |= spec
    stored["metadata"]["labels"]["more"] = "yes"
    return place.cluster.request("PUT", place.path(f"pods/{stored['metadata']['name']}{subresource}"), stored)


def current(place: Place) -> tuple[int, Any]:
    pod = place.pod(service="web")
    return place.create(apply(pod, inject(pod, Situation(namespace=place.namespaces["enabled"])).operations))


def with_labels(place: Place, **labels: str) -> tuple[int, Any]:
    pod = place.pod(service="web")
    pod["metadata"]["labels"] |= labels
    return place.create(pod)


def with_spec(place: Place, **spec: Any) -> tuple[int, Any]:
    pod = place.pod(service="web")
    pod["spec"] |= spec
    return place.create(pod)


def mirror(place: Place) -> tuple[int, Any]:
    pod = place.pod(service="web")
    pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "x"
    pod["spec"]["nodeName"] = "its-own"
    return place.create(pod)


def config_map(place: Place) -> tuple[int, Any]:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"run": place.run}}}
    return place.cluster.request("POST", place.path("configmaps"), body)


SUPERVISOR = {"name": "app", "image": "core/redis", "command": ["hab", "sup", "run", "core/redis"]}
DEBUGGER = {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}
ASKED: dict[Reason, Callable[[Place], tuple[int, Any]]] = {
    Reason.INJECTED: lambda place: place.create(place.pod(service="web")),
    Reason.ALREADY_CURRENT: current,
    Reason.NOT_ANNOTATED: lambda place: place.create(place.pod()),
    Reason.OPTED_OUT: lambda place: place.create(place.pod(service="web", inject="false")),
    Reason.NAMESPACE_EXCLUDED: lambda place: place.create(place.pod(service="web"), "kube-system"),
    Reason.NAMESPACE_DISABLED: lambda place: place.create(place.pod(service="web"), "disabled"),
    Reason.NAMESPACE_NOT_ENABLED: lambda place: place.create(place.pod(service="web"), "none"),
    Reason.MIRROR_POD: mirror,
    Reason.WINDOWS_POD: lambda place: with_spec(place, os={"name": "windows"}),
    Reason.EPHEMERAL_UPDATE: lambda place: change(place, "/ephemeralcontainers", DEBUGGER),
    Reason.NOT_CREATED: lambda place: change(place, "", {}),
    Reason.NOT_A_POD: config_map,
    Reason.HAND_WRITTEN_SUPERVISOR: lambda place: with_spec(place, containers=[SUPERVISOR]),
    Reason.POLICY_NEVER: lambda place: with_labels(place, policy="never"),
    Reason.POLICY_DENIED: lambda place: with_labels(place, policy="denied"),
    Reason.INVALID: lambda place: place.create(place.pod(service="web", topology="circle")),
}
REFUSED = (Reason.INVALID, Reason.POLICY_DENIED)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_reason_is_the_answer_to_something_and_has_a_place_to_read_on(place: Place, reason: Reason) -> None:
    before = place.server.metric("reviews_total", reason=reason.code)
    status, answer = ASKED[reason](place)
    assert status == 422 if reason in REFUSED else status in (200, 201), answer["message"]
    assert ("habitat.sh/injected" in str(answer)) is (reason in (Reason.INJECTED, Reason.ALREADY_CURRENT))
    assert place.last() == reason.code
    assert place.server.metric("reviews_total", reason=reason.code) == before + 1
    assert f"\n### {reason.code}\n" in TROUBLESHOOTING.read_text()

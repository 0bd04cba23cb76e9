"""Every reason code, as the API server brings it about, and every metric of `serve` meanwhile.

The shipped configuration keeps most of these pods away from the webhook. Here it is asked about everything, so that the
webhook itself has to decide.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.support.controller_rights import SERVE, SERVE_ACCOUNT, installed_as_shipped
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import registration
from webhook.decide import Reason
from webhook.server.metrics import Metrics

SHOP, PLAIN, OFF, OWN = "shop", "plain", "off", "own"
POLICY = """\
apiVersion: policy.habitat.sh/v1
kind: Policy
rules:
  - name: left-alone
    match: {podSelector: {matchLabels: {left: alone}}}
    inject: never
  - name: no-leaders
    deny: {topology: [leader]}
"""
Place = tuple[RunningControlPlane, WebhookServer]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("reasons")
    (directory / "policy.yaml").write_text(POLICY)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=1))
        kubeconfig = installed_as_shipped(cluster, SERVE, account=SERVE_ACCOUNT).kubeconfig()
        flags = (
            f"--kubeconfig={kubeconfig}",
            "--events",
            f"--own-namespace={OWN}",
            f"--policy={directory}/policy.yaml",
        )
        server = stack.enter_context(webhook_server(directory, *flags))
        for name, label in {SHOP: "enabled", PLAIN: "", OFF: "disabled", OWN: "enabled"}.items():
            metadata = {"name": name, "labels": {"habitat.sh/injection": label} if label else {}}
            assert cluster.request("POST", "/api/v1/namespaces", {"metadata": metadata})[0] == 201
            cluster.wait(
                "its ServiceAccount",
                lambda name=name: (
                    cluster.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200
                ),
            )
        cluster.wait("serve to be ready", lambda: server.get("/readyz")[0] == 200)
        cluster.apply(json.dumps(everything(registration(server.url, server.files.ca.read_bytes()))))
        cluster.wait("the webhook to be called", lambda: asked(cluster, pod()) and server.reviews_seen())
        yield cluster, server


def everything(configuration: dict[str, Any]) -> dict[str, Any]:
    """The shipped configuration, asked about all pods and ConfigMaps of these namespaces."""
    [entry, _] = configuration["webhooks"]
    rules = {"CREATE": ["pods", "configmaps"], "UPDATE": ["pods", "pods/ephemeralcontainers"]}
    entry["rules"] = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": [verb], "resources": resources}
        for verb, resources in rules.items()
    ]
    key = "kubernetes.io/metadata.name"
    entry["namespaceSelector"] = {
        "matchExpressions": [{"key": key, "operator": "In", "values": [SHOP, PLAIN, OFF, OWN]}]
    }
    del entry["matchConditions"]
    return configuration | {"webhooks": [entry]}


def pod(annotations: dict[str, str] | None = None, *, name: str = "", **spec: Any) -> dict[str, Any]:
    marks = {"habitat.sh/service": "web"} if annotations is None else annotations
    container = {"name": "web", "image": "core/web"} | spec.pop("container", {})
    metadata = {"annotations": marks} | ({"name": name} if name else {"generateName": "web-"})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def asked(cluster: RunningControlPlane, body: dict[str, Any], namespace: str = SHOP, *, dry: bool = True) -> int:
    """The status of the creation."""
    resource = body["kind"].lower() + "s"
    path = f"/api/v1/namespaces/{namespace}/{resource}" + ("?dryRun=All" if dry else "")
    return int(cluster.request("POST", path, body)[0])


SERVICE = {"habitat.sh/service": "web"}
LEFT_ALONE = pod()
LEFT_ALONE["metadata"]["labels"] = {"left": "alone"}
# What is created, and where.
CREATED: dict[Reason, tuple[dict[str, Any], str]] = {
    Reason.INJECTED: (pod(), SHOP),
    Reason.NOT_ANNOTATED: (pod({}), SHOP),
    Reason.OPTED_OUT: (pod(SERVICE | {"habitat.sh/inject": "false"}), SHOP),
    Reason.NAMESPACE_EXCLUDED: (pod(), OWN),
    Reason.NAMESPACE_DISABLED: (pod(), OFF),
    Reason.NAMESPACE_NOT_ENABLED: (pod(), PLAIN),
    Reason.MIRROR_POD: (pod(SERVICE | {"kubernetes.io/config.mirror": "x"}), SHOP),
    Reason.WINDOWS_POD: (pod(os={"name": "windows"}), SHOP),
    Reason.HAND_WRITTEN_SUPERVISOR: (pod(container={"command": ["hab", "sup", "run"]}), SHOP),
    Reason.POLICY_NEVER: (LEFT_ALONE, SHOP),
    Reason.POLICY_DENIED: (pod(SERVICE | {"habitat.sh/topology": "leader"}), SHOP),
    Reason.INVALID: (pod(SERVICE | {"habitat.sh/topology": "ring"}), SHOP),
    Reason.NOT_A_POD: ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, SHOP),
}
CHANGED = {Reason.NOT_CREATED, Reason.EPHEMERAL_UPDATE, Reason.ALREADY_CURRENT}
"""What it takes a pod for that is there already."""


def counted(server: WebhookServer, reason: Reason) -> float:
    return server.metric("reviews_total", reason=reason.code)


def test_every_reason_is_brought_about_here() -> None:
    assert set(CREATED) | CHANGED == set(Reason)
    assert not set(CREATED) & CHANGED


@pytest.mark.parametrize("reason", CREATED, ids=lambda reason: reason.code)
def test_a_reason_is_the_answer_to_a_real_api_server(place: Place, reason: Reason) -> None:
    cluster, server = place
    body, namespace = CREATED[reason]
    before = counted(server, reason)
    status = asked(cluster, body, namespace)
    assert counted(server, reason) == before + 1
    if reason in (Reason.INVALID, Reason.POLICY_DENIED):
        assert status == 422
    elif reason is not Reason.MIRROR_POD:  # which the API server itself takes from a kubelet alone
        assert status == 201


def test_a_pod_that_is_there_already(place: Place) -> None:
    cluster, server = place
    before = {reason: counted(server, reason) for reason in CHANGED}
    assert asked(cluster, pod(name="there"), dry=False) == 201
    cluster.kubectl("label", "pod", "there", "-n", SHOP, "more=less")
    cluster.kubectl("debug", "there", "-n", SHOP, "--image=busybox", "--target=web", "--", "true", check=False)
    made = cluster.get("pod", "there", "-n", SHOP)
    copy = {"apiVersion": "v1", "kind": "Pod", "spec": made["spec"]}
    copy["metadata"] = {"name": "copy"} | {key: made["metadata"][key] for key in ("annotations", "labels")}
    for name in ("nodeName", "ephemeralContainers"):
        copy["spec"].pop(name, None)
    assert asked(cluster, copy) == 201
    for reason in CHANGED:
        cluster.wait(f"{reason.code} to be counted", lambda reason=reason: counted(server, reason) > before[reason])


def test_every_metric_that_is_declared_is_exposed_with_its_sentence(place: Place) -> None:
    text = place[1].get("/metrics")[1]
    declared = Metrics().exposition.declared
    assert dict(re.findall(r"^# TYPE (habitat_webhook_\S+) (\S+)$", text, re.MULTILINE)) == {
        name: metric.kind for name, metric in declared.items()
    }
    assert dict(re.findall(r"^# HELP (habitat_webhook_\S+) (.*)$", text, re.MULTILINE)) == {
        name: metric.doc for name, metric in declared.items()
    }
    assert "NaN" not in "\n".join(line for line in text.splitlines() if line.startswith("habitat_webhook_"))

"""`habitat-webhook doctor` where nobody answers for a webhook entry; in a cluster of its own, since it looks at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.running import run
from tests.controlplane.client import Cluster
from tests.controlplane.cluster import ControlPlane
from tests.support.webhook_config import shipped

SERVICE = "habitat-webhook/habitat-webhook"
COLLECTION = "/api/v1/namespaces/habitat-webhook/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/habitat-webhook/endpointslices"


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    """The shipped webhook configuration, and nothing else of an installation."""
    with ControlPlane() as cluster:
        cluster.kubectl("create", "namespace", "habitat-webhook")
        cluster.apply(json.dumps(shipped()))
        yield cluster


def down(cluster: Cluster) -> dict[str, str]:
    """What is said of each entry that nobody answers for."""
    result = run("doctor", "--kubeconfig", cluster.kubeconfig, "-o", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == (not found["ok"])
    return {f["object"]: f["message"] for f in found["findings"] if f["code"] == "WebhookDown"}


def create(cluster: Cluster, path: str, body: dict[str, Any]) -> None:
    status, answer = cluster.request("POST", path, body)
    assert status == 201, answer


def endpoints(name: str, *, ready: bool) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "habitat-webhook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
    }


def test_a_webhook_is_down_without_a_service_and_without_a_ready_endpoint(alone: Cluster) -> None:
    entries = {f"habitat-webhook/{entry['name']}" for entry in shipped()["webhooks"]}
    assert down(alone) == dict.fromkeys(entries, f"there is no Service {SERVICE}")
    create(alone, COLLECTION, {"metadata": {"name": "habitat-webhook"}, "spec": {"ports": [{"port": 443}]}})
    assert down(alone) == dict.fromkeys(entries, f"Service {SERVICE} has no ready endpoint")
    create(alone, SLICES, endpoints("one", ready=False))
    assert down(alone) == dict.fromkeys(entries, f"Service {SERVICE} has no ready endpoint")
    create(alone, SLICES, endpoints("other", ready=True))
    assert down(alone) == {}

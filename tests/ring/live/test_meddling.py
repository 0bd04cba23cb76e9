"""Others who write what is the controller's, pods that are members in name only, and requests that leave no trace."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ring.live.installation import Installation, address, deployment, peers
from tests.support.controller import ControllerProcess
from webhook.kube.client import Client
from webhook.options import PEERS

MOST_REWRITES = 2000
"""A conflict needs somebody who writes between the controller's look and its write, which takes some luck."""

GARBAGE = ["", "10.255.255.254", "not an address", "\n\n#\n", "10.255.255.254\n10.255.255.253\n\nx y z", "é" * 50]


@pytest.fixture
def admin(rings: Installation) -> Iterator[Client]:
    made = Client.connect(rings.cluster.kubeconfig)
    yield made
    made.close()


def by_hand(name: str, **labels: str) -> dict[str, Any]:
    """A pod that nobody injects, labelled as if somebody had."""
    said = {f"habitat.sh/{key}": value for key, value in labels.items()}
    return {
        "metadata": {"name": name, "labels": {"app": "by-hand"} | said},
        "spec": {"containers": [{"name": "main", "image": "core/redis:1"}]},
    }


def test_lists_that_somebody_rewrites_with_garbage_come_right_and_each_conflict_is_counted(
    rings: Installation, namespace: str, controller: ControllerProcess, admin: Client
) -> None:
    rings.deploy(namespace, "redis", 5, ring="payments")
    pods = rings.ring(namespace, 5)
    paths = [f"/api/v1/namespaces/{namespace}/pods/{p['metadata']['name']}" for p in pods]
    for path in paths:
        admin.patch(path, {"metadata": {"annotations": {PEERS: None}}})
    rewrites = zip(range(MOST_REWRITES), itertools.cycle(paths), itertools.cycle([*GARBAGE, None]), strict=False)
    for count, path, value in rewrites:
        admin.patch(path, {"metadata": {"annotations": {PEERS: value}}})
        if count % 20 == 19 and controller.metric("writes_total", kind="peers", result="conflict"):
            break
    assert controller.metric("writes_total", kind="peers", result="conflict") >= 1
    rings.ring(namespace, 5)
    assert controller.metric("writes_total", kind="peers", result="error") == 0
    assert controller.metric("reconcile_failures_total") == 0


def test_pod_that_is_labelled_by_hand_is_neither_written_nor_listed(
    rings: Installation, namespace: str, controller: ControllerProcess, admin: Client
) -> None:
    collection = f"/api/v1/namespaces/{namespace}/pods"
    admin.create(collection, by_hand("first", ring="payments", service="redis", group="default"))
    rings.deploy(namespace, "redis", 2, ring="payments")
    rings.ring(namespace, 2, "app=redis")
    admin.create(collection, by_hand("second", ring="payments", service="redis", group="default"))
    admin.create(collection, by_hand("third", ring="other", service="redis"))
    strangers = rings.wait(
        "all pods to have addresses",
        lambda: found if all(map(address, found := rings.pods(namespace, "app=by-hand"))) else None,
    )
    rings.scale(namespace, "redis", 6)
    members = rings.ring(namespace, 6, "app=redis")
    assert len(strangers) == 3
    assert not {address(p) for p in strangers} & {a for p in members for a in peers(p)}
    assert not set(rings.patches(namespace)) & {"first", "second", "third"}
    for stranger in rings.pods(namespace, "app=by-hand"):
        assert PEERS not in stranger["metadata"].get("annotations", {})
    names = {s["metadata"]["name"] for s in rings.cluster.get("services", f"--namespace={namespace}")["items"]}
    assert names == {"habitat-ring-payments"}, "three strangers do not make a ring"


def test_dry_runs_leave_no_trace(
    rings: Installation, namespace: str, controller: ControllerProcess, admin: Client
) -> None:
    pod = deployment(namespace, "ghost", 1, ring="ghosts", ring_key="managed")["spec"]["template"]
    for name in ("ghost-0", "ghost-1", "ghost-2"):
        body = json.loads(json.dumps(pod))
        body["metadata"]["name"] = name
        made = admin.create(f"/api/v1/namespaces/{namespace}/pods", body, dry_run=True)
        assert made["metadata"]["labels"]["habitat.sh/ring"] == "ghosts", "it was injected"
    admin.create(
        f"/apis/apps/v1/namespaces/{namespace}/deployments",
        deployment(namespace, "ghost", 3, ring="ghosts"),
        dry_run=True,
    )
    # What comes later has been seen after them.
    rings.deploy(namespace, "redis", 3, ring="payments", ring_key="managed")
    rings.ring(namespace, 3)
    kinds = rings.cluster.get("services,secrets,pods,deployments,replicasets", f"--namespace={namespace}")["items"]
    assert not [o for o in kinds if "ghost" in o["metadata"]["name"]]
    assert {(o["kind"], o["metadata"]["name"]) for o in kinds if o["kind"] in ("Service", "Secret")} == {
        ("Service", "habitat-ring-payments"),
        ("Secret", "habitat-ring-payments-key"),
    }
    events = rings.cluster.get("events", f"--namespace={namespace}")["items"]
    assert not [e for e in events if "ghost" in json.dumps(e)]

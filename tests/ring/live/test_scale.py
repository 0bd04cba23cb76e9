"""Rings that grow, shrink and lose many at once, and what that costs the API server at most."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ring.live.history import History
from tests.ring.live.installation import Installation
from tests.support.controller import ControllerProcess
from webhook.ring.membership import WHOLE, K

pytestmark = pytest.mark.usefixtures("leader")

FEW = WHOLE * (WHOLE + 1)
"""Writes that the first pods of a ring may take in all, one for each that comes after them, until theirs are full."""


def most_writes(pods: int, deaths: int) -> int:
    """In a young ring each of the K seeds is in all lists, and any of them may be among the dead."""
    return K * pods + 2 * deaths


def uids(pods: list[dict[str, Any]]) -> set[str]:
    return {p["metadata"]["uid"] for p in pods}


def test_ring_grows_from_1_to_500_pods_loses_200_of_them_at_once_and_shrinks_to_1(
    rings: Installation, namespace: str, leader: ControllerProcess
) -> None:
    """In one test, since 500 pods take the machine a while."""
    rings.deploy(namespace, "stays", 1, ring="payments")
    rings.ring(namespace, 1)
    rings.deploy(namespace, "goes", 200, ring="payments")
    rings.scale(namespace, "stays", 300)
    rings.ring(namespace, 500)
    grown = rings.patches(namespace)
    assert grown.total() <= 500 + FEW
    assert max(grown.values()) <= WHOLE, "without a death each write makes a list longer"

    before = uids(rings.pods(namespace, "app=goes"))
    status, answer = rings.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/pods?labelSelector=app=goes")
    assert status == 200, answer
    rings.wait("the 200 to go", lambda: not before & uids(rings.pods(namespace, "app=goes")))
    rings.ring(namespace, 500)
    healed = rings.patches(namespace)
    assert healed.total() - grown.total() <= most_writes(500, 200)

    rings.scale(namespace, "goes", 0)
    rings.scale(namespace, "stays", 1)
    rings.ring(namespace, 1)
    assert rings.patches(namespace).total() - healed.total() <= most_writes(500, 499)
    assert leader.metric("writes_total", kind="peers", result="error") == 0


def test_ring_of_3_that_was_scaled_to_0_starts_afresh_with_3(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 3, ring="payments")
    before = rings.ring(namespace, 3)
    service = rings.cluster.get("service", "habitat-ring-payments", f"--namespace={namespace}")
    rings.scale(namespace, "redis", 0)
    rings.wait("the last pod to go", lambda: not rings.pods(namespace))
    rings.scale(namespace, "redis", 3)
    after = rings.ring(namespace, 3)
    assert not uids(before) & uids(after)
    kept = rings.cluster.get("service", "habitat-ring-payments", f"--namespace={namespace}")
    assert kept["metadata"]["uid"] == service["metadata"]["uid"]


def test_rolling_update_of_a_deployment_gives_every_new_pod_live_peers(rings: Installation, namespace: str) -> None:
    with History(rings, namespace) as history:
        rings.deploy(namespace, "redis", 8, ring="payments")
        before = rings.ring(namespace, 8)
        rings.change(namespace, "redis", {"metadata": {"annotations": {"example.com/version": "2"}}})
        rings.cluster.kubectl("rollout", "status", "deployment/redis", f"--namespace={namespace}", "--timeout=60s")
        rings.wait("the old pods to go", lambda: not uids(before) & uids(rings.pods(namespace)))
        after = rings.ring(namespace, 8)
        history.catch_up()
        assert history.written_twice() == {}
    assert history.strangers() == []
    first = {pod: said for _, pod, said in reversed(history.lists)}
    assert all(first[p["metadata"]["name"]] for p in after)

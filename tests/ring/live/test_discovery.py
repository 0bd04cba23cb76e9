"""The other ways to find each other, as far as an API server shows them; docs/discovery.md has their limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ring.live.installation import Installation, address, peers
from tests.support.controller import ControllerProcess
from webhook.options import PEERS

pytestmark = pytest.mark.usefixtures("leader")

RING = "habitat.sh/ring"


def args(pod: dict[str, Any]) -> list[str]:
    found: list[str] = pod["spec"]["containers"][0]["args"]
    return found


def ring_labels(pods: list[dict[str, Any]]) -> set[str | None]:
    return {p["metadata"]["labels"].get(RING) for p in pods}


def volumes(pods: list[dict[str, Any]]) -> set[str]:
    return {v["name"] for p in pods for v in p["spec"]["volumes"]}


def services(rings: Installation, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rings.cluster.get("services", f"--namespace={namespace}")["items"]
    return found


def running(rings: Installation, namespace: str, name: str, size: int) -> list[dict[str, Any]]:
    """The pods of a Deployment, when all have addresses."""
    return rings.wait(
        f"{size} pods of {name}",
        lambda: found if len(found := [p for p in rings.pods(namespace, f"app={name}") if address(p)]) == size else [],
    )


def look_at_a_ring_that_came_later(rings: Installation, namespace: str) -> None:
    """What the controller would have done about earlier pods it has done when this ring is whole."""
    rings.deploy(namespace, "later", 2, ring="later")
    rings.ring(namespace, 2, "app=later")
    rings.wait(
        "its Service", lambda: "habitat-ring-later" in {s["metadata"]["name"] for s in services(rings, namespace)}
    )


def test_dns_pods_are_pointed_at_the_rings_service_and_get_no_list(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 3, ring="payments", discovery="dns")
    pods = running(rings, namespace, "redis", 3)
    look_at_a_ring_that_came_later(rings, namespace)
    service = next(s for s in services(rings, namespace) if s["metadata"]["name"] == "habitat-ring-payments")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"], "a pod has to find others before it is ready"
    assert service["spec"]["selector"] == {RING: "payments"}
    for pod in pods:
        assert f"--peer=habitat-ring-payments.{namespace}.svc.cluster.local" in args(pod)
        assert not [a for a in args(pod) if a.startswith("--peer-watch-file")]
    assert ring_labels(pods) == {"payments"}
    assert "habitat-peers" not in volumes(pods)
    assert not set(rings.patches(namespace)) & {p["metadata"]["name"] for p in pods}
    endpoints = rings.wait("the endpoints", lambda: addresses_of(rings, namespace, 3))
    assert endpoints == {address(p) for p in pods}


def addresses_of(rings: Installation, namespace: str, size: int) -> set[str]:
    """What the name of the ring's Service resolves to, once there are so many."""
    selector = "kubernetes.io/service-name=habitat-ring-payments"
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector={selector}"
    _, found = rings.cluster.request("GET", path)
    addresses = {a for s in found["items"] for e in s["endpoints"] or [] for a in e["addresses"]}
    return addresses if len(addresses) == size else set()


def test_external_pods_know_their_peers_and_nothing_is_made_for_them(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 2, peer="bastion.example.com,10.0.0.7:9700")
    pods = running(rings, namespace, "redis", 2)
    look_at_a_ring_that_came_later(rings, namespace)
    for pod in pods:
        assert [a for a in args(pod) if a.startswith("--peer")] == [
            "--peer=bastion.example.com",
            "--peer=10.0.0.7:9700",
        ]
    assert ring_labels(pods) == {None}
    assert [s["metadata"]["name"] for s in services(rings, namespace)] == ["habitat-ring-later"]
    assert not set(rings.patches(namespace)) & {p["metadata"]["name"] for p in pods}


def test_pods_without_discovery_gossip_with_nobody_and_nothing_is_made_for_them(
    rings: Installation, namespace: str
) -> None:
    rings.deploy(namespace, "redis", 2, discovery="none")
    pods = running(rings, namespace, "redis", 2)
    look_at_a_ring_that_came_later(rings, namespace)
    for pod in pods:
        assert "--local-gossip-mode" in args(pod)
        assert not [a for a in args(pod) if a.startswith("--peer")]
    assert ring_labels(pods) == {None}
    assert "habitat-peers" not in volumes(pods)
    assert [s["metadata"]["name"] for s in services(rings, namespace)] == ["habitat-ring-later"]
    assert not set(rings.patches(namespace)) & {p["metadata"]["name"] for p in pods}


def test_ring_of_managed_and_dns_pods_has_one_service_and_lists_of_the_managed_alone(
    rings: Installation, namespace: str, leader: ControllerProcess
) -> None:
    rings.deploy(namespace, "asks", 2, ring="payments", discovery="dns")
    asks = running(rings, namespace, "asks", 2)
    rings.deploy(namespace, "told", 5, ring="payments")
    told = rings.ring(namespace, 5, "app=told")
    assert not {address(p) for p in asks} & {a for p in told for a in peers(p)}
    assert all(PEERS not in p["metadata"]["annotations"] for p in rings.pods(namespace, "app=asks"))
    rings.wait("the endpoints", lambda: addresses_of(rings, namespace, 7) == {address(p) for p in [*asks, *told]})
    assert [s["metadata"]["name"] for s in services(rings, namespace)] == ["habitat-ring-payments"]

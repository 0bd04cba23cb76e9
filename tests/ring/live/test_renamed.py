"""A ring that is renamed while it runs, and a namespace that is deleted with its ring."""

from __future__ import annotations

from tests.ring.live.conftest import quiet
from tests.ring.live.history import History
from tests.ring.live.installation import Installation


def services(rings: Installation, namespace: str) -> set[str]:
    return {s["metadata"]["name"] for s in rings.cluster.get("services", f"--namespace={namespace}")["items"]}


def test_ring_that_is_renamed_on_a_live_deployment_hands_no_address_from_one_to_the_other(
    rings: Installation, namespace: str
) -> None:
    with rings.controller("renaming", "--ring-linger=1") as process, History(rings, namespace) as history:
        rings.deploy(namespace, "redis", 6, ring="old")
        rings.ring(namespace, 6)
        assert services(rings, namespace) == {"habitat-ring-old"}
        rings.change(namespace, "redis", {"metadata": {"annotations": {"habitat.sh/ring": "new"}}})
        rings.wait("the old ring to be empty", lambda: not rings.pods(namespace, "habitat.sh/ring=old"))
        rings.ring(namespace, 6, "habitat.sh/ring=new")
        rings.wait("the old Service to go", lambda: services(rings, namespace) == {"habitat-ring-new"})
        history.catch_up()
        assert {ring for ring, _, _ in history.lists} == {"old", "new"}
        assert history.strangers() == []
        assert history.written_twice() == {}
        assert quiet(process) == []


def test_service_of_an_empty_ring_that_fills_again_in_time_stays(rings: Installation, namespace: str) -> None:
    with rings.controller("lingering", "--ring-linger=3600"):
        rings.deploy(namespace, "redis", 2, ring="payments")
        rings.ring(namespace, 2)
        rings.scale(namespace, "redis", 0)
        rings.wait("the ring to be empty", lambda: not rings.pods(namespace))
    with rings.controller("lingering", "--ring-linger=1"):
        # Nobody remembers since when it has been empty: it is given the whole time again.
        rings.wait("the Service to go", lambda: not services(rings, namespace))


def test_namespace_that_is_deleted_with_50_pods_is_no_trouble(rings: Installation) -> None:
    with rings.controller("ending") as process:
        with rings.namespace() as namespace:
            rings.deploy(namespace, "redis", 50, ring="payments", ring_key="managed")
            rings.ring(namespace, 50)
            rings.cluster.kubectl("delete", "namespace", namespace, "--wait=false")
            rings.wait(
                "the namespace to go",
                lambda: rings.cluster.request("GET", f"/api/v1/namespaces/{namespace}")[0] == 404,
            )
        # The controller has seen its end when it sees what comes after it.
        with rings.namespace() as later:
            rings.deploy(later, "redis", 2, ring="payments")
            rings.ring(later, 2)
        rings.wait("nothing left to do", lambda: process.metric("queue_depth") == 0)
        assert quiet(process) == []
        # On a busy machine a Lease of three seconds may be lost, which is no trouble with a namespace.
        warnings = [line for line in process.lines() if line["level"] == "warning" and "lease" not in line]
        assert warnings == []
        assert process.metric("reconcile_failures_total") == 0
    refused = [c for c in rings.done() if c.namespace == namespace and c.code in (401, 403)]
    assert all("because it is being terminated" in c.message for c in refused)

"""What is read of a pod, out of what the webhook has made of it and what the kubelet says of it."""

from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import jsonpatch
import pytest

from webhook.decide import Settings
from webhook.inject import Situation, inject
from webhook.ring.pods import PEERS_MANAGER, Owner, member
from webhook.rings import Ring

STATUS = {
    "phase": "Running",
    "podIP": "10.1.2.3",
    "podIPs": [{"ip": "10.1.2.3"}],
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [
        {"name": "log", "state": {"running": {"startedAt": "2026-03-01T11:00:00Z"}}},
        {"name": "main", "restartCount": 0, "state": {"running": {"startedAt": "2026-03-01T12:00:10Z"}}},
    ],
}
NOON = 1772366400.0


def injected(namespace: str = "shop", **annotations: str) -> dict[str, Any]:
    """A pod after the webhook, as the API server would show it."""
    said = {"habitat.sh/service": "web", "habitat.sh/license": "accept-no-persist", "habitat.sh/container": "main"}
    pod: dict[str, Any] = {
        "metadata": {
            "name": "web-0",
            "namespace": namespace,
            "uid": "u1",
            "resourceVersion": "17",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "annotations": said | {f"habitat.sh/{k.replace('_', '-')}": v for k, v in annotations.items()},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "u0"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "u2", "controller": True},
            ],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "log", "image": "l"}, {"name": "main", "image": "m"}]},
        "status": copy.deepcopy(STATUS),
    }
    enabled = {"habitat.sh/injection": "enabled"}
    settings = Settings(shared_rings=frozenset({"shared.infra"}))
    outcome = inject(pod, Situation(namespace=namespace, namespace_labels=enabled, settings=settings))
    assert not outcome.problems, outcome.message()
    made: dict[str, Any] = jsonpatch.apply_patch(pod, outcome.operations)
    return made


def test_an_injected_pod_that_runs() -> None:
    seen = member(injected(ring="payments", topology="leader"))
    assert (seen.namespace, seen.name, seen.uid, seen.version) == ("shop", "web-0", "u1", 17)
    assert (seen.ring, seen.label) == (Ring("shop", "payments"), "payments")
    assert (seen.managed, seen.injected, seen.leader, seen.service) == (True, True, True, "web.default")
    assert (seen.address, seen.node, seen.ready, seen.gone, seen.live) == ("10.1.2.3", "n1", True, False, True)
    assert (seen.created, seen.running_since, seen.started) == (NOON, NOON + 10, True)
    assert (seen.peers, seen.since, seen.generation) == (None, 0.0, None)
    assert seen.owner == Owner("apps/v1", "ReplicaSet", "web-5d", "u2")
    assert seen.path == "/api/v1/namespaces/shop/pods/web-0"


def test_a_shared_ring_is_that_of_its_namespace() -> None:
    assert member(injected(ring="shared.infra")).ring == Ring("infra", "shared")


@pytest.mark.parametrize(
    ("discovery", "ring", "managed"),
    [("dns", Ring("shop", "default"), False), ("none", None, False), ("managed", Ring("shop", "default"), True)],
)
def test_discovery_decides_about_ring_and_list(discovery: str, ring: Ring | None, managed: bool) -> None:
    seen = member(injected(discovery=discovery))
    assert (seen.ring, seen.managed) == (ring, managed)


def test_another_gossip_port_is_part_of_the_address() -> None:
    assert member(injected(gossip_port="9700")).address == "10.1.2.3:9700"


def test_the_gossip_port_is_found_where_the_user_has_named_it() -> None:
    pod = injected(gossip_port="9700")
    for port in pod["spec"]["containers"][1]["ports"]:
        port["name"] = port["name"].replace("hab-", "my-")
    assert member(pod).address == "10.1.2.3:9700"


def test_ipv4_is_taken_wherever_it_stands_and_ipv6_never() -> None:
    pod = injected()
    pod["status"] |= {"podIP": "fd00::1", "podIPs": [{"ip": "fd00::1"}, {"ip": "10.1.2.3"}]}
    assert member(pod).address == "10.1.2.3"
    pod["status"]["podIPs"].pop()
    assert (member(pod).address, member(pod).live) == ("", False)


def test_lists_and_the_time_of_their_writing() -> None:
    pod = injected()
    pod["metadata"]["annotations"]["habitat.sh/peers"] = "10.0.0.1\n10.0.0.2"
    pod["metadata"]["managedFields"] = [
        {"manager": "kubelet", "time": "2026-03-01T13:00:00Z"},
        {"manager": PEERS_MANAGER, "time": "2026-03-01T12:00:30Z"},
    ]
    assert (member(pod).peers, member(pod).since) == (("10.0.0.1", "10.0.0.2"), NOON + 30)
    pod["metadata"]["annotations"]["habitat.sh/peers"] = ""
    assert member(pod).peers == ()


@pytest.mark.parametrize(
    ("state", "since", "started"),
    [
        ({"state": {"waiting": {"reason": "CreateContainerConfigError"}}, "restartCount": 0}, None, False),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}, None, True),
        ({"state": {"terminated": {"exitCode": 86}}, "restartCount": 0}, None, True),
        ({"state": {"running": {"startedAt": "2026-03-01T12:00:00Z"}}, "restartCount": 1}, NOON, True),
    ],
)
def test_whether_its_supervisor_runs_and_ever_has(state: dict[str, Any], since: float | None, started: bool) -> None:
    pod = injected()
    pod["status"]["containerStatuses"][1] = {"name": "main"} | state
    assert (member(pod).running_since, member(pod).started) == (since, started)


def test_who_is_going_or_has_ended_is_gone() -> None:
    going, ended = injected(), injected()
    going["metadata"]["deletionTimestamp"] = "2026-03-01T12:30:00Z"
    ended["status"]["phase"] = "Succeeded"
    assert [(m.gone, m.live) for m in map(member, (going, ended))] == [(True, False), (True, False)]


def test_what_it_mounts_and_whose_key_it_takes() -> None:
    seen = member(injected(config_map="web-config", ring_key="managed", ring="payments"))
    assert (seen.config_map, seen.config_secret) == ("web-config", "")
    assert seen.key_secret == "habitat-ring-payments-key"
    assert member(injected(config_secret="hidden")).config_secret == "hidden"
    assert member(injected()).key_secret == ""


def test_a_pod_that_was_labelled_by_hand_is_no_member() -> None:
    seen = member({"metadata": {"name": "x", "namespace": "shop", "labels": {"habitat.sh/ring": "default"}}})
    assert (seen.ring, seen.managed, seen.injected) == (Ring("shop", "default"), False, False)
    assert seen.owner == Owner("v1", "Pod", "x", "")


@pytest.mark.parametrize("label", ["a.b.c", "UPPER", "-x", ".", "x."])
def test_a_label_that_is_no_rings_name_is_no_ring(label: str) -> None:
    assert member({"metadata": {"labels": {"habitat.sh/ring": label}}}).ring is None


@pytest.mark.parametrize("odd", [{}, {"metadata": None}, {"metadata": {"labels": 3}, "status": [], "spec": "x"}])
def test_an_odd_object_is_read_without_complaint(odd: dict[str, Any]) -> None:
    assert not member(odd).live


def test_updates_that_change_nothing_of_it_are_equal() -> None:
    pod = injected()
    before = member(pod)
    pod["metadata"]["resourceVersion"] = "18"
    pod["status"]["conditions"].append({"type": "ContainersReady", "status": "True"})
    assert member(pod) == before
    assert member(pod).version == 18


def test_ten_thousand_members_are_small() -> None:
    pod = injected()
    tracemalloc.start()
    try:
        kept = []
        for number in range(1000):
            pod["metadata"] |= {"name": f"web-{number}", "uid": f"00000000-0000-0000-0000-{number:012}"}
            pod["status"]["podIPs"][0]["ip"] = f"10.1.{number >> 8}.{number & 255}"
            kept.append(member(copy.deepcopy(pod)))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / len(kept) < 3000  # bytes: 30 MB for ten thousand

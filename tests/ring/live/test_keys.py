"""Managed ring keys on a real API server: made in time, once, missed when they are gone, and never shown.

The simulated kubelet cannot see Secrets: pods with the annotation simulated.kubelet/hold wait until a test lets them
run, the others run 2 to 3 s after they have got an address.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.ring.live.installation import Installation, deployment
from tests.ring.live.observing import Leader, Object, ask, events, find, heard, requests, shown
from tests.support.supervisor import ring_key_name
from webhook.ring import keys, service
from webhook.ring.keys import RingKey
from webhook.rings import Ring

HOLD = "simulated.kubelet/hold"
FLAGS = ("--key-check=1", "--ring-linger=1", "--log-level=debug")
SECRET = "habitat-ring-payments-key"
SERVICE = "habitat-ring-payments"
QUOTA = {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}}


@pytest.fixture(scope="module")
def leader(rings: Installation) -> Iterator[Leader]:
    with contextlib.ExitStack() as stack:
        yield Leader(rings, stack, *FLAGS)


@pytest.fixture(autouse=True)
def seen(rings: Installation, namespace: str, leader: Leader) -> Iterator[list[Object]]:
    """The keys that a test has come across. After it no part of one is in what the controller has said, be it to its
    log at level debug.
    """
    known: list[Object] = []
    yield known
    known += ask(rings, "GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
    assert known
    assert shown(rings, leader.process, namespace, known) == []


def make(rings: Installation, namespace: str, replicas: int, *, held: bool = False) -> None:
    body = deployment(namespace, "redis", replicas, ring="payments", ring_key="managed")
    if held:
        body["spec"]["template"]["metadata"]["annotations"][HOLD] = "true"
    rings.cluster.apply(json.dumps(body))


def secret(rings: Installation, namespace: str) -> Object:
    return find(rings, f"/api/v1/namespaces/{namespace}/secrets/{SECRET}")


def made(rings: Installation, namespace: str) -> Object:
    return rings.wait("the key", lambda: secret(rings, namespace), seconds=30)


def delete_key(rings: Installation, namespace: str) -> None:
    ask(rings, "DELETE", f"/api/v1/namespaces/{namespace}/secrets/{SECRET}")


def states(rings: Installation, namespace: str) -> set[str]:
    """Of all containers, such as "running" or the reason for which one waits."""
    pods = rings.pods(namespace)
    found = [s["state"] for p in pods for s in p.get("status", {}).get("containerStatuses", [{"state": {}}])]
    return {s.get("waiting", {}).get("reason") or next(iter(s), "") for s in found}


def run(rings: Installation, namespace: str) -> None:
    """Lets held pods run, and waits until all do."""
    rings.cluster.kubectl("annotate", "pods", "--all", f"--namespace={namespace}", f"{HOLD}-")
    running(rings, namespace)


def running(rings: Installation, namespace: str) -> None:
    rings.wait("all pods to run", lambda: states(rings, namespace) == {"running"}, seconds=30)


def revision(rings: Installation, namespace: str) -> str | None:
    found = find(rings, f"/api/v1/namespaces/{namespace}/services/{SERVICE}")
    return service.key_revision(found) if found else None


def written(rings: Installation, namespace: str) -> int:
    """Secrets that the controller has made there."""
    asked = requests(rings, namespace, "create", "secrets")
    return sum(r.code == 201 and "dryRun" not in r.query for r in asked)


def test_key_is_there_before_the_pods_run_and_the_service_names_its_revision(
    rings: Installation, namespace: str
) -> None:
    make(rings, namespace, 3, held=True)
    found = made(rings, namespace)
    rings.ring(namespace, 3)
    assert states(rings, namespace) == {"CreateContainerConfigError"}
    assert found["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "habitat-webhook",
        "habitat.sh/ring": "payments",
    }
    assert (found["immutable"], found["type"], list(found["data"])) == (True, "Opaque", ["ring-key"])

    key = keys.read(found)
    text = base64.b64decode(found["data"]["ring-key"]).decode()
    assert ring_key_name(text) == f"payments.{namespace}"
    assert text.split("\n")[::2] == ["SYM-SEC-1", ""]
    assert (key.name, len(key.material)) == (f"payments.{namespace}", keys.KEY_BYTES)
    assert found["metadata"]["annotations"] == {service.KEY_REVISION: key.revision}
    rings.wait("the revision on the Service", lambda: revision(rings, namespace) == key.revision)
    for kind in ("Service", "ReplicaSet"):
        event = heard(rings, namespace, "RingKeyCreated", kind, note=key.revision)
        assert event["type"] == "Normal"

    [pod, *_] = rings.pods(namespace)
    container = pod["spec"]["containers"][0]
    variable = next(v for v in container["env"] if v["name"] == "HAB_RING_KEY")
    assert variable["valueFrom"]["secretKeyRef"] == {"name": SECRET, "key": "ring-key"}
    run(rings, namespace)
    assert secret(rings, namespace) == found


def test_pods_that_wait_for_a_key_are_not_ready_and_have_their_peers_all_the_same(
    rings: Installation, namespace: str
) -> None:
    make(rings, namespace, 4)
    rings.ring(namespace, 4)
    running(rings, namespace)
    first = min(p["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] for p in rings.pods(namespace))
    assert secret(rings, namespace)["metadata"]["creationTimestamp"] <= first


def test_controller_that_starts_later_neither_replaces_the_key_nor_makes_another(
    rings: Installation, namespace: str, leader: Leader
) -> None:
    make(rings, namespace, 2)
    found = made(rings, namespace)
    running(rings, namespace)
    rings.wait("the revision on the Service", lambda: revision(rings, namespace))
    before = len(probes(rings, namespace))
    leader.restart()
    rings.scale(namespace, "redis", 3)
    rings.ring(namespace, 3)
    rings.wait("the new controller to look for the key", lambda: len(probes(rings, namespace)) > before)
    assert secret(rings, namespace) == found
    assert written(rings, namespace) == 1
    assert leader.process.metric("ring_keys_missing") == 0


def probes(rings: Installation, namespace: str) -> list[int]:
    """The answers to the question whether the key is there: 409 says yes, 201 no."""
    asked = requests(rings, namespace, "create", "secrets")
    return [r.code for r in asked if r.query.get("dryRun") == "All"]


def test_key_that_is_deleted_while_pods_run_is_missed_and_not_replaced(
    rings: Installation, namespace: str, leader: Leader
) -> None:
    make(rings, namespace, 3)
    found = made(rings, namespace)
    running(rings, namespace)
    rings.wait("the revision on the Service", lambda: revision(rings, namespace))
    delete_key(rings, namespace)
    known = keys.read(found).revision
    for kind in ("Service", "ReplicaSet"):
        event = heard(rings, namespace, "RingKeyMissing", kind, note=f"(revision {known}) is gone")
        assert event["type"] == "Warning"
    rings.wait("the metric to say so", lambda: leader.process.metric("ring_keys_missing") == 1)

    # New pods change nothing about that, nor do later looks.
    before = len(probes(rings, namespace))
    rings.scale(namespace, "redis", 5)
    rings.ring(namespace, 5)
    rings.wait("two more looks for the key", lambda: len(probes(rings, namespace)) >= before + 2)
    assert set(probes(rings, namespace)[before:]) == {201}
    assert secret(rings, namespace) == {}
    assert written(rings, namespace) == 1

    kept = {k: v for k, v in found["metadata"].items() if k in ("name", "namespace", "labels", "annotations")}
    ask(rings, "POST", f"/api/v1/namespaces/{namespace}/secrets", found | {"metadata": kept}, expected=201)
    rings.wait("the metric to be 0 again", lambda: leader.process.metric("ring_keys_missing") == 0)


def test_ring_that_has_lost_its_key_and_all_its_pods_begins_with_another(
    rings: Installation, namespace: str, leader: Leader, seen: list[Object]
) -> None:
    make(rings, namespace, 2)
    seen.append(made(rings, namespace))
    first = keys.read(seen[0])
    running(rings, namespace)
    delete_key(rings, namespace)
    rings.wait("the key to be missed", lambda: leader.process.metric("ring_keys_missing") == 1)
    rings.scale(namespace, "redis", 0)
    gone(rings, namespace)
    assert leader.process.metric("ring_keys_missing") == 0
    rings.scale(namespace, "redis", 2)
    second = keys.read(made(rings, namespace))
    assert second.material != first.material
    rings.wait("the new revision on the Service", lambda: revision(rings, namespace) == second.revision)
    assert written(rings, namespace) == 2


def gone(rings: Installation, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services/{SERVICE}"
    rings.wait("the Service to be removed", lambda: not find(rings, path), seconds=30)


def test_key_outlives_its_ring_and_serves_the_next_one(rings: Installation, namespace: str) -> None:
    make(rings, namespace, 1)
    found = made(rings, namespace)
    rings.wait("the revision on the Service", lambda: revision(rings, namespace))
    rings.scale(namespace, "redis", 0)
    gone(rings, namespace)
    rings.scale(namespace, "redis", 2)
    rings.ring(namespace, 2)
    running(rings, namespace)
    assert secret(rings, namespace) == found
    assert written(rings, namespace) == 1


def test_key_of_somebody_else_is_used_as_it_is(rings: Installation, namespace: str) -> None:
    """Such as one that was moved here from another cluster; the API server's 409 says that it is there."""
    own = RingKey("mine-20260301120000", bytes(range(32)))
    body = {"metadata": {"name": SECRET}, "stringData": {"ring-key": own.text}}
    before = ask(rings, "POST", f"/api/v1/namespaces/{namespace}/secrets", body, expected=201)
    make(rings, namespace, 2)
    rings.ring(namespace, 2)
    running(rings, namespace)
    rings.wait("a look after that", lambda: 409 in probes(rings, namespace))
    assert secret(rings, namespace) == before
    assert written(rings, namespace) == 0
    assert not events(rings, namespace, "RingKeyCreated", "ReplicaSet")
    assert not events(rings, namespace, "RingKeyMissing", "ReplicaSet")


def quota(rings: Installation, namespace: str) -> str:
    """No Secret may be made any more; the quota's path."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    ask(rings, "POST", path, QUOTA, expected=201)
    probe = keys.probe(Ring(namespace, "other"), namespace)

    def in_force() -> bool:
        return rings.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets?dryRun=All", probe)[0] == 403

    rings.wait("the quota to be in force", in_force)
    return f"{path}/none"


def complaints(leader: Leader, namespace: str) -> list[Object]:
    lines = [line for line in leader.process.lines() if line.get("ring") == f"payments.{namespace}"]
    return [line for line in lines if "exceeded quota" in line.get("error", "")]


def test_quota_that_forbids_secrets_is_reported_and_holds_up_nothing_but_the_key(
    rings: Installation, namespace: str, leader: Leader
) -> None:
    path = quota(rings, namespace)
    failures = leader.process.metric("reconcile_failures_total")
    make(rings, namespace, 3, held=True)
    rings.ring(namespace, 3)
    rings.wait("the Service", lambda: find(rings, f"/api/v1/namespaces/{namespace}/services/{SERVICE}"))
    [said, *_] = rings.wait("the log to say why", lambda: complaints(leader, namespace))
    assert (said["level"], said["message"]) == ("warning", "ring not reconciled")
    assert leader.process.metric("reconcile_failures_total") > failures
    assert leader.process.metric("writes_total", kind="secret", result="error") >= 1

    ask(rings, "DELETE", path)
    found = made(rings, namespace)
    rings.wait("the revision on the Service", lambda: revision(rings, namespace) == keys.read(found).revision)
    run(rings, namespace)


def test_quota_that_is_full_later_keeps_no_service_from_being_mended(
    rings: Installation, namespace: str, leader: Leader
) -> None:
    """It answers the question whether the key is there with neither yes nor no: nothing is missed, nothing is made."""
    make(rings, namespace, 2)
    found = made(rings, namespace)
    running(rings, namespace)
    quota(rings, namespace)
    rings.wait("the log to say why", lambda: complaints(leader, namespace))
    path = f"/api/v1/namespaces/{namespace}/services/{SERVICE}"
    uid = ask(rings, "GET", path)["metadata"]["uid"]
    ask(rings, "DELETE", path)
    rings.wait("the Service to be back", lambda: find(rings, path).get("metadata", {}).get("uid", uid) != uid)
    rings.scale(namespace, "redis", 3)
    rings.ring(namespace, 3)
    assert secret(rings, namespace) == found
    assert leader.process.metric("ring_keys_missing") == 0
    assert not events(rings, namespace, "RingKeyMissing", "ReplicaSet")

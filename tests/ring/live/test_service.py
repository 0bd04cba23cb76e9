"""The ring's headless Service on a real API server: made, mended, left alone if it is somebody else's, taken away."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ring.live.installation import Installation
from tests.ring.live.observing import Object, ask, events, find, heard, leading, requests
from tests.support.controller import ControllerProcess
from webhook.ring import service
from webhook.rings import Ring

NAME = "habitat-ring-payments"
LINGER = 4
"""Seconds; long enough for a pod to come back in time on a busy machine."""

OURS = {"app.kubernetes.io/managed-by": "habitat-webhook", "habitat.sh/ring": "payments"}


@pytest.fixture(scope="module", autouse=True)
def quick(rings: Installation) -> Iterator[ControllerProcess]:
    with leading(rings, f"--ring-linger={LINGER}") as process:
        yield process


@pytest.fixture(scope="module")
def ring(rings: Installation) -> Iterator[str]:
    """A namespace with a ring of two, for tests that do something to its Service and leave it mended."""
    with rings.namespace() as namespace:
        rings.deploy(namespace, "redis", 2, ring="payments")
        rings.ring(namespace, 2)
        there(rings, namespace)
        yield namespace


def path(namespace: str, name: str = NAME) -> str:
    return f"/api/v1/namespaces/{namespace}/services/{name}"


def there(rings: Installation, namespace: str, *, unlike: str = "") -> Object:
    """The ring's Service, once it is there and right; unlike: a uid that it must not have."""

    def attempt() -> Object:
        found = find(rings, path(namespace))
        right = found and service.is_ours(found) and not service.drift(found) and found["metadata"]["uid"] != unlike
        return found if right else {}

    return rings.wait("the ring's Service", attempt, seconds=30)


def gone(rings: Installation, namespace: str) -> None:
    rings.wait("the Service to be removed", lambda: not find(rings, path(namespace)), seconds=30)


def put(rings: Installation, namespace: str, **spec: Any) -> Object:
    """Somebody changes some fields of the Service; None for one that is taken away."""

    def attempt() -> Object:
        found = find(rings, path(namespace))
        changed = {k: v for k, v in (found["spec"] | spec).items() if v is not None}
        status, answer = rings.cluster.request("PUT", path(namespace), found | {"spec": changed})
        assert status in (200, 409), answer
        return answer if status == 200 else {}

    return rings.wait("the update to be taken", attempt)


def test_service_appears_with_the_first_pod_exactly_as_it_should_be(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 1, ring="payments")
    found = there(rings, namespace)
    metadata, spec = found["metadata"], found["spec"]
    assert metadata["labels"] == OURS
    assert not {"annotations", "ownerReferences", "finalizers"} & metadata.keys()
    ports = [(p["name"], p["port"], p["targetPort"], p["protocol"]) for p in spec.pop("ports")]
    assert ports == [
        ("hab-gossip-udp", 9638, 9638, "UDP"),
        ("hab-gossip-tcp", 9638, 9638, "TCP"),
        ("hab-http", 9631, 9631, "TCP"),
    ]
    assert spec == {
        "type": "ClusterIP",
        "clusterIP": "None",
        "clusterIPs": ["None"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "publishNotReadyAddresses": True,
        "selector": {"habitat.sh/ring": "payments"},
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }
    formed = heard(rings, namespace, "RingFormed", "Service")
    assert (formed["type"], formed["regarding"]["uid"]) == ("Normal", metadata["uid"])
    assert [r.code for r in requests(rings, namespace, "create", "services")] == [201]


SPOILED: dict[str, tuple[Object, str]] = {
    "selector": ({"selector": {"app": "web"}}, 'spec.selector is "app=web", not "habitat.sh/ring=payments"'),
    "a port of its own": ({"ports": [{"name": "hab-http", "port": 9631, "targetPort": 80}]}, "9631/TCP to 80"),
    "a port missing": ({"ports": [{"name": "hab-http", "port": 9631}]}, "hab-gossip-udp (9638/UDP) is missing"),
    "not ready": ({"publishNotReadyAddresses": False}, "spec.publishNotReadyAddresses is missing"),
    "external": ({"externalIPs": ["192.0.2.1"]}, 'spec.externalIPs is "192.0.2.1"'),
}


@pytest.mark.parametrize("case", SPOILED)
def test_drifted_service_is_repaired_and_an_event_names_what_differed(
    rings: Installation, ring: str, case: str
) -> None:
    change, said = SPOILED[case]
    spoiled = put(rings, ring, **change)
    assert service.drift(spoiled)
    repaired = there(rings, ring)
    assert repaired["metadata"]["uid"] == spoiled["metadata"]["uid"]
    event = heard(rings, ring, "ServiceRepaired", "Service", note=said)
    assert (event["type"], event["regarding"]["uid"]) == ("Warning", spoiled["metadata"]["uid"])


def test_labels_and_annotations_of_others_survive_a_repair_and_cause_none(rings: Installation, ring: str) -> None:
    before = there(rings, ring)
    where = (NAME, f"--namespace={ring}")
    rings.cluster.kubectl("label", "service", *where, "team=a")
    rings.cluster.kubectl("annotate", "service", *where, "example.com/note=mine")
    # One of ours as well, so that there is something to mend.
    rings.cluster.kubectl("label", "service", *where, "habitat.sh/ring=other", "--overwrite")
    after = there(rings, ring)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == OURS | {"team": "a"}
    assert after["metadata"]["annotations"] == {"example.com/note": "mine"}
    heard(rings, ring, "ServiceRepaired", "Service", note='the label habitat.sh/ring is "other", not "payments"')
    repairs = [r for r in requests(rings, ring, "update", "services") if r.code == 200]
    told = events(rings, ring, "ServiceRepaired", "Service")
    assert len(repairs) == len(told), "a label and an annotation of others are nothing to mend"


def test_deleted_service_comes_back(rings: Installation, ring: str) -> None:
    before = there(rings, ring)
    ask(rings, "DELETE", path(ring))
    there(rings, ring, unlike=before["metadata"]["uid"])


def test_service_that_was_turned_into_an_external_name_is_mended(rings: Installation, ring: str) -> None:
    no_address: Object = {"clusterIP": None, "clusterIPs": None, "ipFamilies": None, "ipFamilyPolicy": None}
    put(rings, ring, type="ExternalName", externalName="example.com", **no_address)
    assert "externalName" not in there(rings, ring)["spec"]
    heard(rings, ring, "ServiceRepaired", "Service", note='spec.type is "ExternalName", not "ClusterIP"')


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_service_with_an_address_of_its_own_is_made_anew(rings: Installation, namespace: str, kind: str) -> None:
    """Under our label: somebody has restored it from a file without `clusterIP: None`, before the ring's pods."""
    theirs = service.desired(Ring(namespace, "payments"))
    theirs["spec"] |= {"type": kind, "clusterIP": None}
    theirs["metadata"]["labels"] |= {"team": "b"}
    made = ask(rings, "POST", path(namespace, ""), theirs, expected=201)
    assert service.needs_recreation(made)
    rings.deploy(namespace, "redis", 1, ring="payments")
    after = there(rings, namespace, unlike=made["metadata"]["uid"])
    assert after["metadata"]["labels"] == OURS | {"team": "b"}
    event = heard(rings, namespace, "ServiceRecreated", "Service", note="spec.clusterIP is ")
    assert (event["type"], event["regarding"]["uid"]) == ("Warning", after["metadata"]["uid"])


def test_foreign_service_is_not_touched_and_the_ring_forms_without_it(
    rings: Installation, namespace: str, quick: ControllerProcess
) -> None:
    theirs: Object = {
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    ask(rings, "POST", path(namespace, ""), theirs, expected=201)
    before = text(rings, namespace)
    rings.deploy(namespace, "redis", 3, ring="payments")
    rings.ring(namespace, 3)
    on_service = heard(rings, namespace, "ForeignService", "Service")
    on_owner = heard(rings, namespace, "ForeignService", "ReplicaSet")
    assert (on_service["type"], on_owner["type"]) == ("Warning", "Warning")
    assert "lacks the label app.kubernetes.io/managed-by=habitat-webhook" in on_service["note"]
    assert quick.metric("foreign_services") == 1
    # The ring comes and goes, and the Service is still nobody's business.
    rings.scale(namespace, "redis", 0)
    rings.wait("the ring to be empty", lambda: quick.metric("foreign_services") == 0)
    assert text(rings, namespace) == before
    assert not requests(rings, namespace, "update", "services")
    assert not requests(rings, namespace, "delete", "services")

    ask(rings, "DELETE", path(namespace))
    rings.scale(namespace, "redis", 2)
    rings.ring(namespace, 2)
    there(rings, namespace)


def test_service_whose_label_is_taken_away_is_somebody_elses_from_then_on(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 2, ring="payments")
    there(rings, namespace)
    where = (NAME, f"--namespace={namespace}")
    rings.cluster.kubectl("label", "service", *where, "app.kubernetes.io/managed-by-")
    heard(rings, namespace, "ForeignService", "Service")
    before = put(rings, namespace, selector={"app": "web"})
    rings.scale(namespace, "redis", 4)
    rings.ring(namespace, 4)
    assert find(rings, path(namespace)) == before
    assert not requests(rings, namespace, "update", "services")


def text(rings: Installation, namespace: str) -> bytes:
    """Byte for byte, resourceVersion and managed fields with it."""
    with contextlib.closing(rings.cluster.connect()) as connection:
        connection.request("GET", path(namespace), headers={"Accept": "application/json"})
        return connection.getresponse().read()


def test_service_is_removed_when_the_ring_has_been_empty_for_the_linger(rings: Installation, namespace: str) -> None:
    rings.deploy(namespace, "redis", 2, ring="payments")
    rings.ring(namespace, 2)
    there(rings, namespace)
    deletes_name_the_uid(rings, namespace)
    before = time.time()
    rings.scale(namespace, "redis", 0)
    gone(rings, namespace)
    assert [r.code for r in requests(rings, namespace, "delete", "services")] == [200]
    assert requests(rings, namespace, "delete", "services")[0].at - before >= LINGER


def deletes_name_the_uid(rings: Installation, namespace: str) -> None:
    """From here on the API server refuses the controller's delete of a Service unless it says which one it means."""
    name = f"deletes-name-the-uid-{namespace}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["services"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    named = (
        "has(request.options.preconditions) && has(request.options.preconditions.uid) &&"
        " request.options.preconditions.uid == oldObject.metadata.uid"
    )
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
            "validations": [{"expression": named, "message": "which one?"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    rings.cluster.apply("\n---\n".join(map(json.dumps, (policy, binding))))

    def refused() -> bool:
        status, answer = rings.cluster.request("DELETE", f"{path(namespace)}?dryRun=All")
        return status == 422 and "which one?" in answer["message"]

    rings.wait("the policy to be in force", refused)


def test_service_stays_when_a_pod_comes_back_in_time(rings: Installation, namespace: str) -> None:
    """Another ring, that is emptied at the same moment and stays empty, tells when the time is over."""
    rings.deploy(namespace, "empty", 1, ring="empty")
    rings.deploy(namespace, "redis", 1, ring="payments")
    before = there(rings, namespace)
    rings.wait("the other ring's Service", lambda: find(rings, path(namespace, "habitat-ring-empty")))
    rings.scale(namespace, "redis", 0)
    rings.scale(namespace, "empty", 0)
    rings.wait("both rings to be empty", lambda: not rings.pods(namespace))
    rings.scale(namespace, "redis", 1)
    rings.wait("the pod to be back", lambda: rings.pods(namespace))
    rings.wait("the other ring's Service to go", lambda: not find(rings, path(namespace, "habitat-ring-empty")))
    assert there(rings, namespace)["metadata"]["uid"] == before["metadata"]["uid"]
    assert [r.name for r in requests(rings, namespace, "delete", "services")] == ["habitat-ring-empty"]

"""Rings over several namespaces: one peer graph, one key, and a Service in the ring's own namespace alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.controlplane.client import WaitError
from tests.ring.live.installation import ENABLED, SHARED, Installation, address, connected, deployment, healthy, peers
from tests.ring.live.observing import Object, ask, find, heard, leading, requests, shown
from tests.support.controller import ControllerProcess
from webhook.ring import keys, service
from webhook.ring.keys import RingKey
from webhook.rings import Ring

HOME = "infra"
OWN, COPY = "habitat-ring-shared-key", "habitat-ring-shared.infra-key"
KEY = RingKey("shared.infra-20260301120000", bytes(range(32)))


@pytest.fixture(scope="module", autouse=True)
def quick(rings: Installation) -> Iterator[ControllerProcess]:
    with leading(rings, "--key-check=1", "--ring-linger=1") as process:
        yield process


@pytest.fixture
def home(rings: Installation) -> Iterator[str]:
    """The namespace that --shared-rings names, without a ring in it and without keys. It stays: to make it anew takes
    long. Ask for it after the namespaces that join: the rings are emptied first, and then they go.
    """
    if not find(rings, f"/api/v1/namespaces/{HOME}"):
        found(rings)
    yield HOME
    empty(rings)


def empty(rings: Installation) -> None:
    """Ends every ring of this file, and takes its keys away."""
    for one in ask(rings, "GET", "/apis/apps/v1/deployments")["items"]:
        if one["metadata"]["name"] == "app" and one["spec"]["replicas"]:
            namespace = f"--namespace={one['metadata']['namespace']}"
            done = rings.cluster.run_kubectl("scale", "deployment/app", "--replicas=0", namespace)
            # A namespace that is being deleted may have taken it away by now.
            assert done.returncode == 0 or "not found" in done.stderr, done.stderr
    path = f"/api/v1/namespaces/{HOME}/services"
    rings.wait("the rings' Services to go", lambda: not ask(rings, "GET", path)["items"])
    rings.cluster.kubectl("delete", "deployments,secrets", "--all", f"--namespace={HOME}", "--wait=false")


def found(rings: Installation) -> None:
    """Founds the namespace. One that is being deleted is waited for."""
    body = {"metadata": {"name": HOME, "labels": ENABLED}}
    rings.wait("the name to be free", lambda: rings.cluster.request("POST", "/api/v1/namespaces", body)[0] == 201)
    account = f"/api/v1/namespaces/{HOME}/serviceaccounts/default"
    rings.wait("its service account", lambda: find(rings, account))


@pytest.fixture
def elsewhere(rings: Installation, namespace: str) -> Iterator[tuple[str, str]]:
    """Two namespaces that join the ring."""
    with rings.namespace() as other:
        yield namespace, other


def join(rings: Installation, namespace: str, replicas: int = 2, **annotations: str) -> None:
    """A Deployment in the shared ring; the pods' grace is short, so that a namespace with them goes quickly."""
    ring = "shared" if namespace == HOME else SHARED
    body = deployment(namespace, "app", replicas, ring=ring, **(annotations or {"ring_key": "managed"}))
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    rings.cluster.apply(json.dumps(body))


def everybody(rings: Installation, *namespaces: str, each: int = 2) -> list[Object]:
    """Waits until all of them are one ring; its pods."""
    last: list[Object] = []

    def attempt() -> bool:
        parts = [rings.pods(namespace) for namespace in namespaces]
        last[:] = [pod for part in parts for pod in part]
        return all(len(part) == each for part in parts) and healthy(last)

    try:
        rings.wait("one ring of all", attempt, seconds=30)
    except WaitError:
        lists = "\n".join(f"{p['metadata']['namespace']} {address(p)} {peers(p)}" for p in last)
        raise AssertionError(f"no ring of {each} pods in each of {namespaces}, but\n{lists}") from None
    return last


def secret(rings: Installation, namespace: str) -> Object:
    name = OWN if namespace == HOME else COPY
    return find(rings, f"/api/v1/namespaces/{namespace}/secrets/{name}")


def keyed(rings: Installation, namespace: str) -> Object:
    return rings.wait(f"the key in {namespace}", lambda: secret(rings, namespace), seconds=30)


@pytest.mark.parametrize("keyed_ring", [False, True], ids=["no key", "managed key"])
def test_ring_whose_namespace_is_founded_later_gets_its_service_and_its_key_then(
    rings: Installation, elsewhere: tuple[str, str], *, keyed_ring: bool
) -> None:
    """The first test of this file: the others leave the namespace behind."""
    if find(rings, f"/api/v1/namespaces/{HOME}"):
        rings.cluster.kubectl("delete", "namespace", HOME, "--timeout=60s")
    for namespace in elsewhere:
        join(rings, namespace, ring_key="managed" if keyed_ring else "ring-secret")
    everybody(rings, *elsewhere)
    found(rings)
    if keyed_ring:
        first = keyed(rings, HOME)
        assert [keyed(rings, namespace)["data"] for namespace in elsewhere] == [first["data"]] * 2
    rings.wait(
        "the Service", lambda: find(rings, f"/api/v1/namespaces/{HOME}/services/habitat-ring-shared"), seconds=30
    )
    empty(rings)


def test_pods_of_three_namespaces_are_one_ring_with_one_service_and_one_key(
    rings: Installation, elsewhere: tuple[str, str], home: str, quick: ControllerProcess
) -> None:
    everywhere = (home, *elsewhere)
    for namespace in everywhere:
        join(rings, namespace)
    pods = everybody(rings, *everywhere)
    lists = {address(p): peers(p) for p in pods}
    assert connected(lists)
    whose = {address(p): p["metadata"]["namespace"] for p in pods}
    assert any(whose[peer] != whose[pod] for pod, told in lists.items() for peer in told)

    name = "habitat-ring-shared"
    made = rings.wait("the Service", lambda: find(rings, f"/api/v1/namespaces/{home}/services/{name}"))
    assert service.drift(made) == []
    first = keyed(rings, home)
    revision = keys.read(first).revision
    assert revision.startswith("shared.infra-")
    for namespace in elsewhere:
        copy = keyed(rings, namespace)
        assert copy["data"] == first["data"]
        assert copy["immutable"] is True
        assert copy["metadata"]["labels"]["habitat.sh/ring"] == SHARED
        assert ask(rings, "GET", f"/api/v1/namespaces/{namespace}/services")["items"] == []
        assert not requests(rings, namespace, "create", "services")
    heard(rings, home, "RingKeyCreated", "Service", note=revision)
    assert shown(rings, quick, home, [first]) == []


def test_namespace_that_goes_leaves_the_others_one_ring(
    rings: Installation, elsewhere: tuple[str, str], home: str, quick: ControllerProcess
) -> None:
    goes, stays = elsewhere
    for namespace in (goes, home, stays):
        join(rings, namespace)
    everybody(rings, goes, home, stays)
    first = keyed(rings, home)
    keyed(rings, goes), keyed(rings, stays)
    made = ask(rings, "GET", f"/api/v1/namespaces/{home}/services/habitat-ring-shared")
    rings.cluster.kubectl("delete", "namespace", goes, "--wait=false")
    everybody(rings, home, stays)
    for namespace in (home, stays):
        rings.scale(namespace, "app", 3)
    everybody(rings, home, stays, each=3)
    assert secret(rings, home) == first
    after = ask(rings, "GET", f"/api/v1/namespaces/{home}/services/habitat-ring-shared")
    assert after["metadata"]["uid"] == made["metadata"]["uid"]
    assert quick.metric("ring_keys_missing") == 0


def test_namespace_whose_quota_forbids_secrets_does_not_keep_the_key_from_the_others(
    rings: Installation, elsewhere: tuple[str, str], home: str, quick: ControllerProcess
) -> None:
    full, other = elsewhere
    path = f"/api/v1/namespaces/{full}/resourcequotas"
    ask(rings, "POST", path, {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}}, expected=201)
    secrets = f"/api/v1/namespaces/{full}/secrets"
    probe = keys.probe(Ring(full, "other"), full)
    rings.wait("the quota", lambda: rings.cluster.request("POST", f"{secrets}?dryRun=All", probe)[0] == 403)
    join(rings, full)
    rings.wait("pods in the one that is full", lambda: len(rings.pods(full)) == 2)
    rings.wait("the refusal", lambda: quick.metric("writes_total", kind="secret", result="error"))
    join(rings, other)
    keyed(rings, other)
    everybody(rings, full, other)
    revision = keys.read(keyed(rings, home)).revision
    made = f"/api/v1/namespaces/{home}/services/habitat-ring-shared"
    rings.wait("the revision on the Service", lambda: service.key_revision(ask(rings, "GET", made)) == revision)
    ask(rings, "DELETE", f"{path}/none")
    keyed(rings, full)


def key_by_hand(rings: Installation, namespace: str, text: str) -> None:
    name = OWN if namespace == HOME else COPY
    body = {"metadata": {"name": name}, "data": {"ring-key": base64.b64encode(text.encode()).decode()}}
    ask(rings, "POST", f"/api/v1/namespaces/{namespace}/secrets", body, expected=201)


def test_copy_that_is_another_key_is_reported_and_left_alone(
    rings: Installation, namespace: str, home: str, quick: ControllerProcess
) -> None:
    key_by_hand(rings, namespace, KEY.text)
    before = secret(rings, namespace)
    for place in (home, namespace):
        join(rings, place)
    everybody(rings, home, namespace)
    event = heard(rings, namespace, "RingKeyMissing", "ReplicaSet", note="is not the key of the ring shared.infra")
    assert event["type"] == "Warning"
    rings.wait("the metric", lambda: quick.metric("ring_keys_missing") == 1)
    assert secret(rings, namespace) == before
    ask(rings, "DELETE", f"/api/v1/namespaces/{namespace}/secrets/{COPY}")
    rings.wait("the metric to be 0 again", lambda: quick.metric("ring_keys_missing") == 0)
    assert secret(rings, namespace)["data"] == keyed(rings, home)["data"]


def test_unreadable_key_of_the_ring_is_reported_and_holds_up_nothing_else(
    rings: Installation, namespace: str, home: str, quick: ControllerProcess
) -> None:
    """Somebody has made the Secret by hand, and wrongly. What is in it is in no message."""
    key_by_hand(rings, home, "correct horse battery staple")
    for place in (home, namespace):
        join(rings, place)
    everybody(rings, home, namespace)
    rings.wait("the Service", lambda: find(rings, f"/api/v1/namespaces/{home}/services/habitat-ring-shared"))
    event = heard(rings, namespace, "RingKeyMissing", "ReplicaSet", note="line 1 is not SYM-SEC-1")
    assert event["type"] == "Warning"
    assert secret(rings, namespace) == {}
    assert "horse" not in quick.output.read_text() + event["note"]
    ask(rings, "DELETE", f"/api/v1/namespaces/{home}/secrets/{OWN}")


def test_ring_that_is_not_shared_is_refused_at_admission(rings: Installation, namespace: str) -> None:
    status, answer = rings.cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod("hidden.infra"))
    assert status == 422
    assert '"hidden.infra" is a ring of namespace infra that is not shared with others' in answer["message"]


def pod(ring: str, name: str = "stranger") -> Object:
    template: Object = deployment("", "app", 1, ring=ring)["spec"]["template"]
    return template | {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": name}}


def test_pod_that_was_put_into_an_unlisted_ring_by_hand_gets_no_peers_and_is_nobodys(
    rings: Installation, namespace: str, home: str
) -> None:
    """It carries our record and label already, in a namespace of which the webhook is not asked."""
    rings.deploy(home, "app", 2, ring="hidden")
    members = rings.ring(home, 2)
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    injected = ask(rings, "POST", path, pod("hidden"), expected=201)
    labels = injected["metadata"]["labels"] | {"habitat.sh/ring": "hidden.infra"}
    metadata = {"annotations": injected["metadata"]["annotations"], "labels": labels}
    spec = {k: v for k, v in injected["spec"].items() if k in ("containers", "volumes", "securityContext")}
    with rings.cluster.namespace() as outside:
        for name in ("one", "two"):
            spec["volumes"] = [v for v in spec["volumes"] if not v["name"].startswith("kube-api-access")]
            for container in spec["containers"]:
                mounts = [m for m in container["volumeMounts"] if not m["name"].startswith("kube-api-access")]
                container["volumeMounts"] = mounts
            body = {"metadata": metadata | {"name": name}, "spec": spec}
            ask(rings, "POST", f"/api/v1/namespaces/{outside}/pods", body, expected=201)
            event = heard(rings, outside, "RingNotShared", "Pod", note="the ring hidden.infra belongs to another")
            assert event["type"] == "Warning"
        # The ring's own members change once more, so that the ring has been looked at with the strangers in sight.
        rings.scale(home, "app", 3)
        members = rings.ring(home, 3)
        strangers = rings.pods(outside)
        assert [address(s) != "" for s in strangers] == [True, True]
        assert [s["metadata"]["annotations"].get("habitat.sh/peers") for s in strangers] == [None, None]
        listed = {peer for m in members for peer in peers(m)}
        assert not listed & {address(s) for s in strangers}
        assert not requests(rings, outside, "create", "services")

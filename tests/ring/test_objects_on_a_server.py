"""What webhook/ring/service.py and keys.py say about the API server, asked of a real one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controlplane.client import Cluster
from webhook.ring import keys, service
from webhook.ring.keys import RingKey
from webhook.rings import Ring

KEY = RingKey("default.shop-20260301120000", bytes(range(32)))

Object = dict[str, Any]


class Server:
    """One namespace of the API server; every answer but the expected one fails the test."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.ring = Ring(namespace, "default")
        self.services = f"/api/v1/namespaces/{namespace}/services"
        self.secrets = f"/api/v1/namespaces/{namespace}/secrets"

    def ask(self, expected: int, method: str, path: str, body: Object | None = None) -> Object:
        status, answer = self.cluster.request(method, path, body)
        assert status == expected, answer
        return dict(answer)

    def make_service(self, **spec: Any) -> Object:
        """Ours, with some fields as somebody else would have them; None for one that is not there."""
        made = service.desired(self.ring)
        made["spec"] = {k: v for k, v in (made["spec"] | spec).items() if v is not None}
        return self.ask(201, "POST", self.services, made)

    def put(self, changed: Object, expected: int = 200) -> Object:
        return self.ask(expected, "PUT", f"{self.services}/{changed['metadata']['name']}", changed)


@pytest.fixture
def server(cluster: Cluster, namespace: str) -> Server:
    return Server(cluster, namespace)


def test_service_that_was_just_made_has_not_drifted(server: Server) -> None:
    made = server.make_service()
    assert (service.drift(made), service.repair(made)) == ([], None)
    assert made["spec"]["clusterIPs"] == ["None"]


def test_everything_that_an_update_can_spoil_an_update_mends(server: Server) -> None:
    made = server.make_service()
    made["spec"] |= {
        "publishNotReadyAddresses": False,
        "selector": {"app": "web"},
        "externalIPs": ["192.0.2.1"],
        "ports": [{"name": "hab-http", "port": 9631, "targetPort": 80}, {"name": "web", "port": 80}],
        "sessionAffinity": "ClientIP",
    }
    made["metadata"] |= {"annotations": {"note": "mine"}, "finalizers": ["example.com/wait"]}
    made["metadata"]["labels"] |= {"habitat.sh/ring": "other", "team": "a"}
    spoiled = server.put(made)
    assert len(service.drift(spoiled)) == 8
    mended = service.repair(spoiled)
    assert mended is not None
    after = server.put(mended)
    assert service.drift(after) == []
    assert after["metadata"]["annotations"] == {"note": "mine"}
    assert after["metadata"]["labels"]["team"] == "a"
    assert after["metadata"]["finalizers"] == ["example.com/wait"]
    assert after["spec"]["sessionAffinity"] == "ClientIP"
    # A namespace with a finalizer in it would never go.
    after["metadata"]["finalizers"] = []
    server.put(after)


@pytest.mark.parametrize("how", ["made", "turned"])
def test_external_name_is_mended_by_an_update(server: Server, how: str) -> None:
    """It has no cluster IP and no family of addresses, and an update may give it both."""
    no_address: Object = {"clusterIP": None, "clusterIPs": None, "ipFamilies": None, "ipFamilyPolicy": None}
    external: Object = {"type": "ExternalName", "externalName": "example.com"}
    if how == "made":
        made = server.make_service(**external, **no_address)
    else:
        headless = server.make_service()
        made = server.put(headless | {"spec": headless["spec"] | external | no_address})
    assert not no_address.keys() & made["spec"].keys()
    mended = service.repair(made)
    assert mended is not None
    assert service.drift(server.put(mended)) == []


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_cluster_ip_is_never_taken_away_by_an_update_but_by_a_new_service(server: Server, kind: str) -> None:
    made = service.with_key_revision(server.make_service(type=kind, clusterIP=None), KEY.revision)
    made = server.put(made)
    assert service.needs_recreation(made)
    attempt = made | {"spec": made["spec"] | {"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}}
    assert "clusterIP" in str(server.put(attempt, expected=422)["details"])

    options = {"preconditions": {"uid": made["metadata"]["uid"]}}
    server.ask(200, "DELETE", f"{server.services}/{made['metadata']['name']}", options)
    after = server.ask(201, "POST", server.services, service.replacement(made))
    assert service.drift(after) == []
    assert service.key_revision(after) == KEY.revision


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"clusterIP": "", "clusterIPs": []}, 200),
        ({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}, 422),
        ({"type": "NodePort"}, 422),
        ({"type": "NodePort", "clusterIP": "", "clusterIPs": []}, 422),
    ],
)
def test_headless_service_gets_no_cluster_ip_by_an_update(server: Server, change: Object, answer: int) -> None:
    """So one of ours never comes to need another in its place, unless it is deleted and made by somebody else."""
    made = server.make_service()
    server.put(made | {"spec": made["spec"] | change}, expected=answer)
    found = server.ask(200, "GET", f"{server.services}/{made['metadata']['name']}")
    assert service.drift(found) == []


def test_repair_of_an_outdated_copy_is_a_conflict(server: Server) -> None:
    made = server.make_service(publishNotReadyAddresses=False)
    server.put(made | {"spec": made["spec"] | {"selector": {"app": "web"}}})
    mended = service.repair(made)
    assert mended is not None
    server.put(mended, expected=409)


def test_probe_tells_whether_a_key_is_there_and_leaves_no_trace(server: Server) -> None:
    namespace = server.ring.namespace
    probe = keys.probe(server.ring, namespace)
    server.ask(201, "POST", f"{server.secrets}?dryRun=All", probe)
    assert server.ask(200, "GET", server.secrets)["items"] == []
    made = keys.secret(server.ring, namespace, KEY)
    server.ask(201, "POST", server.secrets, made)
    server.ask(409, "POST", f"{server.secrets}?dryRun=All", probe)
    assert keys.read(server.ask(200, "GET", f"{server.secrets}/habitat-ring-default-key")) == KEY


def test_key_that_was_made_cannot_be_changed(server: Server) -> None:
    namespace = server.ring.namespace
    made = server.ask(201, "POST", server.secrets, keys.secret(server.ring, namespace, KEY))
    other = keys.secret(server.ring, namespace, RingKey(KEY.revision, bytes(32)))
    refused = server.ask(422, "PUT", f"{server.secrets}/habitat-ring-default-key", made | {"data": other["data"]})
    assert "immutable" in refused["message"]


def test_full_quota_answers_the_probe_with_neither_yes_nor_no(server: Server) -> None:
    """Which is why only 201 and 409 count."""
    namespace = server.ring.namespace
    server.ask(201, "POST", server.secrets, keys.secret(server.ring, namespace, KEY))
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}}
    server.ask(201, "POST", f"/api/v1/namespaces/{namespace}/resourcequotas", quota)

    def refused() -> bool:
        status, _ = server.cluster.request("POST", f"{server.secrets}?dryRun=All", keys.probe(server.ring, namespace))
        return status == 403

    server.cluster.wait("the quota to be in force", refused)

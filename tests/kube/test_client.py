from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.kube.server import Request, Scripted, scripted
from webhook.kube.client import ApiError, Client
from webhook.kube.paths import resource_of

SECRET = "s3cr3t-v4lue"


def config_map(name: str, namespace: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, **fields}


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


# on the real API server


def test_object_goes_through_its_life(client: Client, maps: str, namespace: str) -> None:
    calls: list[tuple[str, str, int]] = []
    client.on_call = lambda *call: calls.append(call)
    made = client.create(maps, config_map("a", namespace, data={"k": "1"}), manager="test")
    assert made["metadata"]["managedFields"][0]["manager"] == "test"
    made["data"]["k"] = "2"
    replaced = client.replace(f"{maps}/a", made)
    assert client.patch(f"{maps}/a", {"data": {"l": "3"}})["data"] == {"k": "2", "l": "3"}
    operations = [{"op": "test", "path": "/data/k", "value": "2"}, {"op": "remove", "path": "/data/k"}]
    assert client.patch(f"{maps}/a", operations, manager="other")["data"] == {"l": "3"}
    assert client.get(f"{maps}/a")["data"] == {"l": "3"}
    with pytest.raises(ApiError) as conflict:
        client.replace(f"{maps}/a", replaced)
    assert (conflict.value.status, conflict.value.reason) == (409, "Conflict")
    client.delete(f"{maps}/a")
    with pytest.raises(ApiError) as gone:
        client.get(f"{maps}/a")
    assert str(gone.value) == f'GET {maps}/a: 404 NotFound: configmaps "a" not found'
    assert calls == [
        ("create", "configmaps", 201),
        ("update", "configmaps", 200),
        ("patch", "configmaps", 200),
        ("patch", "configmaps", 200),
        ("get", "configmaps", 200),
        ("update", "configmaps", 409),
        ("delete", "configmaps", 200),
        ("get", "configmaps", 404),
    ]


def test_json_patch_whose_test_fails_changes_nothing(client: Client, maps: str, namespace: str) -> None:
    client.create(maps, config_map("a", namespace, data={"k": "1"}))
    operations = [{"op": "test", "path": "/data/k", "value": "9"}, {"op": "remove", "path": "/data/k"}]
    with pytest.raises(ApiError) as refused:
        client.patch(f"{maps}/a", operations)
    assert refused.value.status == 422
    assert client.get(f"{maps}/a")["data"] == {"k": "1"}


def test_dry_run_leaves_no_trace_and_tells_what_exists(client: Client, maps: str, namespace: str) -> None:
    client.create(maps, config_map("a", namespace), dry_run=True)
    with pytest.raises(ApiError) as missing:
        client.get(f"{maps}/a")
    assert missing.value.status == 404
    client.create(maps, config_map("a", namespace))
    with pytest.raises(ApiError) as exists:
        client.create(maps, config_map("a", namespace), dry_run=True)
    assert (exists.value.status, exists.value.reason) == (409, "AlreadyExists")


def test_deletion_of_another_uid_is_refused(client: Client, maps: str, namespace: str) -> None:
    uid = client.create(maps, config_map("a", namespace))["metadata"]["uid"]
    with pytest.raises(ApiError) as refused:
        client.delete(f"{maps}/a", uid="0" + uid[1:] if uid[0] != "0" else "1" + uid[1:])
    assert refused.value.status == 409
    client.delete(f"{maps}/a", uid=uid)


def test_list_comes_in_pages_of_one_version(client: Client, maps: str, namespace: str) -> None:
    for number in range(7):
        labels = {"odd": str(number % 2)}
        client.create(
            maps, config_map(f"m{number}", namespace) | {"metadata": {"name": f"m{number}", "labels": labels}}
        )
    pages = [(len(items), version) for items, version in client.list(maps, labels="odd", limit=3)]
    assert [length for length, _ in pages] == [3, 3, 1]
    assert len({version for _, version in pages}) == 1
    odd = [item["metadata"]["name"] for items, _ in client.list(maps, labels="odd=1") for item in items]
    assert odd == ["m1", "m3", "m5"]
    by_name = [items for items, _ in client.list(maps, fields="metadata.name=m4")]
    assert [len(items) for items in by_name] == [1]
    assert [items for items, _ in client.list(maps, labels="nobody=has")] == [[]]


def test_metadata_alone_has_no_data(client: Client, maps: str, namespace: str) -> None:
    client.create(maps, config_map("a", namespace, data={"k": "x" * 1000}))
    one = client.get(f"{maps}/a", metadata_only=True)
    assert (one["kind"], "data" in one) == ("PartialObjectMetadata", False)
    ((items, version),) = client.list(maps, fields="metadata.name=a", metadata_only=True)
    assert [item.keys() & {"metadata", "data"} for item in items] == [{"metadata"}]
    client.patch(f"{maps}/a", {"data": {"k": "y"}})
    with client.watch(maps, version, fields="metadata.name=a", metadata_only=True) as watch:
        kind, changed = next(watch)
    assert (kind, "data" in changed) == ("MODIFIED", False)


def test_forbidden_names_what_is_missing(cluster: Cluster, namespace: str) -> None:
    weak = Client.connect(cluster.kubeconfig_for(namespace, "default"))
    with pytest.raises(ApiError) as refused:
        weak.get(f"/api/v1/namespaces/{namespace}/pods")
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    assert 'cannot list resource "pods"' in refused.value.message
    weak.close()


def test_refused_secret_is_not_quoted(client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    body = {"metadata": {"name": "a"}, "data": {"k": SECRET}}
    with pytest.raises(ApiError) as refused:
        client.create(path, body)
    assert refused.value.status in (400, 422)
    assert refused.value.message == "the API server's message is withheld, since it could quote the Secret"
    assert SECRET not in repr(refused.value)


def test_namespace_that_is_being_deleted_says_so_in_the_causes(client: Client, maps: str, namespace: str) -> None:
    client.create(maps, config_map("stays", namespace) | {"metadata": {"name": "stays", "finalizers": ["test/stay"]}})
    client.delete(f"/api/v1/namespaces/{namespace}")
    with pytest.raises(ApiError) as refused:
        client.create(maps, config_map("late", namespace))
    assert (refused.value.status, refused.value.causes) == (403, ("NamespaceTerminating",))
    client.patch(f"{maps}/stays", {"metadata": {"finalizers": None}})


def test_url_is_that_of_the_cluster(client: Client, cluster: Cluster) -> None:
    assert client.url == cluster.url
    assert client.get("/version")["major"] == "1"


# on a scripted one


def connected(server: Scripted, folder: Path) -> Client:
    return Client.connect(server.kubeconfig(folder / "config"), user_agent="habitat-webhook/test")


def fail(client: Client, verb: str = "get") -> ApiError:
    read = partial(client.get, "/api/v1/nodes")
    write = partial(client.create, "/api/v1/nodes", {"secret": SECRET})
    with pytest.raises(ApiError) as failure:
        {"get": read, "create": write}[verb]()
    return failure.value


def test_wish_to_wait_is_passed_on(tmp_path: Path) -> None:
    def busy(request: Request) -> None:
        request.send(429, {"kind": "Status", "code": 429, "reason": "TooManyRequests"}, **{"Retry-After": "7"})

    with scripted(busy) as server:
        client = connected(server, tmp_path)
        error = fail(client)
        assert (error.status, error.reason, error.retry_after) == (429, "TooManyRequests", 7.0)
        assert len(server.requests) == 1
        assert server.requests[0].headers["User-Agent"] == "habitat-webhook/test"
        client.close()


def test_wish_to_wait_of_the_status_object_counts_too(tmp_path: Path) -> None:
    status = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "slow",
        "details": {"retryAfterSeconds": 2},
    }
    with scripted(lambda request: request.send(504, status)) as server:
        client = connected(server, tmp_path)
        error = fail(client)
        assert (error.status, error.retry_after, error.message) == (504, 2.0, "slow")
        client.close()


@pytest.mark.parametrize("status", [302, 403, 502])
def test_answer_of_somebody_else_is_not_repeated(tmp_path: Path, status: int) -> None:
    def proxy(request: Request) -> None:
        request.send(status, f"<html>{SECRET}</html>".encode(), Location="/elsewhere")

    with scripted(proxy) as server:
        client = connected(server, tmp_path)
        error = fail(client)
        assert error.status == status
        assert "does something stand between us and the API server?" in str(error)
        assert SECRET not in str(error)
        assert len(server.requests) == 1
        client.close()


def test_good_answer_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    with scripted(lambda request: request.send(200, b"<html>" + SECRET.encode())) as server:
        client = connected(server, tmp_path)
        error = fail(client)
        assert (error.status, error.reason) == (200, "NotJSON")
        assert error.__cause__ is None
        assert SECRET not in str(error)
        client.close()


def test_get_on_a_connection_that_breaks_is_repeated_once_and_a_write_never(tmp_path: Path) -> None:
    calls: list[tuple[str, str, int]] = []
    with scripted(lambda request: request.hang_up()) as server:
        client = connected(server, tmp_path)
        client.on_call = lambda *call: calls.append(call)
        error = fail(client)
        assert (error.status, error.reason) == (0, "ProtocolError")
        assert len(server.requests) == 2
        error = fail(client, "create")
        assert (error.status, error.reason) == (0, "ProtocolError")
        assert SECRET not in str(error)
        assert len(server.requests) == 3
        assert calls == [("get", "nodes", 0), ("create", "nodes", 0)]
        client.close()


def test_connection_that_the_server_closed_meanwhile_is_no_error(tmp_path: Path) -> None:
    def once(request: Request) -> None:
        request.send(200, {})
        request.hang_up()

    with scripted(once) as server:
        client = connected(server, tmp_path)
        for _ in range(3):
            client.get("/api/v1/nodes")
        client.close()


def test_silence_ends_with_the_time_that_was_given(tmp_path: Path) -> None:
    over = threading.Event()
    with scripted(lambda request: over.wait(30) and None) as server:
        client = connected(server, tmp_path)
        with pytest.raises(ApiError) as failure:
            client.create("/api/v1/nodes", {}, seconds=0.2)
        assert (failure.value.status, failure.value.reason) == (0, "ReadTimeoutError")
        over.set()
        client.close()


def test_nobody_listening_is_an_error_with_status_0(tmp_path: Path) -> None:
    with scripted(lambda request: None) as server:
        client = connected(server, tmp_path)
    error = fail(client)
    assert (error.status, error.reason) == (0, "NewConnectionError")
    assert "Connection refused" in str(error)
    client.close()


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/shop", "namespaces"),
        ("/api/v1/namespaces/shop/finalize", "namespaces/finalize"),
        ("/api/v1/namespaces/shop/pods", "pods"),
        ("/api/v1/namespaces/shop/pods/web-0", "pods"),
        ("/api/v1/namespaces/shop/pods/web-0/status", "pods/status"),
        ("/apis/apps/v1/deployments", "deployments"),
        ("/apis/apps/v1/namespaces/shop/deployments/web/scale", "deployments/scale"),
        ("/apis/coordination.k8s.io/v1/namespaces/shop/leases/one", "leases"),
        ("/version", "version"),
        ("/api", "api"),
        ("/apis/apps/v1", "apis"),
    ],
)
def test_resource_of_a_path_is_what_rbac_calls_it(path: str, resource: str) -> None:
    assert resource_of(path) == resource


def test_bodies_keep_what_this_code_has_never_heard_of(client: Client, maps: str, namespace: str) -> None:
    """Nothing of it is in a typed model of any version."""
    body = config_map("a", namespace, immutable=False, binaryData={"b": "AA=="})
    body["metadata"]["annotations"] = {"text": json.dumps({"ü": "\u2028"})}
    made = client.create(maps, body)
    assert made["metadata"]["annotations"] == body["metadata"]["annotations"]
    assert made["immutable"] is False

"""The two stores: the same promises, on a directory and on an API that a test plays."""

from __future__ import annotations

import base64
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certs.stores import REQUESTED, Changed, Directory, Secret, Store


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class PlayedApi:
    """Keeps Secrets as the API server does, as far as versions go."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.managers: set[str] = set()
        self.version = 0
        self._lock = threading.Lock()

    def get(self, path: str, *, seconds: float) -> dict[str, Any]:
        with self._lock:
            if path not in self.kept:
                raise RefusedError(404)
            return self.kept[path]

    def create(self, path: str, body: dict[str, Any], *, manager: str, seconds: float) -> dict[str, Any]:
        return self._write(f"{path}/{body['metadata']['name']}", body, manager, new=True)

    def replace(self, path: str, body: dict[str, Any], *, manager: str, seconds: float) -> dict[str, Any]:
        return self._write(path, body, manager, new=False)

    def _write(self, path: str, body: dict[str, Any], manager: str, *, new: bool) -> dict[str, Any]:
        with self._lock:
            there = self.kept.get(path)
            if not new and there is None:
                raise RefusedError(404)
            if there and (new or body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]):
                raise RefusedError(409)
            self.version += 1
            self.managers.add(manager)
            metadata = body["metadata"] | {"resourceVersion": str(self.version), "uid": "u"}
            self.kept[path] = body | {"metadata": metadata}
            return self.kept[path]


@pytest.fixture
def api() -> PlayedApi:
    return PlayedApi()


@pytest.fixture(params=["directory", "secret"])
def store(request: pytest.FixtureRequest, tmp_path: Path, api: PlayedApi) -> Iterator[Store]:
    if request.param == "directory":
        yield Directory(tmp_path / "kept")
    else:
        yield Secret(api, "habitat", "ca", "Opaque")


def test_what_was_created_is_read(store: Store) -> None:
    assert store.read() is None
    store.create({"a.crt": b"1", "a.key": b"\x00\xff"})
    found = store.read()
    assert found is not None
    assert (dict(found.data), found.ours, found.requested) == ({"a.crt": b"1", "a.key": b"\x00\xff"}, True, False)
    assert "\\xff" not in repr(found)


def test_replacing_leaves_nothing_of_what_was_there(store: Store) -> None:
    store.create({"a.crt": b"1", "b.crt": b"2"})
    before = store.read()
    assert before is not None
    store.replace(before, {"a.crt": b"3"}, answers=False)
    after = store.read()
    assert after is not None
    assert dict(after.data) == {"a.crt": b"3"}
    assert after.version != before.version


def test_who_is_late_is_told(store: Store) -> None:
    store.create({"a.crt": b"1"})
    with pytest.raises(Changed):
        store.create({"a.crt": b"2"})
    read = store.read()
    assert read is not None
    store.replace(read, {"a.crt": b"3"}, answers=False)
    with pytest.raises(Changed):
        store.replace(read, {"a.crt": b"4"}, answers=False)
    found = store.read()
    assert found is not None
    assert dict(found.data) == {"a.crt": b"3"}


def test_of_many_who_create_at_once_one_succeeds(store: Store) -> None:
    start, outcomes = threading.Barrier(5), []

    def create(number: int) -> None:
        start.wait()
        try:
            store.create({"a.crt": str(number).encode()})
            outcomes.append(number)
        except Changed:
            outcomes.append(-1)

    threads = [threading.Thread(target=create, args=[n]) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[:4] == [-1] * 4
    found = store.read()
    assert found is not None
    assert found.data["a.crt"] == str(max(outcomes)).encode()


def test_keys_in_a_directory_are_their_owners_alone(tmp_path: Path) -> None:
    Directory(tmp_path).create({"a.crt": b"1", "a.key": b"2"})
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("a.*")} == {"a.crt": 0o644, "a.key": 0o600}


def test_request_in_a_directory_is_a_file_and_goes_when_it_is_answered(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    store.create({"a.crt": b"1"})
    (tmp_path / "renewal-requested").touch()
    for answers in (False, True):
        read = store.read()
        assert read is not None
        assert read.requested
        store.replace(read, {"a.crt": b"2" if answers else b"3"}, answers=answers)
    found = store.read()
    assert found is not None
    assert not found.requested


def test_secret_keeps_what_others_have_written_and_loses_an_answered_request(api: PlayedApi) -> None:
    store = Secret(api, "habitat", "ca", "Opaque")
    store.create({"a": b"1"})
    [kept] = api.kept.values()
    assert kept["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "habitat-webhook"}
    kept["metadata"] |= {"annotations": {REQUESTED: "now", "theirs": "x"}, "managedFields": [{}]}
    for answers, expected in ((False, {REQUESTED: "now", "theirs": "x"}), (True, {"theirs": "x"})):
        read = store.read()
        assert read is not None
        assert read.requested
        store.replace(read, {"a": b"2"}, answers=answers)
        [kept] = api.kept.values()
        assert kept["metadata"]["annotations"] == expected
        assert "managedFields" not in kept["metadata"]
    assert (kept["type"], kept["data"]) == ("Opaque", {"a": base64.b64encode(b"2").decode()})
    assert api.managers == {"habitat-webhook-certificates"}


def test_secret_of_somebody_else_is_not_ours_and_what_is_no_base64_is_empty(api: PlayedApi) -> None:
    path = "/api/v1/namespaces/habitat/secrets/ca"
    metadata = {"name": "ca", "namespace": "habitat", "uid": "u", "resourceVersion": "7"}
    api.kept[path] = {"metadata": metadata, "data": {"a": "?", "b": "Yg=="}, "type": "Opaque"}
    found = Secret(api, "habitat", "ca", "Opaque").read()
    assert found is not None
    assert (found.ours, dict(found.data), found.version) == (False, {"a": b"", "b": b"b"}, "7")


def test_deleted_secret_is_read_again_and_other_refusals_are_not_hidden(api: PlayedApi) -> None:
    store = Secret(api, "habitat", "ca", "Opaque")
    store.create({"a": b"1"})
    read = store.read()
    assert read is not None
    api.kept.clear()
    with pytest.raises(Changed):
        store.replace(read, {"a": b"2"}, answers=False)

    class Forbidding(PlayedApi):
        def get(self, path: str, *, seconds: float) -> dict[str, Any]:
            raise RefusedError(403)

        def _write(self, path: str, body: dict[str, Any], manager: str, *, new: bool) -> dict[str, Any]:
            raise RefusedError(403)

    forbidden = Secret(Forbidding(), "habitat", "ca", "Opaque")
    for call in (forbidden.read, lambda: forbidden.create({}), lambda: forbidden.replace(read, {}, answers=True)):
        with pytest.raises(RefusedError):
            call()

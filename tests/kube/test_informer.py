from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from tests.controlplane.client import wait_for
from tests.kube.conftest import KeptLog
from webhook.kube.client import ApiError, Client
from webhook.kube.informer import Informer

SECONDS = 60

Change = tuple["Seen | None", "Seen | None"]


@dataclass(frozen=True, slots=True)
class Seen:
    name: str
    uid: str
    value: str


def project(raw: dict[str, Any]) -> Seen | None:
    value = (raw.get("data") or {}).get("value", "")
    if value == "odd":
        raise ValueError(value)
    return None if value == "hidden" else Seen(raw["metadata"]["name"], raw["metadata"]["uid"], value)


def raw(name: str, value: str = "", *, uid: str = "", version: int = 1) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "data": {"value": value}}


# on a scripted client


class Scripted:
    """Lists and watches as written down. The last watch lasts until it is stopped."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists = lists
        self.watches = watches
        self.versions: list[str] = []
        self.seconds: list[int] = []

    def list(self, path: str, **selection: Any) -> Iterator[tuple[list[dict[str, Any]], str]]:
        script = self.lists.pop(0)
        if isinstance(script, Exception):
            raise script
        for page in script:
            if isinstance(page, Exception):
                raise page
            yield page, "100"

    def watch(self, path: str, version: str, *, seconds: int, **selection: Any) -> Followed:
        self.versions.append(version)
        self.seconds.append(seconds)
        script = self.watches.pop(0) if self.watches else None
        if isinstance(script, Exception):
            raise script
        return Followed(script)


class Followed:
    def __init__(self, events: list[Any] | None) -> None:
        self.events = events
        self.stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for event in self.events or []:
            if isinstance(event, Exception):
                raise event
            yield event
        if self.events is None:
            self.stopped.wait(SECONDS)

    def stop(self) -> None:
        self.stopped.set()


def gone() -> ApiError:
    return ApiError(410, "Expired", "too old resource version")


@contextlib.contextmanager
def running(
    client: Any, log: KeptLog, changed: Callable[[Informer[Seen], Change], None] | None = None, **options: Any
) -> Iterator[tuple[Informer[Seen], list[Change]]]:
    changes: list[Change] = []

    def note(old: Seen | None, new: Seen | None) -> None:
        changes.append((old, new))
        if changed is not None:
            changed(informer, (old, new))

    path = options.pop("path", "/api/v1/configmaps")
    informer = Informer(client, path, project, note, name="test", log=log, **options)
    informer.start()
    try:
        yield informer, changes
    finally:
        informer.stop()
        assert not informer._thread.is_alive()


def run(log: KeptLog, lists: list[Any], watches: list[Any], **options: Any) -> tuple[Informer[Seen], list[Change]]:
    """Until the script has been played."""
    client, last = Scripted(lists, watches), len(watches) + 1
    with running(client, log, **options) as (informer, changes):
        wait_for("the watch after the script", lambda: len(client.versions) == last and informer._watch)
    assert not client.lists
    return informer, changes


def values(changes: list[Change]) -> list[tuple[str | None, str | None]]:
    return [(old and old.name + "=" + old.value, new and new.name + "=" + new.value) for old, new in changes]


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhook.kube.informer._FIRST_DELAY", 0.001)


def test_first_list_is_told_in_full_and_then_it_is_synced(log: KeptLog) -> None:
    informer, changes = run(log, [[[raw("a"), raw("b", "hidden")], [raw("c", "1")]]], [])
    assert values(changes) == [(None, "a="), (None, "c=1")]
    assert dict(informer.store) == {"shop/a": Seen("a", "uid-a", ""), "shop/c": Seen("c", "uid-c", "1")}
    assert informer.synced
    assert informer.relists == 0
    assert time.monotonic() >= informer.contact > 0


def test_events_change_the_store_before_they_are_told(log: KeptLog) -> None:
    script = [
        ("ADDED", raw("b", "1", version=101)),
        ("MODIFIED", raw("b", "2", version=102)),
        ("MODIFIED", raw("b", "2", version=103)),
        ("MODIFIED", raw("b", "hidden", version=104)),
        ("MODIFIED", raw("b", "3", version=105)),
        ("DELETED", raw("a", version=106)),
        ("DELETED", raw("never-seen", version=107)),
        ("BOOKMARK", {"metadata": {"resourceVersion": "110"}}),
    ]
    client = Scripted([[[raw("a")]]], [script])
    there: list[set[str]] = []
    with running(client, log, lambda informer, _: there.append(set(informer.store))) as (_, changes):
        wait_for("the second watch", lambda: len(client.versions) == 2)
    assert values(changes) == [
        (None, "a="),
        (None, "b=1"),
        ("b=1", "b=2"),
        ("b=2", None),
        (None, "b=3"),
        ("a=", None),
    ]
    both = {"shop/a", "shop/b"}
    assert there == [{"shop/a"}, both, both, {"shop/a"}, both, {"shop/b"}]
    assert client.versions == ["100", "110"]


def test_relist_after_410_tells_only_what_differs_and_deletions_first(log: KeptLog) -> None:
    first = [[raw("same", "1"), raw("other", "1"), raw("gone", "1"), raw("again", "1", uid="old")]]
    second = [[raw("new", "1"), raw("same", "1"), raw("other", "2"), raw("again", "1", uid="new")]]
    informer, changes = run(log, [first, second], [[gone()]])
    assert values(changes[4:]) == [
        ("gone=1", None),
        ("again=1", None),
        (None, "new=1"),
        ("other=1", "other=2"),
        (None, "again=1"),
    ]
    assert informer.relists == 1
    assert informer.store["shop/again"].uid == "new"
    assert set(informer.store) == {"shop/new", "shop/same", "shop/other", "shop/again"}


def test_relist_keeps_the_projections_that_have_not_changed(log: KeptLog) -> None:
    informer, changes = run(log, [[[raw("same", "1")]], [[raw("same", "1")]]], [[gone()]])
    assert informer.store["shop/same"] is changes[0][1]


def test_410_as_the_answer_to_a_watch_or_amid_a_list_leads_to_a_new_list(log: KeptLog) -> None:
    informer, changes = run(log, [[[raw("a")], gone()], [[raw("a")], [raw("b")]], [[raw("b")]]], [gone()])
    assert values(changes) == [(None, "a="), (None, "b="), ("a=", None)]
    assert informer.relists == 1


def test_watch_that_breaks_goes_on_where_it_was(log: KeptLog) -> None:
    broken = ApiError(0, "ProtocolError", "Connection broken")
    client = Scripted([[[]]], [[("ADDED", raw("a", version=101)), broken], broken, [("ADDED", raw("b", version=102))]])
    with running(client, log) as (informer, changes):
        wait_for("the last watch", lambda: len(client.versions) == 4)
    assert values(changes) == [(None, "a="), (None, "b=")]
    assert client.versions == ["100", "101", "101", "102"]
    assert informer.relists == 0
    assert [line["failures"] for line in log.said("informer interrupted")] == [1, 2]
    assert len(log.said("informer goes on")) == 1


def test_version_that_the_server_refuses_again_and_again_is_given_up(log: KeptLog) -> None:
    """Such as `Too large resource version` after etcd was restored from a backup."""
    informer, _ = run(log, [[[raw("a")]], [[raw("a")]]], [ApiError(504, "Timeout", "Too large resource version")] * 5)
    assert informer.relists == 1


def test_watch_that_ends_at_once_is_not_asked_for_in_a_circle(log: KeptLog) -> None:
    client = Scripted([[[]]], [[], [], []])
    with running(client, log):
        wait_for("the last watch", lambda: len(client.versions) == 4)
    assert [line["failures"] for line in log.said("informer interrupted")] == [1, 2, 3]


@pytest.mark.parametrize(("asked", "waited"), [(40.0, 40), (86400.0, 60)])
def test_wish_of_the_server_to_wait_is_obeyed_within_reason(log: KeptLog, asked: float, waited: int) -> None:
    client = Scripted([ApiError(429, "TooManyRequests", "later", retry_after=asked)], [])
    with running(client, log):
        wait_for("the refusal", lambda: log.said("informer interrupted"))
    assert log.said("informer interrupted")[0]["again_in"] == waited


def test_same_name_with_another_uid_is_a_deletion_and_a_new_object(log: KeptLog) -> None:
    _, changes = run(log, [[[raw("a", "1", uid="old")]]], [[("MODIFIED", raw("a", "1", uid="new", version=101))]])
    assert values(changes[1:]) == [("a=1", None), (None, "a=1")]


def test_object_that_is_not_understood_hides_no_other_and_stays_as_it_was(log: KeptLog) -> None:
    events = [("MODIFIED", raw("a", "odd", version=101)), ("ADDED", raw("b", "1", version=102))]
    informer, changes = run(log, [[[raw("a", "1"), raw("x", "odd")]]], [events])
    assert values(changes) == [(None, "a=1"), (None, "b=1")]
    assert set(informer.store) == {"shop/a", "shop/b"}
    odd = log.said("object not understood")
    assert [line["object"] for line in odd] == ["shop/x", "shop/a"]
    assert all(line["exception"].endswith("ValueError") for line in odd)


def test_reaction_that_fails_is_logged_and_the_next_change_comes(log: KeptLog) -> None:
    client = Scripted([[[raw("a"), raw("b")]]], [[("ADDED", raw("c", version=101))]])

    def fail(informer: Informer[Seen], change: Change) -> None:
        raise KeyError(change)

    with running(client, log, fail) as (informer, changes):
        wait_for("the last watch", lambda: len(client.versions) == 2)
    assert len(changes) == len(informer.store) == 3
    said = log.said("reaction to a change failed")
    assert len(said) == 3
    assert "uid-c" not in str(said)


def test_answer_of_an_unknown_form_does_not_end_the_thread(log: KeptLog) -> None:
    _, changes = run(log, [[[{"metadata": {}}]], [[raw("a")]]], [])
    assert values(changes) == [(None, "a=")]
    assert log.said("informer failed")


def test_resync_tells_all_that_is_there_without_a_list(log: KeptLog) -> None:
    client = Scripted([[[raw("a"), raw("b")]]], [[]] * 6)
    with running(client, log, resync=0.02) as (informer, changes):
        wait_for("two rounds", lambda: len(changes) >= 6)
    assert values(changes[2:6]) == [("a=", "a="), ("b=", "b=")] * 2
    assert informer.relists == 0
    assert set(client.seconds) == {1}


def test_store_can_be_read_while_it_changes(log: KeptLog) -> None:
    numbers = range(3000)
    events = [("ADDED", raw(f"n{number}", version=number)) for number in numbers]
    events += [("DELETED", raw(f"n{number}", version=number)) for number in numbers]
    client = Scripted([[[]]], [events])
    with running(client, log) as (informer, changes):
        while len(changes) < 2 * len(numbers):
            assert all(isinstance(seen, Seen) for seen in informer.store.values())
            assert all(key == f"shop/{seen.name}" for key, seen in informer.store.items())
            assert isinstance(list(informer.store), list)
    assert len(informer.store) == 0
    assert "shop/n1" not in informer.store


# on the real API server


def test_real_objects_come_and_go(client: Client, namespace: str, log: KeptLog) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def make(name: str, value: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {"kept": "yes"}}, "data": {"value": value}}

    for number in range(5):
        client.create(path, make(f"m{number}", "1"))
    with running(client, log, path=path, labels="kept=yes", page=2) as (informer, changes):
        assert informer.wait_synced(SECONDS)
        assert sorted(seen.name for seen in informer.store.values()) == [f"m{number}" for number in range(5)]
        client.create(path, {"metadata": {"name": "not-ours"}})
        client.create(path, make("late", "1"))
        client.patch(f"{path}/m0", {"data": {"value": "2"}})
        client.patch(f"{path}/m0", {"data": {"other": "makes no difference"}})
        client.patch(f"{path}/m1", {"metadata": {"labels": {"kept": "no"}}})
        client.delete(f"{path}/m2")
        client.create(path, make("m2", "again"))
        wait_for("the last change", lambda: values(changes)[-1:] == [(None, "m2=again")])
        assert values(changes[5:]) == [
            (None, "late=1"),
            ("m0=1", "m0=2"),
            ("m1=1", None),
            ("m2=1", None),
            (None, "m2=again"),
        ]
        assert informer.relists == 0


def test_stop_ends_a_watch_in_which_nothing_happens(client: Client, namespace: str, log: KeptLog) -> None:
    """`running` asks for the end of the thread; the watch would go on for minutes."""
    with running(client, log, path=f"/api/v1/namespaces/{namespace}/secrets") as (informer, _):
        wait_for("the watch", lambda: informer._watch)


def test_stop_before_the_first_answer_and_without_a_start(log: KeptLog, tmp_path: Path) -> None:
    informer = Informer(Scripted([], []), "/api/v1/pods", project, lambda old, new: None, name="x", log=log)  # type: ignore[arg-type]
    informer.stop()
    assert not informer.synced
    assert not informer.wait_synced(0)

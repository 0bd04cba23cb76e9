"""What an API server that is away for a while does to those who follow it: a control plane of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.client import wait_for
from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.kube.candidate import Candidate, both_led
from tests.kube.conftest import KeptLog
from webhook.kube.client import ApiError, Client
from webhook.kube.events import Recorder
from webhook.kube.informer import Informer

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[RunningControlPlane]:
    with ControlPlane(nodes=1) as running:
        yield running


@pytest.fixture
def own_client(own_cluster: RunningControlPlane) -> Iterator[Client]:
    client = Client.connect(own_cluster.kubeconfig)
    yield client
    client.close()


def labelled(name: str, value: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"outage": "yes"}}, "data": {"value": value}}


def project(raw: dict[str, Any]) -> tuple[str, str]:
    return raw["metadata"]["name"], raw["data"]["value"]


def follower(client: Client, log: KeptLog) -> tuple[Informer[tuple[str, str]], list[tuple[Any, Any]]]:
    """An informer, not started yet, and what it will tell."""
    changes: list[tuple[Any, Any]] = []

    def note(old: tuple[str, str] | None, new: tuple[str, str] | None) -> None:
        changes.append((old, new))

    return Informer(client, MAPS, project, note, name="maps", labels="outage=yes", log=log), changes


def test_all_of_them_survive_an_api_server_that_is_killed_and_comes_back(
    own_cluster: RunningControlPlane, own_client: Client, log: KeptLog
) -> None:
    """In one test, since an outage takes seconds: an informer, two candidates and events."""
    informer, changes = follower(own_client, log)
    recorder = Recorder(own_client, controller="habitat.sh/controller", instance="pod-0", log=log)
    candidates = [Candidate(own_client, "default", name, log) for name in ("one", "two")]
    own_client.create(MAPS, labelled("a", "1"))
    informer.start()
    recorder.start()
    for candidate in candidates:
        candidate.start()
    try:
        assert informer.wait_synced(60)
        wait_for("a leader", lambda: [c for c in candidates if c.told == ["started"]])

        own_cluster.stop_apiserver()
        wait_for("the end of the term", lambda: [c for c in candidates if c.told == ["started", "stopped"]])
        assert not any(candidate.election.leading for candidate in candidates)
        recorder.event(
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "a", "uid": "uid-a"},
            "Normal",
            "Seen",
            "while nobody listened",
        )
        wait_for("the informer's complaint", lambda: log.said("informer interrupted"))
        with pytest.raises(ApiError) as away:
            own_client.create(MAPS, labelled("b", "1"))
        assert away.value.status == 0
        own_cluster.start_apiserver()

        own_client.create(MAPS, labelled("b", "1"))
        own_client.patch(f"{MAPS}/a", {"data": {"value": "2"}})
        expected = {"default/a": ("a", "2"), "default/b": ("b", "1")}
        wait_for("what happened since", lambda: dict(informer.store) == expected)
        wait_for("a leader", lambda: [c for c in candidates if c.election.leading])
        wait_for("the event", lambda: "while nobody listened" in own_cluster.kubectl("get", "events"))
    finally:
        for candidate in candidates:
            candidate.end()
        informer.stop()
        recorder.stop()
    assert changes[0] == (None, ("a", "1"))
    assert both_led(*(candidate.looks for candidate in candidates)) == []
    assert recorder.dropped == 0
    assert log.said("informer goes on")


def test_version_that_an_api_server_no_longer_has_is_410_and_an_informer_finds_what_it_missed(
    own_cluster: RunningControlPlane, own_client: Client, log: KeptLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh API server knows nothing of what was before its start, and the informer cannot watch while we change."""
    for name in ("kept", "changed", "gone", "again"):
        own_client.create(MAPS, labelled(f"old-{name}", "1"))
    may_watch = threading.Event()
    watch = own_client.watch

    def later(*arguments: Any, **options: Any) -> Any:
        assert may_watch.wait(120)
        return watch(*arguments, **options)

    monkeypatch.setattr(own_client, "watch", later)
    informer, changes = follower(own_client, log)
    informer.start()
    try:
        assert informer.wait_synced(60)
        version = informer._version
        changes.clear()
        own_client.patch(f"{MAPS}/old-changed", {"data": {"value": "2"}})
        own_client.delete(f"{MAPS}/old-gone")
        own_client.delete(f"{MAPS}/old-again")
        own_client.create(MAPS, labelled("old-again", "1"))
        own_client.create(MAPS, labelled("new", "1"))
        own_cluster.stop_apiserver()
        own_cluster.start_apiserver()
        with pytest.raises(ApiError) as expired, watch(MAPS, version, seconds=2) as followed:
            list(followed)
        assert (expired.value.status, expired.value.reason) == (410, "Expired")
        may_watch.set()
        wait_for("the new list", lambda: informer.relists == 1)
    finally:
        informer.stop()
    assert sorted(changes, key=str) == sorted(
        [
            (("old-changed", "1"), ("old-changed", "2")),
            (("old-gone", "1"), None),
            (("old-again", "1"), None),
            (None, ("old-again", "1")),
            (None, ("new", "1")),
        ],
        key=str,
    )

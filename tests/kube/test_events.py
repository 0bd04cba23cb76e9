from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tests.controlplane.client import Cluster, wait_for
from tests.kube.conftest import KeptLog
from webhook.kube.client import ApiError, Client
from webhook.kube.events import Recorder

SECONDS = 60


def service(namespace: str, name: str = "habitat-ring-default", uid: str = "") -> dict[str, str]:
    return {"apiVersion": "v1", "kind": "Service", "namespace": namespace, "name": name, "uid": uid or f"uid-{name}"}


@contextlib.contextmanager
def recording(client: Any, log: KeptLog, **options: Any) -> Iterator[Recorder]:
    recorder = Recorder(client, controller="habitat.sh/controller", instance="pod-0", log=log, **options)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()
        recorder._thread.join(SECONDS)


# on the real API server


def test_event_is_shown_by_kubectl_describe_and_get(
    client: Client, cluster: Cluster, namespace: str, log: KeptLog
) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = client.create(f"/api/v1/namespaces/{namespace}/services", body)
    regarding = service(namespace, "web", made["metadata"]["uid"])
    with recording(client, log) as recorder:
        recorder.event(regarding, "Warning", "ForeignService", "the Service web is not ours; it is left alone")
    described = cluster.kubectl("describe", "service", "web", "-n", namespace)
    line = next(line for line in described.splitlines() if "ForeignService" in line)
    assert line.split()[:2] == ["Warning", "ForeignService"]
    assert line.endswith("the Service web is not ours; it is left alone")
    assert "habitat.sh/controller" in line
    listed = cluster.kubectl("get", "events", "-n", namespace)
    assert "service/web" in listed
    (event,) = events(client, namespace)
    assert (event["action"], event["reportingInstance"]) == ("Reconcile", "pod-0")
    assert recorder.dropped == 0
    assert log.lines == []


def test_event_that_is_said_again_counts_up_and_the_same_words_of_another_object_do_not(
    client: Client, cluster: Cluster, namespace: str, log: KeptLog
) -> None:
    with recording(client, log, repeat=0.2) as recorder:
        for _ in range(3):
            recorder.event(service(namespace), "Normal", "Repaired", "the Service had drifted")
        recorder.event(service(namespace, "other"), "Normal", "Repaired", "the Service had drifted")
        wait_for("both events", lambda: len(events(client, namespace)) == 2)
        for _ in range(4):
            recorder.event(service(namespace), "Normal", "Repaired", "the Service had drifted")
        wait_for("the count", lambda: counts(client, namespace) == [0, 7])
    assert "x7 over" in cluster.kubectl("events", "-n", namespace)


def test_event_that_the_api_server_has_forgotten_is_made_anew(client: Client, namespace: str, log: KeptLog) -> None:
    with recording(client, log, repeat=0.2) as recorder:
        recorder.event(service(namespace), "Normal", "Repaired", "again")
        (first,) = wait_for("the event", lambda: events(client, namespace))
        client.delete(f"{path(namespace)}/{first['metadata']['name']}")
        recorder.event(service(namespace), "Normal", "Repaired", "again")
        (second,) = wait_for("the next one", lambda: events(client, namespace))
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert second["series"]["count"] == 2


def test_longest_names_and_notes_are_accepted(client: Client, namespace: str, log: KeptLog) -> None:
    with recording(client, log) as recorder:
        recorder.event(service(namespace, "n" * 253), "Normal", "Repaired", "é" * 2000)
    (event,) = events(client, namespace)
    assert event["note"] == "é" * 512
    assert event["regarding"]["name"] == "n" * 253


def test_event_about_an_object_without_a_namespace_is_in_default(client: Client, log: KeptLog, namespace: str) -> None:
    regarding = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": f"uid-{namespace}"}
    with recording(client, log) as recorder:
        recorder.event(regarding, "Normal", "Seen", "a namespace")
    found = [event for event in events(client, "default") if event["regarding"]["name"] == namespace]
    assert len(found) == 1


def test_namespace_that_goes_or_has_gone_takes_its_events_with_it(client: Client, namespace: str, log: KeptLog) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(maps, {"metadata": {"name": "stays", "finalizers": ["test/stay"]}})
    client.delete(f"/api/v1/namespaces/{namespace}")
    with recording(client, log) as recorder:
        recorder.event(service(namespace), "Normal", "Repaired", "too late")
        recorder.event(service("never-was"), "Normal", "Repaired", "nowhere")
        wait_for("both to be dropped", lambda: recorder.dropped == 2)
    client.patch(f"{maps}/stays", {"metadata": {"finalizers": None}})
    assert [line["level"] for line in log.said("event dropped")] == ["debug"] * 2


def test_missing_right_is_a_warning(cluster: Cluster, namespace: str, log: KeptLog) -> None:
    weak = Client.connect(cluster.kubeconfig_for(namespace, "default"))
    with recording(weak, log) as recorder:
        recorder.event(service(namespace), "Normal", "Repaired", "no right")
        wait_for("it to be dropped", lambda: recorder.dropped == 1)
    weak.close()
    (line,) = log.said("event dropped")
    assert line["level"] == "warning"
    assert 'cannot create resource "events"' in line["error"]


def path(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def events(client: Client, namespace: str) -> list[dict[str, Any]]:
    """Ours: the cluster's own controllers have something to say, too."""
    found = [item for items, _ in client.list(path(namespace)) for item in items]
    return [event for event in found if event.get("reportingController") == "habitat.sh/controller"]


def counts(client: Client, namespace: str) -> list[int]:
    return sorted((event.get("series") or {}).get("count", 0) for event in events(client, namespace))


# on a client that notes what is written


class Notes:
    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[int] = []
        self.failures: list[Exception] = []
        self.hold = threading.Event()
        self.hold.set()

    def create(self, path: str, body: dict[str, Any], *, seconds: float) -> None:
        self._answer()
        self.created.append(body)

    def patch(self, path: str, body: dict[str, Any], *, seconds: float) -> None:
        self._answer()
        self.patched.append(body["series"]["count"])

    def _answer(self) -> None:
        self.hold.wait(SECONDS)
        if self.failures:
            raise self.failures.pop(0)


def test_thousand_repeats_are_one_event_and_at_most_one_write_until_the_time_is_over(log: KeptLog) -> None:
    notes = Notes()
    with recording(notes, log) as recorder:
        for _ in range(1000):
            recorder.event(service("shop"), "Normal", "Repaired", "again")
        wait_for("the event", lambda: notes.created)
        for _ in range(1000):
            recorder.event(service("shop"), "Normal", "Repaired", "again")
    assert len(notes.created) == 1
    assert notes.patched == [2000]  # written when it was stopped
    assert recorder.dropped == 0


def test_recording_never_waits_for_the_api_server_and_drops_what_is_too_much(log: KeptLog) -> None:
    notes = Notes()
    notes.hold.clear()
    with recording(notes, log, limit=10) as recorder:
        recorder.event(service("shop"), "Normal", "Repaired", "under way")
        wait_for("the write that hangs", lambda: not recorder._due)
        for number in range(25):
            recorder.event(service("shop"), "Normal", "Repaired", f"number {number}")
        assert recorder.dropped == 15
        recorder.event(service("shop"), "Normal", "Repaired", "number 3")
        assert recorder.dropped == 15
        notes.hold.set()
    assert len(notes.created) == 11
    assert [body["series"]["count"] for body in notes.created if "series" in body] == [2]
    recorder.event(service("shop"), "Normal", "Repaired", "after the end")
    assert recorder.dropped == 16


def test_write_that_failed_in_passing_is_tried_again(log: KeptLog, monkeypatch: Any) -> None:
    monkeypatch.setattr("webhook.kube.events._FIRST_DELAY", 0.01)
    notes = Notes()
    notes.failures = [ApiError(0, "NewConnectionError", "refused"), ApiError(503, "ServiceUnavailable", "starting")]
    with recording(notes, log) as recorder:
        recorder.event(service("shop"), "Normal", "Repaired", "once")
        wait_for("the event", lambda: notes.created)
    assert recorder.dropped == 0


def test_write_that_fails_for_good_is_dropped_and_the_same_words_begin_anew(log: KeptLog, monkeypatch: Any) -> None:
    monkeypatch.setattr("webhook.kube.events._FIRST_DELAY", 0.001)
    notes = Notes()
    notes.failures = [ApiError(0, "NewConnectionError", "refused")] * 8 + [ApiError(422, "Invalid", "bad")]
    with recording(notes, log) as recorder:
        for number in (1, 2):
            recorder.event(service("shop"), "Normal", "Repaired", "again")
            wait_for("it to be dropped", lambda number=number: recorder.dropped == number)
        recorder.event(service("shop"), "Normal", "Repaired", "again")
        wait_for("the event", lambda: notes.created)
    assert "series" not in notes.created[0]
    assert len(log.said("event dropped")) == 2


def test_failure_of_any_kind_does_not_end_the_thread(log: KeptLog) -> None:
    notes = Notes()
    notes.failures = [RuntimeError("no")]
    with recording(notes, log) as recorder:
        recorder.event(service("shop"), "Normal", "Repaired", "one")
        recorder.event(service("shop"), "Normal", "Repaired", "two")
        wait_for("the event", lambda: notes.created)
    assert recorder.dropped == 1


def test_flood_of_different_events_is_slowed_down(log: KeptLog, monkeypatch: Any) -> None:
    monkeypatch.setattr("webhook.kube.events._WRITES_PER_SECOND", 0.001)
    notes = Notes()
    with recording(notes, log) as recorder:
        for number in range(200):
            recorder.event(service("shop"), "Normal", "Repaired", f"number {number}")
        wait_for("the first ones", lambda: len(notes.created) == 50)
        threading.Event().wait(0.2)
        assert len(notes.created) == 50


def test_what_was_said_long_ago_is_forgotten(log: KeptLog) -> None:
    notes = Notes()
    with recording(notes, log, window=0.01, limit=5) as recorder:
        for number in range(3):
            recorder.event(service("shop"), "Normal", "Repaired", "again")
            wait_for("the event", lambda number=number: len(notes.created) == number + 1)
            threading.Event().wait(0.02)
    assert len(recorder._entries) == 1
    assert notes.patched == []

"""Events that `kubectl describe` shows, written behind the caller's back: events.k8s.io/v1.

An event is a help for people and never worth a delay or a flood. So recording one only puts it into a bounded queue;
what is said again counts up the event that is there instead of making another; and what cannot be written in time is
dropped and counted.
"""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from webhook.kube.client import Client
from webhook.kube.errors import NO_ANSWER, ApiError
from webhook.kube.times import micro_time
from webhook.log import Log, trace

Kind = Literal["Normal", "Warning"]
Key = tuple[str, ...]

# Limits of the API server's validation (pkg/apis/core/validation/events.go).
NOTE_BYTES = 1024
_NAME_LENGTH = 253

_WRITES_PER_SECOND = 10.0
_BURST = 50.0
_ATTEMPTS = 8
_FIRST_DELAY, _MOST_DELAY = 1.0, 30.0
_CALL_SECONDS = 10.0
_CLUSTER_SCOPED = "default"
"""The namespace of events about objects that are in none; the API server accepts no other."""


@dataclass(slots=True, eq=False)
class _Entry:
    """What was said about one object, and how much of it has been written."""

    key: Key
    regarding: Mapping[str, str]
    kind: Kind
    reason: str
    action: str
    note: str
    first: datetime
    last: datetime = field(init=False)
    seen: float = 0.0  # monotonic, of the last time
    count: int = 0
    name: str = ""  # of the Event that was written; "" for none
    written: int = 0  # the count in it
    written_at: float = float("-inf")
    attempts: int = 0
    queued: bool = False

    @property
    def collection(self) -> str:
        return f"/apis/events.k8s.io/v1/namespaces/{self.regarding.get('namespace') or _CLUSTER_SCOPED}/events"


class Recorder:
    """Takes events from any thread and writes them on one of its own.

    controller: reportingController, a qualified name. instance: reportingInstance, such as the pod's name.
    limit: events that may wait. repeat: seconds between two writes of the same event. window: seconds without it after
    which the same words are a new event. dropped: told of occurrences that no event will tell of.
    """

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        log: Log,
        limit: int = 1000,
        repeat: float = 30.0,
        window: float = 600.0,
        dropped: Callable[[int], object] = lambda _count: None,
    ) -> None:
        self.dropped = 0
        """Occurrences that no event tells of."""

        self._tell_dropped = dropped

        self._client = client
        self._controller = controller
        self._instance = instance[:128]
        self._log = log
        self._limit = limit
        self._repeat = repeat
        self._window = window
        self._changed = threading.Condition()
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()  # the one that was said last at the end
        self._due: list[tuple[float, int, _Entry]] = []  # a heap
        self._order = 0
        self._tokens = _BURST
        self._filled = time.monotonic()
        self._wait_until = 0.0
        self._ends = float("inf")
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to write. Once only."""
        self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """Write what waits, for at most so long, and end. Later events are dropped."""
        with self._changed:
            self._ends = time.monotonic() + seconds
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def event(
        self, regarding: Mapping[str, str], kind: Kind, reason: str, note: str, *, action: str = "Reconcile"
    ) -> None:
        """Say something about an object; never blocks and never raises.

        regarding: apiVersion, kind, name, uid, and namespace where it has one. reason: why, in CamelCase, of a bounded
        set. note: a sentence, cut at NOTE_BYTES; nothing secret. action: what was tried, in CamelCase.
        """
        note = note.encode()[:NOTE_BYTES].decode(errors="ignore")
        parts = (regarding.get(name) or "" for name in ("apiVersion", "kind", "namespace", "name", "uid"))
        key = (*parts, kind, reason, note)
        now, clock = datetime.now(UTC), time.monotonic()
        with self._changed:
            self._forget(clock)
            entry = self._entries.get(key)
            if entry is None:
                if len(self._due) >= self._limit or self._ends < float("inf"):
                    self._drop(1)
                    return
                entry = _Entry(key, dict(regarding), kind, reason, action, note, now)
                self._entries[key] = entry
            entry.last, entry.seen = now, clock
            entry.count += 1
            self._entries.move_to_end(key)
            if not entry.queued:
                self._queue(entry, max(clock, entry.written_at + self._repeat))

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._tell_dropped(count)

    def _forget(self, clock: float) -> None:
        """Drop what was written and not said again for the window, and the oldest where there is too much."""
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.queued or (clock - entry.seen < self._window and len(self._entries) < 4 * self._limit):
                return
            del self._entries[entry.key]

    def _queue(self, entry: _Entry, due: float) -> None:
        entry.queued = True
        self._order += 1
        heapq.heappush(self._due, (due, self._order, entry))
        self._changed.notify()

    # the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                entry = self._next()
                if entry is None:
                    return
                count, last = entry.count, entry.last
            error: Exception | None = None
            try:
                self._write(entry, count, last)
            except Exception as caught:  # noqa: BLE001 - sorted below; this thread must go on
                error = caught
            with self._changed:
                self._written(entry, count, error)

    def _next(self) -> _Entry | None:
        """The entry to write now, waiting for one; None at the end. Once stopping, nothing waits for its time."""
        while True:
            now = time.monotonic()
            if now >= self._ends:
                return None
            if self._ends < float("inf"):
                if not self._due:
                    return None
                return self._pop()
            self._tokens = min(_BURST, self._tokens + (now - self._filled) * _WRITES_PER_SECOND)
            self._filled = now
            wait: float | None = None
            if self._due:
                next_token = now + max(0.0, 1.0 - self._tokens) / _WRITES_PER_SECOND
                wait = max(self._due[0][0], self._wait_until, next_token) - now
                if wait <= 0:
                    self._tokens -= 1.0
                    return self._pop()
            self._changed.wait(wait)

    def _pop(self) -> _Entry:
        entry = heapq.heappop(self._due)[2]
        entry.queued = False
        return entry

    def _write(self, entry: _Entry, count: int, last: datetime) -> None:
        series = {"series": {"count": count, "lastObservedTime": micro_time(last)}} if count > 1 else {}
        if entry.name:
            try:
                self._client.patch(f"{entry.collection}/{entry.name}", series, seconds=_CALL_SECONDS)
            except ApiError as error:
                if error.status != 404:
                    raise
                entry.name = ""  # the API server keeps events for an hour only
            else:
                return
        suffix = "." + secrets.token_hex(8)
        name = entry.regarding["name"][: _NAME_LENGTH - len(suffix)] + suffix
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": entry.regarding.get("namespace") or _CLUSTER_SCOPED},
            "eventTime": micro_time(entry.first),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": entry.action,
            "reason": entry.reason,
            "regarding": dict(entry.regarding),
            "note": entry.note,
            "type": entry.kind,
            **series,
        }
        self._client.create(entry.collection, body, seconds=_CALL_SECONDS)
        entry.name = name

    def _written(self, entry: _Entry, count: int, error: Exception | None) -> None:
        """Note how a write went, and have it tried again where that may help."""
        now = time.monotonic()
        if error is None:
            entry.written, entry.written_at, entry.attempts = count, now, 0
            if entry.count > count and not entry.queued:
                self._queue(entry, now + self._repeat)
            return
        entry.attempts += 1
        if _passing(error) and entry.attempts < _ATTEMPTS and self._ends == float("inf"):
            delay = min(_MOST_DELAY, _FIRST_DELAY * 2.0 ** (entry.attempts - 1))
            # For all of them: they go to the same server.
            self._wait_until = now + max(delay, error.retry_after if isinstance(error, ApiError) else 0.0)
            if not entry.queued:
                self._queue(entry, self._wait_until)
            return
        self._drop(entry.count - entry.written)
        self._entries.pop(entry.key, None)
        if entry.queued:  # said again while it was being written
            self._due = [waiting for waiting in self._due if waiting[2] is not entry]
            heapq.heapify(self._due)
        said = str(error) if isinstance(error, ApiError) else trace(error)
        level = "debug" if _namespace_goes(error) else "warning"
        self._log(level, "event dropped", reason=entry.reason, regarding="/".join(entry.key[1:4]), error=said)


def _passing(error: Exception) -> bool:
    """Whether the same write may succeed later."""
    return isinstance(error, ApiError) and (error.status in (NO_ANSWER, 429) or error.status >= 500)


def _namespace_goes(error: Exception) -> bool:
    """Whether there is no place for the event any more: it tells of what goes with its namespace."""
    if not isinstance(error, ApiError):
        return False
    return error.status == 404 or (error.status == 403 and "NamespaceTerminating" in error.causes)

"""A local picture of the objects that match a selector, kept up to date by list and watch.

Why not `kubernetes.informer.SharedInformer` (version 37): it lists without pages, and keeps the typed model of every
object; it asks for no bookmarks, so that a selector under which little happens ends in a 410 and a new list; a resync
is a new list, too; after a failed watch it tries again without any delay; a handler does not get what was there before;
and what `kubernetes.watch` lacks (watch.py) it lacks as well. bench/informer_memory.py shows what either takes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar

from webhook.kube.client import Client
from webhook.kube.errors import NO_ANSWER, ApiError
from webhook.kube.watch import Watch
from webhook.log import Log, trace

T = TypeVar("T")

_FIRST_DELAY, _MOST_DELAY = 0.2, 10.0
_MOST_ASKED = 60.0
"""The longest wish of the server to wait that is obeyed."""

_WATCH_SECONDS = 300
_SHORTEST_WATCH = 1.0
"""A watch that ends sooner and without an event counts as a failure, or we would ask for the next one in a circle."""

_DOUBT = 5
"""After so many refused watches in a row the list is fetched anew: the version to go on from may be one that the server
will never have, for instance after etcd was restored from a backup."""

_STOP_SECONDS = 5.0


class Store(Mapping[str, T]):
    """Maps "namespace/name" (or "name") to projections. To read from any thread; iterating sees one moment."""

    def __init__(self, kept: dict[str, T]) -> None:
        self._kept = kept

    def __getitem__(self, key: str) -> T:
        return self._kept[key]

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self.snapshot())

    def values(self) -> ValuesView[T]:
        return self.snapshot().values()

    def items(self) -> ItemsView[str, T]:
        return self.snapshot().items()

    def snapshot(self) -> dict[str, T]:
        """A copy as of one moment: one step for the interpreter, so that no thread comes between."""
        return self._kept.copy()


class Informer(Generic[T]):
    """Lists, then watches, and lists again whenever the server cannot go on from where we were.

    path: a collection, such as "/api/v1/pods". labels, fields: selectors, which the server applies.
    project: what to keep of an object, None for nothing. It gets the raw object, and must not keep that or big parts of
    it. Equal (==) projections of the same object mean that nothing has changed.
    changed: called with (old, new) after the store has new in the place of old; None stands for "not there". An object
    that was deleted and made again under its name is two calls, also when we have seen neither happen. It is called on
    the informer's own thread, so it should only put a key into a queue; an exception in it is logged.
    name: for the log and the thread.
    resync: every so many seconds `changed(x, x)` is called for all that is in the store, to have mended what a lost
    reaction left behind; 0 for never. It costs the API server nothing.
    page: objects a page of the list. What is kept lies scattered among what a page took for memory, so this is what
    the process grows by for good: 200 pods of 10 KiB take some 20 MiB.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        project: Callable[[dict[str, Any]], T | None],
        changed: Callable[[T | None, T | None], None],
        *,
        name: str,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        resync: float = 0.0,
        page: int = 200,
        log: Log,
    ) -> None:
        self._kept: dict[str, T] = {}
        self.store = Store(self._kept)
        self.name = name
        self.relists = 0
        """Lists after the first one."""

        self.contact = float("-inf")
        """`time.monotonic()` of the last sign of life from the API server; bookmarks come about every minute."""

        self._client = client
        self._path = path
        self._project = project
        self._changed = changed
        self._labels = labels
        self._fields = fields
        self._metadata_only = metadata_only
        self._resync = resync
        self._page = page
        self._log = log
        self._uids: dict[str, str] = {}
        self._version = ""  # to watch from; "" when a list is needed
        self._resynced = 0.0
        self._failures = 0
        self._refusals = 0
        self._interrupted = False
        self._stop = threading.Event()
        self._synced = threading.Event()
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name=f"informer-{name}", daemon=True)

    @property
    def synced(self) -> bool:
        """Whether the first list is complete, and `changed` was called for all of it."""
        return self._synced.is_set()

    def wait_synced(self, seconds: float) -> bool:
        """Wait for `synced`; False when it does not come."""
        return self._synced.wait(seconds)

    def start(self) -> None:
        """Begin, on a thread of its own. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """End: `changed` is not called any more. A watch ends at once, a list after the answer that it waits for."""
        self._stop.set()
        with self._lock:
            if self._watch is not None:
                self._watch.stop()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._version:
                    self._list()
                if self._stop.is_set():
                    return
                if self._resync and time.monotonic() - self._resynced >= self._resync:
                    self._all_again()
                self._follow()
            except ApiError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - whatever an answer looks like, this thread must go on
                self._version = ""
                self._pause("error", "informer failed", exception=trace(error))

    # list

    def _list(self) -> None:
        found: dict[str, tuple[str, T]] = {}
        version = ""
        pages = self._client.list(
            self._path,
            labels=self._labels,
            fields=self._fields,
            limit=self._page,
            metadata_only=self._metadata_only,
        )
        for objects, page_version in pages:
            self.contact = time.monotonic()
            version = page_version
            for raw in objects:
                self._take(raw, found)
            objects.clear()
            if self._stop.is_set():
                return
        # Those that have gone first: an address that has moved is then never with two of them.
        for key in [key for key in self._kept if self._uids[key] != found.get(key, ("", None))[0]]:
            self._set(key, "", None)
        for key, (uid, new) in found.items():
            self._set(key, uid, new)
        self.relists += self._synced.is_set()
        self._version = version
        self._resynced = time.monotonic()
        if not self._synced.is_set() and not self._stop.is_set():
            self._synced.set()
            self._log("debug", "informer synced", informer=self.name, objects=len(self._kept))

    def _take(self, raw: dict[str, Any], found: dict[str, tuple[str, T]]) -> None:
        key, uid = _identity(raw)
        old = self._kept.get(key) if self._uids.get(key) == uid else None
        new = self._projected(key, raw, old)
        if new is not None:
            # The old one where they are equal: then a relist needs no second copy of everything.
            found[key] = (uid, old if old is not None and old == new else new)

    def _projected(self, key: str, raw: dict[str, Any], old: T | None) -> T | None:
        try:
            return self._project(raw)
        except Exception as error:  # noqa: BLE001 - one odd object must not hide all others
            self._log("error", "object not understood", informer=self.name, object=key, exception=trace(error))
            return old

    # watch

    def _follow(self) -> None:
        """One watch, until the server ends it."""
        seconds = random.uniform(0.8, 1.0) * _WATCH_SECONDS  # noqa: S311 - so that not all informers come at once
        if self._resync:
            seconds = min(seconds, self._resynced + self._resync - time.monotonic())
        began, events = time.monotonic(), 0
        with self._client.watch(
            self._path,
            self._version,
            labels=self._labels,
            fields=self._fields,
            metadata_only=self._metadata_only,
            seconds=max(1, round(seconds)),
        ) as watch:
            with self._lock:
                self._watch = watch
            if self._stop.is_set():
                return
            self._answered()
            try:
                for kind, raw in watch:
                    self._event(kind, raw)
                    events += 1
                    self._failures = self._refusals = 0
            finally:
                with self._lock:
                    self._watch = None
        self.contact = time.monotonic()
        if events == 0 and self.contact - began < min(_SHORTEST_WATCH, seconds) and not self._stop.is_set():
            raise ApiError(NO_ANSWER, "WatchEnded", "the watch ended as soon as it began", call=f"WATCH {self._path}")
        self._failures = self._refusals = 0

    def _event(self, kind: str, raw: dict[str, Any]) -> None:
        self.contact = time.monotonic()
        if kind != "BOOKMARK":
            key, uid = _identity(raw)
            if self._uids.get(key, uid) != uid:
                self._set(key, "", None)
            new = None if kind == "DELETED" else self._projected(key, raw, self._kept.get(key))
            self._set(key, uid, new)
        self._version = raw["metadata"]["resourceVersion"]

    # what changed

    def _set(self, key: str, uid: str, new: T | None) -> None:
        old = self._kept.get(key)
        if self._stop.is_set() or (old is None and new is None):
            return
        if new is None:
            del self._kept[key], self._uids[key]
        elif old is not None and old == new:
            return
        else:
            self._uids[key] = uid
            self._kept[key] = new
        self._tell(key, old, new)

    def _tell(self, key: str, old: T | None, new: T | None) -> None:
        try:
            self._changed(old, new)
        except Exception as error:  # noqa: BLE001 - the caller's mistake; the store is right all the same
            self._log("error", "reaction to a change failed", informer=self.name, object=key, exception=trace(error))

    def _all_again(self) -> None:
        for key, kept in self.store.snapshot().items():
            if self._stop.is_set():
                return
            self._tell(key, kept, kept)
        self._resynced = time.monotonic()

    # when it goes wrong

    def _failed(self, error: ApiError) -> None:
        if self._stop.is_set():
            return
        if error.status == 410:
            self._version = ""
        elif error.status != NO_ANSWER:
            self._refusals += 1
            if self._refusals % _DOUBT == 0:
                self._version = ""
        level = "debug" if error.status == 410 and self._failures == 0 else "warning"
        self._pause(level, "informer interrupted", least=error.retry_after, error=str(error))

    def _pause(self, level: str, message: str, *, least: float = 0.0, **fields: Any) -> None:
        delay = min(_MOST_DELAY, _FIRST_DELAY * 2.0 ** min(self._failures, 16))
        delay = max(min(least, _MOST_ASKED), delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret
        self._failures += 1
        self._interrupted = True
        self._log(level, message, informer=self.name, failures=self._failures, again_in=round(delay, 2), **fields)
        self._stop.wait(delay)

    def _answered(self) -> None:
        """A watch has begun. The delay after a failure grows on all the same until it has shown something."""
        self.contact = time.monotonic()
        if self._interrupted:
            self._interrupted = False
            self._log("info", "informer goes on", informer=self.name, failures=self._failures)


def _identity(raw: dict[str, Any]) -> tuple[str, str]:
    """("namespace/name" or "name", uid)."""
    metadata = raw["metadata"]
    namespace = metadata.get("namespace")
    name = metadata["name"]
    return f"{namespace}/{name}" if namespace else name, metadata["uid"]

"""The namespaces that `serve` knows: kept current by a watch, and asked for once more where that cannot be right.

A review is answered from memory. Two things make it wait for a call: a namespace that the watch has not brought yet,
and one whose labels, as the watch has them, would have kept the API server from asking at all. Both are a moment old.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from webhook.kube.client import Client
from webhook.kube.errors import ApiError
from webhook.kube.informer import Informer
from webhook.log import Log
from webhook.namespaces import Namespace
from webhook.server.asking import NamespaceError, Result, Unsettled

PATH = "/api/v1/namespaces"

READ_SECONDS = 1.0
"""For a connection, and again for the answer; the API server itself waits five seconds for a review (the chart)."""

QUEUE_SECONDS = 1.5
"""A question that has waited so long for its turn is not asked any more."""

KEPT_SECONDS = 2.0
"""An answer holds so long; by then the watch has brought it. Also "there is none"."""

FAILED_SECONDS = 1.0
"""So long nothing more is asked about a namespace after a call that failed."""

STALE_SECONDS = 150.0
"""Without a sign of life from the API server, which sends one a minute, the picture counts as old."""

_READERS = 4


@dataclass(frozen=True, slots=True)
class _Read:
    """One call under way or lately done; until: monotonic seconds."""

    answer: Future[Namespace | None]
    until: float = math.inf


class Namespaces:
    """To ask from any thread, after `start`.

    read: told how each call for a single namespace ended.
    """

    def __init__(
        self, client: Client, log: Log, *, read: Callable[[Result], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._log = log
        self._told = read
        self._clock = clock
        self._informer = Informer(
            client, PATH, Namespace.of, self._changed, name="namespaces", metadata_only=True, log=log
        )
        self._readers: ThreadPoolExecutor | None = None
        self._reads: dict[str, _Read] = {}
        self._lock = threading.Lock()
        self._stale = False

    def start(self) -> None:
        """Begin to watch, in the process that answers reviews: threads do not survive a fork."""
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="namespace")
        self._informer.start()

    def stop(self) -> None:
        """End; what is asked for now is not answered any more. The watch ends with the process."""
        if self._readers is not None:
            self._readers.shutdown(wait=False, cancel_futures=True)

    def get(self, name: str) -> Namespace | None:
        """As the watch has it; None when the API server says that there is none. Raises Unsettled, NamespaceError."""
        known = self._informer.store.get(name)
        return known if known is not None else self.confirmed(name)

    def confirmed(self, name: str) -> Namespace | None:
        """As the API server has said within KEPT_SECONDS. Raises as `get`."""
        with self._lock:
            read = self._reads.get(name)
            if read is None or read.until <= self._clock():
                read = self._ask(name)
        if not read.answer.done():
            raise Unsettled(read.answer)
        return read.answer.result()

    def _ask(self, name: str) -> _Read:
        if self._readers is None:
            raise NamespaceError(f"namespace {name} cannot be asked for before the server has started")
        now = self._clock()
        self._reads = {key: read for key, read in self._reads.items() if read.until > now}
        answer = self._readers.submit(self._call, name, now)
        self._reads[name] = _Read(answer)
        return self._reads[name]

    def _call(self, name: str, asked: float) -> Namespace | None:
        kept = KEPT_SECONDS
        try:
            found = self._read(name, asked)
            self._told("absent" if found is None else "found")
        except NamespaceError:
            kept = FAILED_SECONDS
            self._told("failed")
            raise
        else:
            return found
        finally:
            with self._lock:
                self._reads[name] = _Read(self._reads[name].answer, self._clock() + kept)

    def _read(self, name: str, asked: float) -> Namespace | None:
        problem = "too many others are being asked for"
        if self._clock() - asked < QUEUE_SECONDS:
            try:
                return Namespace.of(self._client.get(f"{PATH}/{name}", metadata_only=True, seconds=READ_SECONDS))
            except ApiError as error:
                if error.status == 404:
                    return None
                problem = str(error)
        raise NamespaceError(
            f"namespace {name} has to be asked for, since it is new or its label is, and that failed: {problem}; "
            "try again"
        )

    def _changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if new is not None and (old is None or old.defaults != new.defaults or old.misplaced != new.misplaced):
            for sentence in new.without_effect():
                self._log("warning", sentence, namespace=new.name)

    # how well it is known

    @property
    def synced(self) -> bool:
        return self._informer.synced

    def missing(self) -> str | None:
        """Why reviews cannot be answered rightly yet. An API server that goes away later is no reason."""
        return None if self.synced else "the namespaces have not been read from the API server yet"

    def __len__(self) -> int:
        return len(self._informer.store)

    def age(self) -> float:
        """Seconds since the last sign of life from the API server; NaN before the first."""
        return self._clock() - self._informer.contact if math.isfinite(self._informer.contact) else math.nan

    def report(self) -> None:
        """Say once in the log that the picture has become old, and once that it is current again."""
        stale = self.synced and self.age() > STALE_SECONDS
        if stale and not self._stale:
            self._log("warning", "no news from the API server; namespaces count as they were", age=round(self.age()))
        elif self._stale and not stale:
            self._log("info", "namespaces are current again")
        self._stale = stale

"""Peers: the lists that `membership.plan` asks for, written, and the time that took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from webhook.log import Log
from webhook.ring import membership
from webhook.ring.index import Index
from webhook.ring.metrics import Metrics
from webhook.ring.pods import Member
from webhook.ring.reconcile.writes import Change, Writer, Written


class Peers:
    """Keeps the lists of a ring's members right."""

    def __init__(
        self, writer: Writer, index: Index, metrics: Metrics, log: Log, clock: Callable[[], float] = time.time
    ) -> None:
        self._writer = writer
        self._index = index
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}  # uid -> when its address came up, until its first list is written

    def address_seen(self, uid: str) -> None:
        """A pod has got an address just now."""
        with self._lock:
            self._seen.setdefault(uid, time.monotonic())

    def forget(self, uid: str) -> None:
        """The pod is gone, or waits for nobody."""
        with self._lock:
            self._seen.pop(uid, None)

    def look(self, members: Sequence[Member], wanted: Mapping[str, str]) -> bool:
        """Write what is to be written; False when something has to be tried again.

        members: those with a peers file. wanted: uid -> generation of the configuration; a pod that has none yet gets
        it in the same write. Raises NotLeadingError.
        """
        live = [m for m in members if m.live]
        lists = membership.plan(live, self._clock())
        if len(live) == 1:
            self.forget(live[0].uid)  # it has nobody to wait for, and that is no delay
        if not lists:
            return True
        changes = [
            Change(m, lists[m.uid], wanted.get(m.uid) if m.generation is None else None) for m in live if m.uid in lists
        ]
        results = self._writer.write(changes, self._written)
        written = sum(w.result == "ok" for w in results)
        if written:
            self._log("info", "peers written", ring=str(live[0].ring), lists=written, members=len(live))
        return all(w.result in ("ok", "gone") for w in results)

    def _written(self, written: Written) -> None:
        if written.member is not None:
            # What the answer says, before the watch does: the next plan must not repeat the write.
            self._index.answered(written.member)
        if written.result in ("ok", "gone"):
            with self._lock:
                since = self._seen.pop(written.change.member.uid, None)
            if since is not None and written.result == "ok":
                self._metrics.peers_seconds.observe(time.monotonic() - since)

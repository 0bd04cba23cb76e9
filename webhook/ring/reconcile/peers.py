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
from webhook.ring.reconcile.writes import DONE, Batch, Change, Writer, Written


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
        self._failing: set[str] = set()  # uids whose last write has failed

    def address_seen(self, uid: str) -> None:
        """A pod has got an address just now."""
        with self._lock:
            self._seen.setdefault(uid, time.monotonic())

    def forget(self, uid: str) -> None:
        """The pod is gone, or waits for nobody."""
        with self._lock:
            self._seen.pop(uid, None)
            self._failing.discard(uid)

    def look(self, members: Sequence[Member], wanted: Mapping[str, str]) -> Batch:
        """Write what is to be written. Pods that know nobody come first: others have joined, and read no list any more.
        Those whose last write has failed come last, so that they hold up nobody.

        members: those with a peers file. wanted: uid -> generation of the configuration; a pod that has none yet gets
        it in the same write. Raises NotLeadingError.
        """
        live = [m for m in members if m.live]
        lists = membership.plan(live, self._clock())
        if len(live) == 1:
            self.forget(live[0].uid)  # it has nobody to wait for, and that is no delay
        if not lists:
            return Batch([], 0)
        addresses = {m.address for m in live}
        with self._lock:
            failing = set(self._failing)
        todo = sorted(
            (m for m in live if m.uid in lists), key=lambda m: (m.uid in failing, membership.seeded(m, addresses))
        )
        changes = [Change(m, lists[m.uid], wanted.get(m.uid) if m.generation is None else None) for m in todo]
        batch = self._writer.write(changes, self._written)
        written = sum(w.result == "ok" for w in batch.results)
        if written:
            self._log("info", "peers written", ring=str(live[0].ring), lists=written, members=len(live))
        return batch

    def _written(self, written: Written) -> None:
        if written.member is not None:
            # What the answer says, before the watch does: the next plan must not repeat the write.
            self._index.answered(written.member)
        before = written.change.member
        with self._lock:
            if written.result not in DONE:
                self._failing.add(before.uid)
                return
            self._failing.discard(before.uid)
            since = self._seen.pop(before.uid, None)
        # Who stood by has seen addresses come up whose first peers another controller has written.
        if since is not None and written.result == "ok" and before.peers is None:
            self._metrics.peers_seconds.observe(time.monotonic() - since)

"""Controllers: an informer that is behind, a lease that changes hands, and writes that take their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from tests.ring.model.apiserver import ApiServer, Event, epoch
from tests.ring.model.clock import Clock
from webhook.ring.pods import Member
from webhook.rings import Ring

Policy = Callable[[Iterable[Member], float], dict[str, tuple[str, ...]]]

LAG_SECONDS = 0.5  # the longest that an event is under way; each on its own, so that events of two pods change places
TWICE = 0.1  # the share of events that come again, up to AGAIN_SECONDS later
AGAIN_SECONDS = 5.0
DEBOUNCE_SECONDS = 0.2
WRITE_SECONDS = 0.2
RETRY_SECONDS = 1.0
CATCH_UP_SECONDS = 3.0  # how long a list from a replica that is behind stays the truth


class Controller:
    """One process. It writes while it leads; `policy` is webhook.ring.membership.plan, or a design to be shown wrong.

    skew: how far its clock is ahead of the API server's.
    """

    def __init__(self, clock: Clock, server: ApiServer, random: Random, policy: Policy, skew: float = 0.0) -> None:
        self.clock, self.server, self.random, self.policy, self.skew = clock, server, random, policy, skew
        self.view: dict[str, Event] = {}
        self.leading = False
        self.writes = self.conflicts = 0
        self._connection = 0  # events of an earlier one do not arrive any more
        self._connected = False
        self._behind_until = 0.0
        self._planned: set[Ring] = set()
        server.watchers.append(self._watch)

    # -- the informer -------------------------------------------------------------------------------------------------
    def connect(self, behind: float = 0.0) -> None:
        """Lists, then watches. behind: seconds by which the list is old; what came after it comes CATCH_UP_SECONDS
        late, all at once: a view is never half old.
        """
        self._connection += 1
        self._connected = True
        self.view = {event.key: event for event in self.server.snapshot(self.clock.now - behind)}
        self._plan_all()
        self._behind_until = self.clock.now + CATCH_UP_SECONDS if behind else 0.0
        if behind:
            self.clock.after(CATCH_UP_SECONDS, self._catch_up, self._connection)

    def disconnect(self) -> None:
        """It hears of nothing more, and goes on with what it knows."""
        self._connection += 1
        self._connected = False

    def _catch_up(self, connection: int) -> None:
        if connection == self._connection:
            self.connect()

    def _watch(self, event: Event) -> None:
        if not self._connected or self.clock.now < self._behind_until:
            return
        self.clock.after(self.random.uniform(0.005, LAG_SECONDS), self._receive, event, self._connection)
        if self.random.random() < TWICE:
            self.clock.after(self.random.uniform(0, AGAIN_SECONDS), self._receive, event, self._connection)

    def _receive(self, event: Event, connection: int) -> None:
        """Level-triggered: what is older than what it has of the pod says nothing."""
        before = self.view.get(event.key)
        if connection != self._connection or (before is not None and before.version > event.version):
            return
        self.view[event.key] = event
        for seen in (before.member if before else None, event.member):
            if seen is not None and seen.ring is not None:
                self._plan_soon(seen.ring)

    # -- the reconciler -----------------------------------------------------------------------------------------------
    def _plan_all(self) -> None:
        for ring in {e.member.ring for e in self.view.values() if e.member is not None and e.member.ring is not None}:
            self._plan_soon(ring)

    def _plan_soon(self, ring: Ring, seconds: float = 0.0) -> None:
        if ring not in self._planned:
            self._planned.add(ring)
            self.clock.after(seconds + self.random.uniform(0.01, DEBOUNCE_SECONDS), self._plan, ring)

    def _plan(self, ring: Ring) -> None:
        self._planned.discard(ring)
        if self.leading:
            self.act(ring)

    def act(self, ring: Ring) -> None:
        seen = {e.member.uid: e.member for e in self.view.values() if e.member is not None and e.member.ring == ring}
        for uid, peers in self.policy(seen.values(), epoch(self.clock.now + self.skew)).items():
            self.clock.after(self.random.uniform(0.005, WRITE_SECONDS), self._write, seen[uid], peers)

    def act_on_everything(self) -> None:
        for ring in {e.member.ring for e in self.view.values() if e.member is not None and e.member.ring is not None}:
            self.act(ring)

    def _write(self, seen: Member, peers: tuple[str, ...]) -> None:
        if self.server.patch_peers(seen, "\n".join(peers)):
            self.writes += 1
            return
        self.conflicts += 1
        if seen.ring is not None:
            self._plan_soon(seen.ring, RETRY_SECONDS)

    def has_seen(self, address: str, ring: Ring) -> bool:
        """Whether it takes the address for one of a live pod of the ring."""
        seen = (e.member for e in self.view.values())
        return any(m is not None and m.ring == ring and m.live and m.address == address for m in seen)

"""A Supervisor as far as gossip goes, by supervisor.md §0 and §4; where they differ, §0 (observed) holds.

What is in it, because a ring breaks on it: the peers file is read only while nobody is known; the addresses read are
pinged, between the rounds of probes, until as many members are known as half the list and one more, then never again;
whoever pings is taken in; a Supervisor that others know learns of itself from them, and counts itself; a ping to
oneself makes oneself a member; a line that does not resolve ends the process; a restart forgets everything and is a
new member; a departed or confirmed member is not pinged any more; a message under another ring key is dropped without
a word. Held to the observations by tests/ring/test_supervisor_observed.py.

What is not: messages take no time and none is lost; a message carries all that its sender knows (really the hottest
five rumours, and a few messages more); acks count for the sender as the ping does for its receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from tests.ring.model.clock import Clock
from tests.ring.model.peersfile import Resolver, UnknownHostError, UnusableLineError, nowhere, parse

START_SECONDS = 1.0  # from exec until gossip listens and the file is read for the first time
POLL_SECONDS = 1.0  # the file watcher's stat
LOOP_SECONDS = 1.0  # the main loop, which acts on what the watcher has noticed
ROUND_SECONDS = 3.1  # a SWIM round: one member is probed, 1 s by a ping, 2.1 s by way of others
PUSH_SECONDS = 1.0
PUSH_FANOUT = 5
CONFIRM_SECONDS = 9.3  # from suspect to confirmed
LOOKUP_SECONDS = 10.0  # until a resolver gives up on a name
DEPART_TOLD = 10
FATAL = 86
USAGE = 2

ALIVE, SUSPECT, CONFIRMED, DEPARTED = range(4)


class Network(Protocol):
    """Who listens at an address; None when nobody does."""

    def at(self, address: str) -> Supervisor | None: ...


@dataclass(slots=True)
class Known:
    """One line of a member list."""

    address: str
    health: int
    incarnation: int = 0
    suspected_at: float = 0.0


class Supervisor:
    """One process, from exec to its end.

    identity: the member id, new for each process. file: reads the peers file as it is mounted now. peers: addresses
    of `--peer`, resolved once (then there is no file). remembers: the member list of an earlier process of the same
    identity, where /hab/sup is a volume. exited: called with the exit code when it ends by itself.
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        random: Random,
        *,
        identity: str,
        address: str,
        file: Callable[[], str | None] | None = None,
        peers: list[str] | None = None,
        key: str = "",
        resolve: Resolver = nowhere,
        remembers: Mapping[str, Known] | None = None,
        exited: Callable[[int], None] = lambda code: None,
    ) -> None:
        self.clock, self.network, self.random = clock, network, random
        self.identity, self.address, self.key = identity, address, key
        self.file, self.initial = file, list(peers or ())
        self.resolve, self.exited = resolve, exited
        self.members: dict[str, Known] = {i: replace(k) for i, k in (remembers or {}).items()}
        self.news = 0  # grows with every change of the member list
        self._heard: dict[str, int] = {}  # member id -> its `news` when its list was last taken in
        self._told: dict[str, int] = {}  # member id -> my `news` when it was last pushed there
        self._all_told = 0
        self.running = True
        self.listening = False
        self.blocked = False  # the main loop waits for a resolver
        self.panicked = False  # the gossip threads are gone, the process is not
        self.seeding_over = False
        self.read_at: float | None = None
        self._seen: str | None = None
        self._pending = True
        self._to_check: list[str] = []
        clock.after(START_SECONDS, self._start)

    # -- life ---------------------------------------------------------------------------------------------------------
    def _start(self) -> None:
        if not self.running:
            return
        self.listening = True
        self._round()  # the first round comes before the file has been read: the first ping is in the second (§0)
        self._seen = self.file() if self.file else None
        self._loop(first=True)
        if self.file:
            self.clock.after(self.random.uniform(0, POLL_SECONDS), self._poll)
        self.clock.after(self.random.uniform(0, PUSH_SECONDS), self._push)

    def terminate(self) -> None:
        """SIGTERM: it says goodbye to a few members, and is gone."""
        if self.listening:
            self._tell_departure()
        self.kill()

    def kill(self) -> None:
        """SIGKILL: nobody hears of it."""
        self.running = self.listening = False

    def _tell_departure(self) -> None:
        alive = [(i, m) for i, m in self.members.items() if m.health <= SUSPECT and i != self.identity]
        for _, member in self.random.sample(alive, min(DEPART_TOLD, len(alive))):
            other = self._reach(member.address)
            if other is not None:
                other.hear(self.identity, self.address, DEPARTED, self.incarnation)

    def _exit(self, code: int) -> None:
        if self.running:
            self.kill()
            self.exited(code)

    # -- the peers file -----------------------------------------------------------------------------------------------
    def _poll(self) -> None:
        if not self.running or self.file is None or self.members:
            return  # once somebody is known, nobody asks what it has seen
        content = self.file()
        if content != self._seen:
            self._seen, self._pending = content, True
        self.clock.after(POLL_SECONDS, self._poll)

    def _loop(self, *, first: bool = False) -> None:
        if not self.running or self.file is None or self.members or self.blocked:
            return
        if self._pending:
            self._pending = False
            self._read()
        self.clock.after(self.random.uniform(0, LOOP_SECONDS) if first else LOOP_SECONDS, self._loop)

    def _read(self) -> None:
        self.read_at = self.clock.now
        try:
            peers = parse(self._seen, self.resolve)
        except UnusableLineError:
            self._exit(FATAL)
        except UnknownHostError:
            self.blocked = True
            self.clock.after(LOOKUP_SECONDS, self._exit, FATAL)
        else:
            self.initial = list(peers.addresses)
            self.panicked = self.panicked or peers.has_v6
            self.listening = not self.panicked

    # -- gossip -------------------------------------------------------------------------------------------------------
    def _round(self) -> None:
        """The initial members, then the members one after the other: one each time, three seconds apart."""
        if not self.listening:
            return
        if not self._to_check:
            self._ping_initial_members()
            self._to_check = [i for i in self.members if i != self.identity]
            self.random.shuffle(self._to_check)
        while self._to_check:
            identity = self._to_check.pop()
            if self.members[identity].health <= SUSPECT:
                self._probe(identity)
                break
        self.clock.after(ROUND_SECONDS, self._round)

    def _ping_initial_members(self) -> None:
        if self.seeding_over or not self.initial:
            return
        if len(self.members) >= len(self.initial) // 2 + 1:
            self.seeding_over = True  # for good
            return
        for address in self.initial:
            self._ping(address)

    def _reach(self, address: str) -> Supervisor | None:
        """Who hears a message sent there: somebody listens, and can decrypt it."""
        other = self.network.at(address)
        return other if other is not None and other.listening and other.key == self.key else None

    def _ping(self, address: str) -> Supervisor | None:
        """A ping and its ack, both with all that the sender knows. Who answered; it need not be who was meant."""
        other = self._reach(address)
        if other is not None:
            other.take(self)
            self.take(other)
        return other

    def _probe(self, identity: str) -> None:
        member = self.members[identity]
        answered = self._ping(member.address)
        if answered is None or answered.identity != identity:
            self.clock.after(ROUND_SECONDS, self._suspect, identity, member.incarnation)

    def take(self, sender: Supervisor) -> None:
        """A message has come: its sender is a member, and so is everybody it tells of (itself, when it is me)."""
        if self._heard.get(sender.identity) == sender.news:
            return
        self.hear(sender.identity, sender.address, ALIVE, sender.incarnation)
        for identity, member in list(sender.members.items()):
            self.hear(identity, member.address, member.health, member.incarnation)
        self._heard[sender.identity] = sender.news

    @property
    def incarnation(self) -> int:
        me = self.members.get(self.identity)
        return me.incarnation if me else 0

    def hear(self, identity: str, address: str, health: int, incarnation: int) -> None:
        """One line of somebody's list. The worse health wins within an incarnation, a higher incarnation over all."""
        known = self.members.get(identity)
        if known is not None and (incarnation, health) <= (known.incarnation, known.health):
            return
        if identity == self.identity and health != ALIVE:  # about me: refuted (§4.6)
            address, health, incarnation = self.address, ALIVE, incarnation + 1
        self.members[identity] = Known(address, health, incarnation, self.clock.now)
        self.news += 1
        if health == SUSPECT:
            self.clock.after(CONFIRM_SECONDS, self._confirm, identity, self.clock.now)

    def _suspect(self, identity: str, incarnation: int) -> None:
        if self.running and not self._answers(identity):
            self.hear(identity, self.members[identity].address, SUSPECT, incarnation)

    def _answers(self, identity: str) -> bool:
        """Whether others got an answer (a ping-req)."""
        other = self._reach(self.members[identity].address)
        return other is not None and other.identity == identity

    def _confirm(self, identity: str, suspected_at: float) -> None:
        member = self.members[identity]
        if self.running and member.health == SUSPECT and member.suspected_at == suspected_at:
            self.hear(identity, member.address, CONFIRMED, member.incarnation)

    def _push(self) -> None:
        """Rumours, over TCP, to a few of those that are alive and have not had them: they cool."""
        if not self.listening:
            return
        if self._all_told != self.news:
            warm = [
                (identity, member)
                for identity, member in self.members.items()
                if member.health == ALIVE and identity != self.identity and self._told.get(identity) != self.news
            ]
            if not warm:
                self._all_told = self.news
            for identity, member in self.random.sample(warm, min(PUSH_FANOUT, len(warm))):
                self._told[identity] = self.news
                other = self._reach(member.address)
                if other is not None:
                    other.take(self)
        self.clock.after(PUSH_SECONDS, self._push)

    # -- what a look from outside shows -------------------------------------------------------------------------------
    def sees(self, other: Supervisor) -> bool:
        """Whether `other` is alive in my census."""
        known = self.members.get(other.identity)
        return known is not None and known.health == ALIVE

    @property
    def health(self) -> int:
        """The gateway's status, as far as gossip has a say: it has none, unless the main loop waits for a name."""
        return 500 if self.blocked or not self.running else 200

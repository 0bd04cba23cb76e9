"""Who is told of whom: the members of a ring, with the lists they have -> the lists to write.

What it stands on (supervisor.md §0, §4): a Supervisor reads its file only while it knows nobody, pings every address
in it until it knows half of them and one more, and then never looks again. Whoever pings it makes it know somebody. So
a wrong start cannot be mended by a later list, and **a pod that is asked before it has read its own list never reads
it**: lists that connect everybody on paper can come up as two rings when files arrive late. Hence the rules:

1. No list holds its pod's own address, or one that no live pod of the ring has. A pod that is first gets no list: it
   waits, and reads its file when there is somebody to put into it.
2. In a ring of up to WHOLE + 1 pods everybody's list names everybody. In a larger one a list has K names.
3. A pod is *settled* when its list was written SETTLED_SECONDS ago and its Supervisor has run for RUNNING_SECONDS: its
   file has arrived, it has read it, and it has joined. With more than K settled pods in a ring, only those are listed,
   those first that are in the fewest lists.
4. In a young ring, where nobody is settled, all lists name the same K *seeds*: the pods that most lists name already,
   then those that run, then the oldest. Seeds list each other, and WHOLE in all.
5. A list keeps every entry that is alive. It is written when one has died, or when it is too short and there is
   somebody to add.

Why one ring comes of it. Settled pods are in the ring, so by rule 3 every address that is handed out leads into it,
and a pod that nobody lists cannot be drawn into anything else. In a young ring any two lists name the same three pods,
and a Supervisor goes on until it knows two: any two pods that have found peers share one, whatever order the files
arrive in. In a small one a Supervisor goes on until it knows half of all. Two lists of which one name has died share
the others. Pods of a small ring that restart forget, and find those that
have not restarted, since they name all.

Why writes stay few. A new pod costs one, in a small ring one for each member, gathered where many come at once. A death
costs the lists that name it: K on average, since all lists together have K entries a pod, and about K in a settled
ring, since the least listed are chosen. A seed of a young ring is in all its lists, and its death rewrites each of
them, whenever it comes; what they get instead are settled pods as soon as there are, so that this happens to a pod at
most K times after its ring has settled.

What no list can help against, and docs/rings.md says so: all that know a pod restart within the same seconds, and that
pod alone does not; or an address is given to a pod of another ring without a key while somebody's file still has it.
And one thing is left to chance: a Supervisor counts itself, so half of a small ring of even size is enough for it to
stop asking. Two halves that start in the same second, one of them with lists from before the other came, can stay
apart; HYPOTHESIS_PROFILE=thorough looks through thousands of histories to find one.

design.md §7 says: choose among the pods created before, by rendezvous hash. tests/ring/test_model.py holds that rule,
too, and the model breaks it: with late files a pod's list can consist of pods that have not read theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, nsmallest

from webhook.ring.pods import Member

K = 3
"""Addresses in a list. With three, a Supervisor goes on asking until it knows two of them."""

WHOLE = 8
"""Addresses in the lists of a small ring, and in those of a young ring's seeds."""

SETTLED_SECONDS = 120.0
"""Longer than it takes from a written annotation to a joined ring at the worst: 90 s until the kubelet has brought the
file (a kubelet that pulls another container's image does nothing else meanwhile), 5.2 s until the Supervisor has read
it and pinged (supervisor.md §0), and clocks that differ: both ends of the time are not read from one."""

RUNNING_SECONDS = 10.0
"""A Supervisor that finds its file filled has pinged 4.2 s after its start (supervisor.md §0)."""


def plan(members: Iterable[Member], now: float) -> dict[str, tuple[str, ...]]:
    """The lists to write: pod uid -> addresses, () to empty one; pods whose list is right are not in it.

    members: of one ring, those that are `managed` and `injected`; gone ones and those without an address may be among
    them and get nothing. now: seconds since the epoch. Costs a few microseconds a member.
    """
    live = [m for m in members if m.live]
    addresses = {m.address for m in live}
    size = WHOLE if len(live) <= WHOLE + 1 else K
    kept = {m.uid: _kept(m, addresses) for m in live}
    full = min(size, len(addresses) - 1)  # pods on a node's own network share its address
    short = [m for m in live if len(kept[m.uid]) < max(full, len(m.peers or ()))]
    if not short:
        return {}
    choice = _Choice(live, kept, size, now)
    # The oldest first: they are asked first where several lists are to be written at once.
    lists = {m.uid: choice.fill(m, kept[m.uid]) for m in sorted(short, key=_age)}
    return {m.uid: lists[m.uid] for m in short if lists[m.uid] != (m.peers or ())}


def seeded(member: Member, addresses: frozenset[str] | set[str]) -> bool:
    """Whether its list names a live pod. addresses: of all live pods of its ring."""
    return any(a in addresses and a != member.address for a in member.peers or ())


def _kept(member: Member, addresses: Container[str]) -> list[str]:
    return [a for a in dict.fromkeys(member.peers or ()) if a in addresses and a != member.address]


def _age(member: Member) -> tuple[float, str]:
    return member.created, member.uid


def settled(member: Member, now: float) -> bool:
    """Whether it has read its list and joined, as far as anybody can know from outside."""
    return (
        bool(member.peers)
        and 0 < member.since <= now - SETTLED_SECONDS
        and member.running_since is not None
        and member.running_since <= now - RUNNING_SECONDS
    )


@dataclass(slots=True)
class _Choice:
    """Whom to put into lists, with a count of who is in how many. size: of a list."""

    live: list[Member]
    kept: dict[str, list[str]]
    size: int
    now: float
    listed: Counter[str] = field(default_factory=Counter)
    seeds: list[Member] = field(default_factory=list)
    _heap: list[tuple[int, bool, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for addresses in self.kept.values():
            self.listed.update(addresses)
        joined = [m for m in self.live if settled(m, self.now)]
        if len(joined) > K and self.size == K:
            self._heap = [self._entry(m) for m in joined]
            heapify(self._heap)
        else:
            self.seeds = nsmallest(K, self.live, key=self._seed_rank)

    def fill(self, member: Member, kept: list[str]) -> tuple[str, ...]:
        seed = member in self.seeds
        missing, taken = (WHOLE if seed else self.size) - len(kept), {member.address, *kept}
        if missing <= 0:
            return tuple(kept)
        if self._heap:
            found = self._least_listed(missing, taken)
        else:
            found = self._young(missing, taken, others=seed or self.size == WHOLE)
        self.listed.update(found)
        return (*kept, *found)

    def _seed_rank(self, member: Member) -> tuple[bool, int, bool, float, str]:
        joined = settled(member, self.now)
        return not joined, -self.listed[member.address], member.running_since is None, *_age(member)

    def _young(self, missing: int, taken: set[str], *, others: bool) -> list[str]:
        """The seeds, and behind them, if asked for, all others, the least listed first."""
        found = [m.address for m in self.seeds]
        if others:
            found += [m.address for m in sorted(self.live, key=lambda m: (self.listed[m.address], *_age(m)))]
        return [a for a in dict.fromkeys(found) if a not in taken][:missing]

    def _entry(self, member: Member) -> tuple[int, bool, float, str]:
        return self.listed[member.address], not member.ready, member.created, member.address

    def _least_listed(self, missing: int, taken: set[str]) -> list[str]:
        """From the heap, whose counts may be behind: an entry that is goes back with its new one."""
        found: list[str] = []
        passed = []
        while self._heap and len(found) < missing:
            entry = heappop(self._heap)
            count, waiting, created, address = entry
            if count != self.listed[address]:
                heappush(self._heap, (self.listed[address], waiting, created, address))
            elif address in taken:
                passed.append(entry)
            else:
                found.append(address)
                passed.append((count + 1, waiting, created, address))
        for entry in passed:
            heappush(self._heap, entry)
        return found

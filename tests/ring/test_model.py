"""Rings come together, in a model of Supervisors, kubelets and controllers, whatever happens in whatever order.

The model's Supervisors are held to observations by test_supervisor_observed.py; the lists come from the very
`membership.plan` that the controller runs. What is assumed of the world, and nothing else:

(a) Containers of a ring restart by themselves only when those that restarted before have joined again; all pods of a
    node may restart at once. Otherwise all that know a pod could forget it in the same moment, and no list helps:
    `test_a_pod_is_lost_when_all_that_know_it_restart_at_once` shows just that.
(b) In a ring without a key an address goes to another ring only when neither a file nor a Supervisor of the first still
    has it. With keys it may go there at once.
(c) No pod restarts under an address that its own file has.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.model.schedule import STEPS, Arrive, Delete, Restart, Step, Wait, play
from tests.ring.model.world import Design, World
from webhook.ring.pods import Member

QUIET_SECONDS = 400
WRITES_PER_CHANGE = 9
"""The first nine pods of a ring are in all lists of it: the ninth arrival writes nine."""

SCHEDULES = st.lists(STEPS, min_size=1, max_size=14)
Lists = dict[str, tuple[str, ...]]


def outcome(steps: Sequence[Step], seed: int, *, keyed: bool = False, design: Design | None = None) -> list[str]:
    """What is wrong once nothing has happened for a while."""
    return play(World(seed, keyed=keyed, design=design), steps).settle(QUIET_SECONDS)


@given(steps=SCHEDULES, seed=st.integers(0, 2**16))
def test_once_changes_stop_every_ring_is_one_and_no_two_are_merged(steps: list[Step], seed: int) -> None:
    world = play(World(seed), steps)
    assert world.settle(QUIET_SECONDS) == []
    assert world.writes <= WRITES_PER_CHANGE * world.churn


@given(steps=SCHEDULES, seed=st.integers(0, 2**16))
def test_with_keys_addresses_may_go_to_another_ring_at_once(steps: list[Step], seed: int) -> None:
    assert outcome(steps, seed, keyed=True) == []


def test_a_pod_is_lost_when_all_that_know_it_restart_at_once() -> None:
    """The limit that docs/rings.md names. Nobody calls it, and it reads its file no more; deleting it helps."""
    steps = [Arrive(ring=1, count=12), Wait(60), *(Restart(pod, back=1) for pod in range(11)), Wait(0)]
    lost = []
    for seed in range(20):
        world = play(World(seed, careful=False), steps)
        lost.append(any("rings instead of" in problem for problem in world.settle(QUIET_SECONDS)))
        world.delete(world.pods[11], graceful=True)
        Arrive(ring=1).apply(world)
        assert world.settle(QUIET_SECONDS) == []
    assert any(lost)


def test_in_a_small_ring_even_that_loses_nobody() -> None:
    steps = [Arrive(ring=1, count=9), Wait(60), *(Restart(pod, back=1) for pod in range(8)), Wait(0)]
    for seed in range(20):
        assert play(World(seed, careful=False), steps).settle(QUIET_SECONDS) == []


# -- designs that are known to fail --------------------------------------------------------------------------------


def live(members: Iterable[Member]) -> list[Member]:
    return sorted((m for m in members if m.live), key=lambda m: (m.created, m.uid))


def changed(members: Sequence[Member], lists: Mapping[str, Sequence[str]]) -> Lists:
    return {m.uid: tuple(lists[m.uid]) for m in members if tuple(lists[m.uid]) != (m.peers or ())}


def first_for_all(members: Iterable[Member], now: float) -> Lists:
    """The archived operator: the first running pod's address for everybody, itself included."""
    ours = live(members)
    first = next((m.address for m in ours if m.running_since is not None), None)
    return changed(ours, {m.uid: (first,) if first else () for m in ours})


def own_first(members: Iterable[Member], now: float) -> Lists:
    """Each pod its own address, and the others as they come."""
    ours = live(members)
    return changed(ours, {m.uid: (m.address, *(o.address for o in ours if o is not m))[:3] for m in ours})


def dead_ones_stay(members: Iterable[Member], now: float) -> Lists:
    """Older pods, and what has been listed once stays listed."""
    ours = live(members)
    lists = {}
    for number, m in enumerate(ours):
        others = ours[:number] or ours[1:]
        more = [o.address for o in others if o.address not in (m.peers or ())]
        lists[m.uid] = (*(m.peers or ()), *more)[: max(3, len(m.peers or ()))]
    return changed(ours, lists)


def older_by_hash(members: Iterable[Member], now: float) -> Lists:
    """design.md §7 as it is written: three pods created before, by rendezvous hash; entries that live are kept."""
    ours = live(members)
    addresses = {m.address for m in ours}
    lists = {}
    for number, m in enumerate(ours):
        others = ours[:number] or ours[1:]
        kept = [a for a in m.peers or () if a in addresses and a != m.address]
        ranked = sorted(others, key=lambda o: random.Random(f"{m.uid} {o.uid}").random())
        lists[m.uid] = (*kept, *(o.address for o in ranked if o.address not in kept))[: max(3, len(kept))]
    return changed(ours, lists)


LATE = (64.0, 79.0)
"""Seconds that a ConfigMap takes to its file (supervisor.md §0)."""
REUSED = 120.0
"""Seconds after which an address goes to the next pod: time enough to withdraw it."""
BIRTH = [Arrive(ring=1, count=4), Wait(10), Arrive(ring=1, count=2), Wait(100), Restart(0), Wait(100), Arrive(ring=1)]
CHURN = [
    *(Arrive(ring=0, count=5), Arrive(ring=1, count=3), Wait(100)),
    *(Delete(0, graceful=False), Delete(0, graceful=False), Wait(150)),
    *(Arrive(ring=1, count=3), Wait(60)),
    *[step for pod in range(3) for step in (Restart(pod), Wait(40))],
]
LATE_BIRTH = [*(Arrive(ring=1, node=n % 3, start=0, late=90 if n % 2 else 0) for n in range(12)), Wait(200)]

BAD = {
    # The pod that is first pings itself, becomes its own member and never reads its file again.
    "the first running pod for everybody": (Design(first_for_all, projection=LATE), BIRTH, "rings instead of"),
    # Every pod does, where its own address is all that is there when it starts.
    "its own address first": (Design(own_first), BIRTH, "lists itself"),
    # The name answers with nothing (exit 2) or with the pod itself; it is asked once.
    "a DNS peer": (Design(dns=True), BIRTH, "rings instead of"),
    # A pod of the other ring gets the address, and a restarted one calls it.
    "dead addresses stay": (Design(dead_ones_stay, reused_after=REUSED), CHURN, "has met"),
    # A pod that is contacted before its file arrives never reads it; those that contact it may list nobody else.
    "older pods by hash": (Design(older_by_hash), LATE_BIRTH, "rings instead of"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_model_fails_what_is_known_to_fail(name: str) -> None:
    design, steps, expected = BAD[name]
    wrong = (outcome(steps, seed, design=design) for seed in range(200))
    assert any(expected in problem for problems in wrong for problem in problems)


@pytest.mark.parametrize("name", BAD)
def test_what_is_shipped_stands_the_same(name: str) -> None:
    design, steps, _ = BAD[name]
    shipped = Design(reused_after=design.reused_after)
    assert [outcome(steps, seed, design=shipped) for seed in range(20)] == [[]] * 20

"""The rules of `membership.plan`, one by one; what comes of them is test_model.py's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from tests.ring.members import NOW, member, peered
from webhook.ring.membership import RUNNING_SECONDS, SETTLED_SECONDS, WHOLE, K, plan, seeded, settled
from webhook.ring.pods import Member

OLD = NOW - 10 * SETTLED_SECONDS


def applied(members: list[Member], lists: dict[str, tuple[str, ...]], *, at: float = NOW) -> list[Member]:
    return [replace(m, peers=lists[m.uid], since=at) if m.uid in lists else m for m in members]


def converged(members: list[Member], *, at: float = NOW) -> list[Member]:
    after = applied(members, plan(members, at), at=at)
    assert plan(after, at) == {}
    return after


def ring(size: int, *, since: float = 0.0) -> list[Member]:
    """Members with their lists; since: when those were written, 0 for just now."""
    return converged([member(n) for n in range(size)], at=since or NOW)


def test_the_first_pod_gets_no_list() -> None:
    assert plan([member(1)], NOW) == {}


def test_a_pod_without_an_address_gets_none_and_is_in_none() -> None:
    assert plan([member(1), member(2, address="")], NOW) == {}


def test_of_two_each_names_the_other() -> None:
    one, two = member(1), member(2)
    assert plan([one, two], NOW) == {one.uid: (two.address,), two.uid: (one.address,)}


def test_in_a_small_ring_everybody_names_everybody() -> None:
    members = ring(WHOLE + 1)
    for m in members:
        assert set(m.peers or ()) == {o.address for o in members} - {m.address}


def test_in_a_larger_young_ring_all_name_the_same_seeds() -> None:
    members = ring(60)
    lists = Counter(m.peers for m in members)
    (seeds, common), *_ = lists.most_common()
    assert len(seeds or ()) == K
    assert common == 60 - K
    for m in members:
        if m.address in (seeds or ()):
            assert {*(m.peers or ()), m.address} >= set(seeds or ())


def test_a_pod_that_comes_to_a_settled_ring_gets_who_is_listed_least() -> None:
    members = ring(40, since=OLD)
    busiest = Counter(a for m in members for a in m.peers or ()).most_common(K)
    new = member(99, running_since=None)
    lists = plan([*members, new], NOW)
    assert lists.keys() == {new.uid}
    assert len(lists[new.uid]) == K
    assert not set(lists[new.uid]) & {address for address, _ in busiest}


def test_a_pod_that_has_just_restarted_is_not_settled() -> None:
    here = member(1, peers=("10.0.0.9",), since=OLD, running_since=NOW - RUNNING_SECONDS)
    assert settled(here, NOW)
    assert not settled(replace(here, running_since=NOW - RUNNING_SECONDS + 1), NOW)
    assert not settled(replace(here, running_since=None), NOW)
    assert not settled(replace(here, since=NOW - SETTLED_SECONDS + 1), NOW)
    assert not settled(replace(here, since=0.0), NOW)
    assert not settled(replace(here, peers=()), NOW)


def test_arrivals_spread_over_the_settled_pods() -> None:
    members = ring(20, since=OLD)
    for number in range(100, 160):
        members = converged([*members, member(number, running_since=None)])
    named = Counter(a for m in members[20:] for a in m.peers or ())
    assert max(named.values()) <= 60 * K / 20 + K


def test_a_death_touches_the_lists_that_named_it_and_no_others() -> None:
    members = ring(40, since=OLD)
    gone = replace(members[20], gone=True)
    after = [gone if m.uid == gone.uid else m for m in members]
    named = {m.uid for m in members if gone.address in (m.peers or ())}
    lists = plan(after, NOW)
    assert lists.keys() == named - {gone.uid}
    assert all(gone.address not in found for found in lists.values())


def test_what_lives_stays_in_a_list_and_what_is_dead_goes_from_it_at_once() -> None:
    members = [*ring(30, since=OLD), member(50, peers=("10.0.0.1", "10.9.9.9", "10.0.0.2"), since=OLD)]
    found = plan(members, NOW)[members[-1].uid]
    assert found[:2] == ("10.0.0.1", "10.0.0.2")
    assert len(found) == K


def test_a_list_of_the_dead_alone_is_emptied_when_nobody_is_left() -> None:
    alone = member(1, peers=("10.9.9.9",), since=OLD)
    assert plan([alone], NOW) == {alone.uid: ()}


def test_a_pods_own_address_is_taken_out() -> None:
    one, two = member(1), member(2)
    one = replace(one, peers=(one.address, two.address))
    assert plan([one, two], NOW)[one.uid] == (two.address,)


def test_seeded_means_a_live_peer_that_is_somebody_else() -> None:
    one = member(1, peers=("10.0.0.2",))
    assert seeded(one, {"10.0.0.2"})
    assert not seeded(one, {"10.0.0.3"})
    assert not seeded(replace(one, peers=(one.address,)), {one.address})
    assert not seeded(replace(one, peers=None), {"10.0.0.2"})


@given(peered(), st.integers(0, 400))
def test_a_plan_carried_out_leaves_nothing_to_do(members: list[Member], later: int) -> None:
    after = applied(members, plan(members, NOW))
    assert plan(after, NOW + later) == {}


@given(peered())
def test_every_list_holds_only_others_that_live_each_once(members: list[Member]) -> None:
    live = {m.address for m in members if m.live}
    by_uid = {m.uid: m for m in members}
    for uid, found in plan(members, NOW).items():
        assert by_uid[uid].live
        assert set(found) <= live - {by_uid[uid].address}
        assert len(found) == len(set(found))


@given(peered())
def test_nobody_is_without_a_peer_where_others_live(members: list[Member]) -> None:
    after = [m for m in applied(members, plan(members, NOW)) if m.live]
    addresses = {m.address for m in after}
    if len(addresses) > 1:
        assert all(seeded(m, addresses) for m in after)


@given(peered())
def test_new_names_are_as_few_as_needed(members: list[Member]) -> None:
    by_uid = {m.uid: m for m in members}
    for uid, found in plan(members, NOW).items():
        assert len(set(found) - set(by_uid[uid].peers or ())) <= WHOLE


@given(st.integers(2, 60), st.randoms(use_true_random=False))
def test_writes_are_bounded_whatever_the_order_of_births_and_deaths(changes: int, random: object) -> None:
    members: list[Member] = []
    numbers, writes = count(1), 0
    for _ in range(changes):
        if len(members) > 3 and random.random() < 0.4:  # type: ignore[attr-defined]
            members.pop(random.randrange(len(members)))  # type: ignore[attr-defined]
        else:
            members.append(member(next(numbers)))
        lists = plan(members, NOW)
        writes += len(lists)
        members = applied(members, lists, at=OLD)
    assert writes <= (WHOLE + 1) * changes

"""Two controllers, of which one acts: hand-overs, with and without a last word of the one that acted.

That nothing is written twice is seen from both sides: the audit log has as many successful patches of each pod as a
watch has seen changes of its list. A second write of the same list would be a patch that changes nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.ring.live.history import History
from tests.ring.live.installation import Installation
from tests.support.controller import ControllerProcess

SLOW = ("--lease-duration=300", "--lease-renew=200", "--lease-retry=0.3")
"""With it nobody takes over within any test, unless the Lease was given up."""

Pair = tuple[ControllerProcess, ControllerProcess]


@pytest.fixture
def pair(rings: Installation) -> Iterator[Pair]:
    """One that leads and one that stands by."""
    with rings.controller("first") as first:
        rings.wait("the first to lead", lambda: first.leads)
        with rings.controller("second") as second:
            rings.wait("the second to be ready", lambda: second.get("/readyz")[0] == 200)
            yield first, second


def all_writes(process: ControllerProcess) -> float:
    return process.metric("writes_total")


def test_controller_that_stands_by_is_ready_and_writes_nothing(rings: Installation, namespace: str, pair: Pair) -> None:
    first, second = pair
    rings.deploy(namespace, "redis", 5, ring="payments", ring_key="managed")
    rings.ring(namespace, 5)
    assert (first.leads, second.leads) == (True, False)
    assert all_writes(second) == 0
    assert all_writes(first) >= 5
    assert rings.lease()["holderIdentity"] == first.identity
    assert {p.get(path)[0] for p in pair for path in ("/livez", "/readyz")} == {200}


def test_leader_that_is_killed_is_followed_by_the_other_and_nothing_is_written_twice(
    rings: Installation, namespace: str, pair: Pair
) -> None:
    first, second = pair
    with History(rings, namespace) as history:
        rings.deploy(namespace, "redis", 3, ring="payments")
        rings.ring(namespace, 3)
        rings.scale(namespace, "redis", 40)
        rings.wait("the first to be in the middle of it", lambda: all_writes(first) > 10)
        first.kill()
        rings.scale(namespace, "redis", 60)
        rings.wait("the second to lead", lambda: second.leads)
        rings.ring(namespace, 60)
        history.catch_up()
        assert history.written_twice() == {}
        assert history.strangers() == []
    assert rings.lease()["holderIdentity"] == second.identity


def test_leader_that_is_asked_to_end_gives_the_lease_up_and_the_other_need_not_wait_for_its_end(
    rings: Installation, namespace: str
) -> None:
    with rings.controller("first", *SLOW) as first:
        rings.wait("the first to lead", lambda: first.leads)
        assert first.stop() == 0
        assert rings.lease()["holderIdentity"] == ""
        assert [line["message"] for line in first.lines()][-1] == "lease released"
    with rings.controller("first", *SLOW) as first, rings.controller("second", *SLOW) as second:
        rings.wait("one to lead", lambda: first.leads or second.leads)
        leader, other = (first, second) if first.leads else (second, first)
        assert not other.leads
        with History(rings, namespace) as history:
            rings.deploy(namespace, "redis", 30, ring="payments")
            rings.wait("the leader to be in the middle of it", lambda: all_writes(leader) > 3)
            assert leader.stop() == 0
            rings.wait("the other to lead", lambda: other.leads)
            rings.ring(namespace, 30)
            history.catch_up()
            assert history.written_twice() == {}
        assert rings.lease()["leaseTransitions"] >= 1


def test_leader_that_wakes_up_after_another_has_taken_over_writes_nothing_over_what_that_has_written(
    rings: Installation, namespace: str, pair: Pair
) -> None:
    """Suspended in the middle of its writes, as a machine that swaps or is moved does it."""
    first, second = pair
    with History(rings, namespace) as history:
        rings.deploy(namespace, "redis", 3, ring="payments")
        rings.ring(namespace, 3)
        rings.scale(namespace, "redis", 40)
        rings.wait("the first to be in the middle of it", lambda: all_writes(first) > 10)
        os.kill(first.pid, signal.SIGSTOP)
        try:
            rings.wait("the second to lead", lambda: second.leads)
            rings.scale(namespace, "redis", 20)
            rings.ring(namespace, 20)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        rings.wait("the first to see that it leads no more", lambda: not first.leads)
        rings.scale(namespace, "redis", 30)
        rings.ring(namespace, 30)
        history.catch_up()
        assert history.written_twice() == {}
        assert history.strangers() == []
    assert second.leads

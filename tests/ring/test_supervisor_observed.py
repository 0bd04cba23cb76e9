"""The model of the Supervisor against what was seen on real ones: supervisor.md §0, a test for each row that is about
gossip.

Where §0 has an interval of a few runs, the model is run in many phases of its loops: it must not leave the bound that
§0 gives, and what was observed must be possible in it.
"""

from __future__ import annotations

import pytest

from tests.ring.model.election import has_quorum, leader
from tests.ring.model.lab import Lab, alive_in, health, joined, labs, strangers
from tests.ring.model.peersfile import UnknownHostError, UnusableLineError, parse
from tests.ring.model.supervisor import CONFIRMED, DEPARTED, FATAL, ROUND_SECONDS, SUSPECT, Supervisor

A, B, C, D, E, F = (f"10.0.0.{n}" for n in range(1, 7))
DEAD, DEAD_TOO = "10.9.9.9", "10.9.9.8"

WORST_JOIN = 5.2
"""1 s poll, 1 s loop, 3.1 s round, and a look of the test."""


def spread(times: list[float]) -> tuple[float, float]:
    return min(times), max(times)


class TestThePeersFileOfOneWhoKnowsNobody:
    @pytest.mark.parametrize("text", [None, ""], ids=["missing or a directory", "empty"])
    def test_without_peers_it_runs_and_picks_the_file_up_when_it_appears(self, text: str | None) -> None:
        for lab in labs():
            a, b = lab.start(A), lab.start(B, text)
            lab.wait(30)
            assert b.running
            assert not b.members
            lab.write(B, A)
            lab.when(lambda a=a, b=b: joined(a, b), WORST_JOIN)

    def test_a_live_peer_there_at_the_start_is_pinged_in_the_second_round(self) -> None:
        for lab in labs():
            a = lab.start(A)
            lab.wait(10)
            b = lab.start(B, A)
            seen = lab.when(lambda a=a, b=b: b.sees(a), 10)
            assert 4.05 <= seen <= 4.2
            lab.when(lambda a=a, b=b: joined(a, b), 1)

    def test_three_with_the_files_there_have_a_whole_census_after_five_seconds(self) -> None:
        for lab in labs():
            ring = [lab.start(A, f"{B}\n{C}"), lab.start(B, f"{A}\n{C}"), lab.start(C, f"{A}\n{B}")]
            assert 4.05 <= lab.when(lambda ring=ring: joined(*ring), 10) <= 5.2

    def test_a_live_peer_written_while_it_runs_is_joined_within_a_poll_a_loop_and_a_round(self) -> None:
        times = []
        for lab in labs(200):
            a, b = lab.start(A), lab.start(B, "")
            lab.wait(10)
            lab.write(B, A)
            times.append(lab.when(lambda a=a, b=b: joined(a, b), WORST_JOIN))
        shortest, longest = spread(times)
        assert shortest < 2.0
        assert longest > 3.1

    def test_all_files_of_three_written_at_once_make_a_census_of_three(self) -> None:
        times = []
        for lab in labs(200):
            ring = [lab.start(address, "") for address in (A, B, C)]
            lab.wait(10)
            lab.write(A, f"{B}\n{C}")
            lab.write(B, f"{A}\n{C}")
            lab.write(C, f"{A}\n{B}")
            times.append(lab.when(lambda ring=ring: joined(*ring), WORST_JOIN))
        shortest, longest = spread(times)
        assert shortest < 1.1
        assert longest > 2.1

    @pytest.mark.parametrize("text", [A, f"{A}\n{DEAD}", f"{DEAD}\n{A}\n{DEAD_TOO}"])
    def test_its_own_address_alone_or_with_dead_ones_makes_it_an_island_for_ever(self, text: str) -> None:
        for lab in labs():
            a, b = lab.start(A, text), lab.start(B)
            lab.wait(15)
            assert set(a.members) == {a.identity}
            lab.write(A, B)
            lab.wait(600)
            assert strangers(a, b)
            c = lab.start(C, f"{A}\n{B}")  # only a later one that lists it can join them
            lab.when(lambda ring=(a, b, c): joined(*ring), 10)

    @pytest.mark.parametrize("text", [f"{A}\n{B}", f"{B}\n{A}", f"{A}\n{B}\n{C}"])
    def test_its_own_address_beside_a_live_one_is_harmless(self, text: str) -> None:
        for lab in labs():
            b = lab.start(B)
            lab.wait(10)
            a = lab.start(A, text)
            lab.when(lambda a=a, b=b: joined(a, b), WORST_JOIN)

    def test_a_dead_address_is_read_again_when_a_live_one_comes(self) -> None:
        times = []
        for lab in labs(200):
            a, b = lab.start(A), lab.start(B, DEAD)
            lab.wait(20)
            lab.write(B, A)
            times.append(lab.when(lambda a=a, b=b: joined(a, b), WORST_JOIN))
        shortest, longest = spread(times)
        assert shortest < 3.1 < longest

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(f"{B}\n\n{C}", id="a blank line"),
            pytest.param(f"\n{B}", id="a blank line first"),
            pytest.param(f"{B}\n\n", id="a blank line at the end"),
            pytest.param("\n", id="a lone newline"),
            pytest.param(f"# peers\n{B}", id="a comment"),
            pytest.param(f" {B}", id="a leading space"),
            pytest.param(f"{B} ", id="a trailing space"),
            pytest.param(f"{B} {C}", id="two addresses on a line"),
            pytest.param(f"{B},{C}", id="two addresses with a comma"),
            pytest.param(f"{B}:99999", id="a bad port"),
            pytest.param(f"{B}:gossip", id="a port by name"),
            pytest.param(f"{B}:", id="no port behind the colon"),
            pytest.param("2001:db8::1", id="a bare IPv6 address"),
        ],
    )
    def test_a_line_that_can_be_no_peer_ends_it_with_86_at_once(self, text: str) -> None:
        for lab in labs(10):
            b = lab.start(B)
            lab.start(A, text)
            lab.when(lambda lab=lab: lab.exited(A), 1.2)
            assert lab.exits[A] == FATAL
            late = lab.start(C, "")
            lab.wait(10)
            lab.write(C, text)
            lab.when(lambda late=late: not late.running, 2.2)
            assert lab.exits[C] == FATAL
            assert b.running

    def test_the_same_line_is_ignored_by_one_that_knows_somebody(self) -> None:
        for lab in labs(10):
            a, b = lab.start(A), lab.start(B, A)
            lab.wait(10)
            lab.write(B, "\n\n")
            lab.wait(60)
            assert joined(a, b)

    def test_an_ipv6_address_with_a_port_makes_a_zombie(self) -> None:
        for lab in labs(10):
            a, b = lab.start(A, f"[2001:db8::1]:9638\n{B}"), lab.start(B, A)
            lab.wait(60)
            assert a.running
            assert a.health == 200
            assert strangers(a, b)

    def test_an_unresolvable_name_blocks_it_and_then_ends_it_with_86(self) -> None:
        for lab in labs(10):
            a = lab.start(A, "nobody.example.org")
            lab.when(lambda a=a: a.blocked, 1.1)
            assert a.health == 500
            lab.when(lambda lab=lab: lab.exited(A), 30)
            assert lab.exits[A] == FATAL

    @pytest.mark.parametrize(
        "text",
        [f"{B}\n", B, f"{B}\r\n{C}\r\n", f"{B}:9638", "web-0.web", "web-0.web:9638"],
        ids=["one newline at the end", "none", "CRLF", "host:port", "a name", "a name with a port"],
    )
    def test_these_are_fine(self, text: str) -> None:
        for lab in labs(10):
            lab.names["web-0.web"] = B
            a, b = lab.start(A, text), lab.start(B)
            lab.when(lambda a=a, b=b: joined(a, b), WORST_JOIN)

    def test_another_gossip_port_is_part_of_the_address(self) -> None:
        assert parse(f"{B}:9640\n{C}").addresses == (f"{B}:9640", C)

    def test_anything_is_ignored_once_a_member_is_known(self) -> None:
        for lab in labs():
            a, b, c = lab.start(A), lab.start(B, A), lab.start(C)
            lab.wait(10)
            lab.write(B, C)
            lab.write(A, C)
            lab.wait(60)
            assert joined(a, b)
            assert strangers(a, c)


class TestNamesGivenToPeerFlags:
    """§4.1: resolved once. That the process ends with 2 on NXDOMAIN is up to who starts it (model/kubelet.py)."""

    def test_what_they_meant_at_the_start_is_pinged_for_ever(self) -> None:
        for lab in labs(10):
            b = lab.start(B, peers=[A])
            lab.wait(60)
            a = lab.start(A)
            lab.when(lambda a=a, b=b: joined(a, b), 1 + ROUND_SECONDS + 0.1)

    def test_its_own_address_makes_an_island(self) -> None:
        for lab in labs(10):
            a, b = lab.start(A, peers=[A]), lab.start(B, peers=[B])
            lab.wait(60)
            assert strangers(a, b)


class TestInitialMembers:
    """§4.2: pinged until as many are known as half the list and one more, then never again."""

    def test_dead_ones_are_pinged_until_somebody_is_there(self) -> None:
        for lab in labs(10):
            a = lab.start(A, f"{B}\n{C}\n{DEAD}")
            lab.wait(120)
            b = lab.start(B)
            lab.when(lambda a=a, b=b: joined(a, b), 1 + ROUND_SECONDS + 0.1)

    def test_one_peer_is_enough_of_three_since_it_tells_the_pod_of_itself(self) -> None:
        """So two pods with the same list can be two rings: each knew one of its entries that then died."""
        for lab in labs(10):
            a = lab.start(A, f"{B}\n{C}\n{D}")
            b = lab.start(B)
            lab.when(lambda a=a, b=b: joined(a, b), 10)
            lab.wait(10)
            assert a.seeding_over
            c = lab.start(C)
            lab.wait(60)
            assert strangers(a, c)

    def test_one_that_has_been_pinged_never_reads_its_own_file(self) -> None:
        for lab in labs(10):
            a, c = lab.start(A, ""), lab.start(C)
            b = lab.start(B, A)
            lab.when(lambda a=a, b=b: joined(a, b), 10)
            lab.write(A, C)
            lab.wait(60)
            assert strangers(a, c)


class TestDeparture:
    def ring_of_three(self, lab: Lab) -> tuple[Supervisor, Supervisor, Supervisor]:
        ring = lab.start(A, f"{B}\n{C}"), lab.start(B, f"{A}\n{C}"), lab.start(C, f"{A}\n{B}")
        lab.when(lambda: joined(*ring), 10)
        lab.wait(10)
        return ring

    def test_after_sigterm_the_others_see_departed_within_two_seconds(self) -> None:
        for lab in labs():
            a, b, c = self.ring_of_three(lab)
            a.terminate()
            lab.when(lambda a=a, b=b, c=c: health(a, b) == health(a, c) == DEPARTED, 2)

    def test_after_sigkill_suspect_may_come_at_4_and_confirmed_at_13_seconds(self) -> None:
        """Members are probed one after the other, 3.1 s each: how soon depends on whose turn it is."""
        suspected, confirmed = [], []
        for lab in labs(200):
            a, b, c = self.ring_of_three(lab)
            a.kill()
            suspected.append(lab.when(lambda a=a, b=b: health(a, b) == SUSPECT, 4 * ROUND_SECONDS))
            confirmed.append(suspected[-1] + lab.when(lambda a=a, b=b: health(a, b) == CONFIRMED, 9.4))
            assert b.sees(c)
        assert ROUND_SECONDS <= min(suspected) < 4 < max(suspected)
        assert min(confirmed) < 13 < max(confirmed)

    def test_confirmed_it_stays_for_days(self) -> None:
        lab = Lab(0)
        a, b, _ = self.ring_of_three(lab)
        a.kill()
        lab.wait(3600)
        assert health(a, b) == CONFIRMED

    def test_one_that_crashed_and_is_back_at_once_is_found_at_its_old_address(self) -> None:
        """Nobody needs its list: until the old one is confirmed, the others go on pinging the address."""
        for lab in labs():
            _, b, c = self.ring_of_three(lab)
            lab.listening[A].kill()
            a = lab.start(A, "")
            lab.when(lambda ring=(a, b, c): joined(*ring), 12)


class TestRingKeys:
    def test_the_same_key_joins(self) -> None:
        for lab in labs(10):
            a, b = lab.start(A, key="one"), lab.start(B, A, key="one")
            lab.when(lambda a=a, b=b: joined(a, b), 10)

    @pytest.mark.parametrize(("one", "other"), [("one", "other"), ("one", ""), ("", "one")])
    def test_different_and_one_sided_keys_never_join_and_nothing_shows_it(self, one: str, other: str) -> None:
        for lab in labs(10):
            a, b = lab.start(A, B, key=one), lab.start(B, A, key=other)
            lab.wait(600)
            assert strangers(a, b)
            assert a.health == b.health == 200


class TestLeaderTopology:
    """As far as membership goes: see model/election.py."""

    @pytest.mark.parametrize("text", [None, "", A, DEAD])
    def test_one_alone_never_has_a_quorum(self, text: str | None) -> None:
        for lab in labs(10):
            a = lab.start(A, text)
            lab.wait(120)
            assert not has_quorum(a)
            assert leader(a) is None

    def test_two_elect_and_agree(self) -> None:
        for lab in labs(10):
            a, b = lab.start(A), lab.start(B, A)
            lab.when(lambda a=a, b=b: joined(a, b), 10)
            lab.wait(3)
            assert leader(a) == leader(b) is not None

    def test_after_the_leaders_sigterm_two_of_three_can_elect_another_within_three_seconds(self) -> None:
        for lab in labs():
            ring = TestDeparture().ring_of_three(lab)
            first = leader(ring[0])
            gone = next(s for s in ring if s.identity == first)
            gone.terminate()
            rest = [s for s in ring if s is not gone]
            lab.when(lambda rest=rest, first=first: leader(rest[0]) == leader(rest[1]) not in (None, first), 3)

    def test_after_its_sigkill_they_cannot_before_it_is_confirmed(self) -> None:
        """Observed: 19 s, of which 13 until Confirmed."""
        times = []
        for lab in labs():
            ring = TestDeparture().ring_of_three(lab)
            first = leader(ring[0])
            gone = next(s for s in ring if s.identity == first)
            gone.kill()
            rest = [s for s in ring if s is not gone]
            agreed = lambda rest=rest, first=first: leader(rest[0]) == leader(rest[1]) not in (None, first)  # noqa: E731
            times.append(lab.when(agreed, 4 * ROUND_SECONDS + 9.4))
        assert min(times) > 12
        assert min(times) < 19

    def test_of_two_the_one_left_by_a_sigkill_has_no_quorum(self) -> None:
        lab = Lab(0)
        a, b = lab.start(A), lab.start(B, A)
        lab.wait(20)
        a.kill()
        lab.wait(60)
        assert not alive_in(b, a)
        assert leader(b) is None


class TestWhatReallyBreaksARing:
    """The numbered observations on a kubelet."""

    @pytest.mark.parametrize("dead", [(), (DEAD,)], ids=["own address", "own address and a dead one"])
    def test_1_islands_by_their_own_address_are_not_healed_by_right_lists_15_seconds_later(
        self, dead: tuple[str, ...]
    ) -> None:
        for lab in labs():
            ring = [lab.start(address, "\n".join((address, *dead))) for address in (A, B, C)]
            lab.clock.run_until(15)
            self.full_lists(lab, A, B, C)
            lab.wait(600)
            assert strangers(*ring)

    def test_2_two_disjoint_groups_have_two_leaders_and_full_lists_do_not_merge_them(self) -> None:
        for lab in labs(10):
            one, other = self.groups(lab)
            assert leader(one[0]) in {s.identity for s in one}
            assert leader(other[0]) in {s.identity for s in other}
            self.full_lists(lab, A, B, C, D, E, F)
            lab.wait(60)
            assert strangers(one[0], other[0])

    def test_2_only_replacing_one_side_makes_one_of_two_groups(self) -> None:
        for lab in labs(10):
            one, other = self.groups(lab)
            for supervisor in other:
                supervisor.terminate()
            new = [lab.start(address, f"{A}\n{B}\n{C}") for address in (D, E, F)]
            lab.when(lambda ring=(*one, *new): joined(*ring), 10)

    def test_3_the_oldest_with_an_empty_list_is_stranded_when_its_container_restarts_after_sigterm(self) -> None:
        for lab in labs():
            a, b, c = lab.start(A, ""), lab.start(B, A), lab.start(C, f"{A}\n{B}")
            lab.when(lambda ring=(a, b, c): joined(*ring), 10)
            a.terminate()
            lab.wait(3)
            again = lab.start(A, "")
            lab.wait(600)
            assert strangers(again, b)
            assert strangers(again, c)

    def test_3_with_the_others_in_its_list_it_is_back_in_six_seconds(self) -> None:
        for lab in labs():
            a, b, c = lab.start(A, ""), lab.start(B, A), lab.start(C, f"{A}\n{B}")
            lab.when(lambda ring=(a, b, c): joined(*ring), 10)
            a.terminate()
            lab.wait(3)
            again = lab.start(A, f"{B}\n{C}")
            lab.when(lambda ring=(again, b, c): joined(*ring), 6)

    def test_4_after_a_node_restart_stale_lists_make_no_ring_and_right_ones_do_within_8_seconds(self) -> None:
        for lab in labs():
            ring = [lab.start(D, f"{B}\n{C}"), lab.start(E, f"{A}\n{C}"), lab.start(F, f"{A}\n{B}")]
            lab.wait(120)
            assert strangers(*ring)
            self.full_lists(lab, D, E, F)
            lab.when(lambda ring=ring: joined(*ring), 8)

    def full_lists(self, lab: Lab, *addresses: str) -> None:
        for address in addresses:
            lab.write(address, "\n".join(a for a in addresses if a != address))

    def groups(self, lab: Lab) -> tuple[list[Supervisor], list[Supervisor]]:
        one = [lab.start(A, f"{B}\n{C}"), lab.start(B, f"{A}\n{C}"), lab.start(C, f"{A}\n{B}")]
        other = [lab.start(D, f"{E}\n{F}"), lab.start(E, f"{D}\n{F}"), lab.start(F, f"{D}\n{E}")]
        lab.when(lambda: joined(*one) and joined(*other), 10)
        lab.wait(10)
        return one, other


class TestAVolumeAtHabSup:
    """§4.6: what it remembers takes the place of its file."""

    def test_one_that_remembers_only_dead_ones_never_reads_its_file(self) -> None:
        lab = Lab(0)
        a, b = lab.start(A), lab.start(B, A)
        lab.wait(20)
        remembered = dict(b.members)
        a.kill()
        b.kill()
        c = lab.start(C)
        lab.files[B] = C
        again = Supervisor(
            lab.clock, lab, lab.random, identity=b.identity, address=D, file=lambda: C, remembers=remembered
        )
        lab.listening[D] = again
        lab.wait(600)
        assert strangers(again, c)


def test_bad_lines_are_told_from_names_that_do_not_resolve() -> None:
    with pytest.raises(UnusableLineError):
        parse("10.0.0.1\n\n10.0.0.2")
    with pytest.raises(UnknownHostError):
        parse("10.0.0.1\nnobody.example.org")

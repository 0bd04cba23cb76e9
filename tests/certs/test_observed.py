from __future__ import annotations

from datetime import timedelta

from certs.bundle import fingerprint, join
from certs.observed import BREAK_SECONDS, Observed
from tests.certs.making import authority

A, B = authority(), authority()
ID_A, ID_B = fingerprint(A.certificate), fingerprint(B.certificate)
BOTH = join([A.certificate, B.certificate])


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_ca_counts_from_the_look_that_found_it_in_every_bundle() -> None:
    observed = Observed()
    observed.look([A.certificate_pem(), BOTH], [ID_A, ID_B], 0)
    observed.look([BOTH, BOTH], [ID_A, ID_B], 10)
    assert observed.held(30) == {ID_A: seconds(30), ID_B: seconds(20)}


def test_ca_that_was_missing_once_counts_anew() -> None:
    observed = Observed()
    for at, text in ((0, BOTH), (10, A.certificate_pem()), (20, BOTH), (30, BOTH[:-40]), (40, BOTH)):
        observed.look([text], [ID_A, ID_B], at)
    assert observed.held(40) == {ID_A: seconds(0), ID_B: seconds(0)}
    observed.look([B.certificate_pem()], [ID_A, ID_B], 50)
    assert observed.held(50) == {ID_B: seconds(10)}


def test_time_in_which_nobody_looked_does_not_count() -> None:
    observed = Observed()
    observed.look([BOTH], [ID_A], 0)
    observed.look([BOTH], [ID_A], BREAK_SECONDS)
    assert observed.held(BREAK_SECONDS) == {ID_A: seconds(BREAK_SECONDS)}
    observed.look([BOTH], [ID_A], 2 * BREAK_SECONDS + 1)
    assert observed.held(100) == {ID_A: seconds(100 - 2 * BREAK_SECONDS - 1)}


def test_where_there_is_no_bundle_none_lacks_a_ca() -> None:
    observed = Observed()
    observed.look([], [ID_A], 0)
    assert observed.held(60) == {ID_A: seconds(60)}


def test_ca_that_is_looked_for_no_more_is_forgotten() -> None:
    observed = Observed()
    observed.look([BOTH], [ID_A, ID_B], 0)
    observed.look([BOTH], [ID_B], 10)
    assert observed.held(10) == {ID_B: seconds(10)}

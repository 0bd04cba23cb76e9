"""The table of certs/rotation.py, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from certs import bundle, leaf, rotation
from certs.authorities import Authorities
from certs.authority import Authority
from certs.rotation import Action, State, Step, View
from tests.certs.making import DAY, NAMES, NOW, POLICY, authorities, authority, serving

CURRENT, NEXT = authority(), authority(now=NOW + 240 * DAY)
STABLE = Authorities(CURRENT)
PUBLISHED = Authorities(CURRENT, NEXT)
SIGNED = Authorities(NEXT).keeping(CURRENT.certificate, NOW + 270 * DAY)
LATER = NOW + 241 * DAY


def by(signer: Authority, kept: Authorities, *, now: datetime = NOW, **options: object) -> leaf.Leaf:
    return serving(signer, now=now, beside=kept.bundle(), **options)  # type: ignore[arg-type]


def held(*authorities_: Authority, seconds: float = 60) -> dict[str, timedelta]:
    return {bundle.fingerprint(a.certificate): timedelta(seconds=seconds) for a in authorities_}


def decided(view: View) -> Action:
    return rotation.decide(view, POLICY).action


def fresh(kept: Authorities, *, now: datetime = NOW) -> View:
    """With a leaf of the current CA that was issued just now."""
    return View(now, kept, by(kept.current, kept, now=now))


WAITING = fresh(STABLE)


def test_nothing_at_all_begins_with_a_ca_then_the_leaf_then_waits() -> None:
    view = View(NOW, None, None)
    assert decided(view) is Action.CREATE
    kept = rotation.authorities_after(Step(Action.CREATE, ""), view, POLICY)
    assert (kept.next, kept.old, kept.current.not_after) == (None, (), NOW + POLICY.authority)
    view = replace(view, authorities=kept)
    assert decided(view) is Action.ISSUE
    made = leaf.decode(rotation.leaf_after(Step(Action.ISSUE, ""), view, POLICY))
    assert bundle.verifies(made.certificate, bundle.parse(made.bundle), NOW)
    assert not leaf.names_differ(made.certificate, NAMES)
    assert decided(replace(view, leaf=made)) is Action.WAIT


ROWS = {
    "well": (WAITING, Action.WAIT),
    "clock behind": (View(NOW - DAY, STABLE, None), Action.WAIT),
    "leaf of tomorrow": (View(NOW, STABLE, by(CURRENT, STABLE, now=NOW + DAY)), Action.WAIT),
    "leaf of tomorrow, asked": (View(NOW, STABLE, by(CURRENT, STABLE, now=NOW + DAY), renew=True), Action.ISSUE),
    "expired": (View(NOW + 360 * DAY, STABLE, None), Action.CREATE),
    "expired, next valid": (View(NOW + 361 * DAY, PUBLISHED, None), Action.SIGN),
    "two thirds of the CA": (fresh(STABLE, now=NOW + 240 * DAY), Action.PUBLISH),
    "not yet two thirds": (fresh(STABLE, now=NOW + 239 * DAY), Action.WAIT),
    "rotation asked for": (replace(WAITING, rotate=True), Action.PUBLISH),
    "published, not seen": (fresh(PUBLISHED, now=LATER), Action.WAIT),
    "published, asked again": (replace(fresh(PUBLISHED, now=LATER), rotate=True), Action.WAIT),
    "published, seen just now": (replace(fresh(PUBLISHED, now=LATER), held=held(NEXT, seconds=59)), Action.WAIT),
    "published, the other held": (replace(fresh(PUBLISHED, now=LATER), held=held(CURRENT)), Action.WAIT),
    "published and settled": (replace(fresh(PUBLISHED, now=LATER), held=held(NEXT)), Action.SIGN),
    "published, settled, of a clock ahead": (
        View(NOW, PUBLISHED, by(CURRENT, PUBLISHED), held=held(NEXT)),
        Action.WAIT,
    ),
    "next expired first": (
        fresh(Authorities(authority(days=900), authority(days=10)), now=NOW + 11 * DAY),
        Action.WITHDRAW,
    ),
    "leaf of the old CA": (View(LATER, SIGNED, by(CURRENT, SIGNED, now=LATER, days=28)), Action.WAIT),
    "leaf of the old CA, settled": (
        View(LATER, SIGNED, by(CURRENT, SIGNED, now=LATER, days=28), held=held(NEXT)),
        Action.ISSUE,
    ),
    "leaf of the old CA outlives it": (View(LATER, SIGNED, by(CURRENT, SIGNED, now=LATER, days=60)), Action.KEEP),
    "leaf of an unknown CA": (View(LATER, Authorities(NEXT), by(CURRENT, STABLE, now=LATER)), Action.KEEP),
    "leaf of a stranger": (View(NOW, STABLE, serving(authority(name="Acme"))), Action.ISSUE),
    "leaf of an unknown CA, not beside": (View(NOW, STABLE, serving(NEXT, now=NOW + 240 * DAY)), Action.WAIT),
    "old CA's time not up": (fresh(SIGNED, now=NOW + 269 * DAY), Action.WAIT),
    "old CA's time is up": (fresh(SIGNED, now=NOW + 270 * DAY), Action.RETIRE),
    "old CA's time is up, its leaf in use": (
        View(NOW + 270 * DAY, SIGNED, by(CURRENT, SIGNED, now=NOW + 260 * DAY, days=10)),
        Action.ISSUE,
    ),
    "old CA expired": (
        fresh(Authorities(NEXT).keeping(CURRENT.certificate, NOW + 400 * DAY), now=NOW + 361 * DAY),
        Action.RETIRE,
    ),
    "no leaf": (View(NOW, STABLE, None), Action.ISSUE),
    "leaf expired": (View(NOW + 31 * DAY, STABLE, by(CURRENT, STABLE)), Action.ISSUE),
    "two thirds of the leaf": (View(NOW + 20 * DAY, STABLE, by(CURRENT, STABLE)), Action.ISSUE),
    "not yet two thirds of it": (View(NOW + 19 * DAY, STABLE, by(CURRENT, STABLE)), Action.WAIT),
    "renewal asked for": (replace(WAITING, renew=True), Action.ISSUE),
    "renewal asked for, old CA": (
        View(LATER, SIGNED, by(CURRENT, SIGNED, now=LATER, days=28), renew=True),
        Action.WAIT,
    ),
    "other names": (View(NOW, STABLE, by(CURRENT, STABLE, names=("other.svc",))), Action.ISSUE),
    "other bundle beside": (View(NOW, PUBLISHED, by(CURRENT, STABLE)), Action.BUNDLE),
}


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    view, expected = ROWS[row]
    assert decided(view) is expected


def test_row_of_the_leaf_is_reached_while_a_ca_is_being_published() -> None:
    kept = Authorities(CURRENT, authority(now=NOW))
    assert decided(View(NOW + 20 * DAY, kept, by(CURRENT, kept))) is Action.ISSUE


def test_the_leaf_signed_by_an_unknown_ca_of_ours_makes_that_ca_trusted() -> None:
    view = View(LATER, Authorities(NEXT), by(CURRENT, STABLE, now=LATER, days=28))
    kept = rotation.authorities_after(rotation.decide(view, POLICY), view, POLICY)
    assert kept.kept_until(CURRENT.certificate) == LATER + 28 * DAY


def test_new_ca_in_the_place_of_a_lost_one_leaves_trusted_who_was() -> None:
    view = View(LATER, None, by(NEXT, SIGNED, now=LATER))
    kept = rotation.authorities_after(rotation.decide(view, POLICY), view, POLICY)
    assert {old.fingerprint for old in kept.old} == {bundle.fingerprint(c) for c in SIGNED.certificates}
    assert rotation.decide(replace(view, authorities=kept), POLICY).action is Action.BUNDLE


def test_new_ca_in_the_place_of_a_lost_one_trusts_no_stranger() -> None:
    acme = authority(name="Acme")
    for beside in (acme.certificate_pem(), CURRENT.certificate_pem(), b""):
        view = View(NOW, None, serving(acme, beside=beside))
        assert rotation.authorities_after(rotation.decide(view, POLICY), view, POLICY).old == ()


def test_new_ca_in_the_place_of_an_expired_one_drops_it() -> None:
    view = View(NOW + 400 * DAY, STABLE, by(CURRENT, STABLE))
    kept = rotation.authorities_after(rotation.decide(view, POLICY), view, POLICY)
    assert kept.old == ()
    assert kept.current.not_after == view.now + POLICY.authority


def test_signing_keeps_the_old_ca_for_the_life_of_a_leaf_and_no_byte_of_the_bundle_changes() -> None:
    view = replace(fresh(PUBLISHED, now=LATER), held=held(NEXT))
    step = rotation.decide(view, POLICY)
    kept = rotation.authorities_after(step, view, POLICY)
    assert step.settled == bundle.fingerprint(NEXT.certificate)
    assert (kept.current, kept.next) == (NEXT, None)
    assert kept.kept_until(CURRENT.certificate) == LATER + POLICY.leaf
    assert kept.bundle() == PUBLISHED.bundle()


def test_retiring_withdrawing_and_publishing_leave_the_rest_alone() -> None:
    both = SIGNED.keeping(authority(now=NOW - DAY).certificate, NOW + 280 * DAY)
    view = fresh(both, now=NOW + 270 * DAY)
    kept = rotation.authorities_after(rotation.decide(view, POLICY), view, POLICY)
    assert kept.old == tuple(old for old in both.old if old.until > view.now)
    published = rotation.authorities_after(Step(Action.PUBLISH, ""), view, POLICY)
    assert (published.current, published.old) == (both.current, both.old)
    assert published.next is not None
    withdrawn = rotation.authorities_after(Step(Action.WITHDRAW, ""), replace(view, authorities=published), POLICY)
    assert withdrawn == both


def test_bundle_step_changes_nothing_but_the_bundle() -> None:
    view = View(NOW, PUBLISHED, by(CURRENT, STABLE))
    data = rotation.leaf_after(rotation.decide(view, POLICY), view, POLICY)
    assert view.leaf is not None
    assert data == {"tls.crt": view.leaf.pem, "tls.key": view.leaf.key, "ca.crt": PUBLISHED.bundle()}


def test_steps_that_do_not_fit_are_refused() -> None:
    for action in Action:
        if action is not Action.CREATE:
            with pytest.raises(ValueError, match=action.value):
                rotation.authorities_after(Step(action, ""), View(NOW, None, None), POLICY)
            with pytest.raises(ValueError, match=action.value):
                rotation.leaf_after(Step(action, ""), View(NOW, None, None), POLICY)


def test_states() -> None:
    assert rotation.state(None, NOW) is State.EMPTY
    assert rotation.state(STABLE, NOW - DAY) is State.EARLY
    assert rotation.state(STABLE, NOW + 360 * DAY) is State.EXPIRED
    assert rotation.state(PUBLISHED, LATER) is State.PUBLISHED
    assert rotation.state(authorities(), NOW) is State.STABLE

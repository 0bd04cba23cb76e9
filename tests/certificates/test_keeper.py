"""The keeper against a cluster in memory, with a clock that the test sets."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from certs import authorities as cas
from certs import bundle, leaf
from certs.stores import Stored
from tests.certificates.world import CA, TLS, Kept, World
from tests.certs.making import DAY, NAMES, POLICY, authority, serving
from webhook.certificates.keeper import NotLeadingError
from webhook.kube.errors import ApiError

ACME = authority(name="Acme CA")


@pytest.fixture
def world() -> World:
    made = World()
    made.register("mutating", "inject", "optin")
    made.register("validating", "check", kind="ValidatingWebhookConfiguration")
    return made


def settled(world: World, kept: Kept, *, seconds: float = 90) -> None:
    """Look for so long, every ten seconds."""
    for _ in range(int(seconds / 10)):
        kept.look()
        world.advance(10)


def test_first_look_makes_the_ca_writes_every_bundle_and_issues_the_leaf_in_this_order(world: World) -> None:
    calls: list[str] = []
    world.call = calls.append
    kept = Kept(world)
    assert kept.look() is False
    writes = [c for c in calls if not c.startswith(("read", "list"))]
    assert writes == [f"create {CA}", "repair mutating", "repair validating", f"create {TLS}"]
    assert world.well()
    assert not leaf.names_differ(world.leaf().certificate, NAMES)
    assert kept.reasons() == ["CaCreated", "CaBundleRepaired", "CaBundleRepaired", "LeafIssued"]
    calls.clear()
    kept.look()
    assert calls == [f"read {CA}", f"read {TLS}"]


def test_five_that_begin_at_once_end_with_one_ca(world: World) -> None:
    """As threads, all of which believe that they lead; each of their calls waits for the others a little."""
    turn = threading.Lock()
    keepers = [Kept(world) for _ in range(5)]
    start = threading.Barrier(5)
    world.call = lambda _what: (turn.release(), turn.acquire())[0]

    def begin(kept: Kept) -> None:
        start.wait()
        with turn:
            for _ in range(3):
                kept.look()

    threads = [threading.Thread(target=begin, args=[kept]) for kept in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum("CaCreated" in kept.reasons() for kept in keepers) == 1
    assert sum("LeafIssued" in kept.reasons() for kept in keepers) == 1
    assert world.well()


@pytest.mark.parametrize("text", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nMIIB\n"], ids=["blank", "text", "cut off"])
@pytest.mark.parametrize(("name", "place"), [("mutating", 0), ("mutating", 1), ("validating", 0)])
def test_spoiled_bundle_is_repaired_and_no_other_entry_written(
    world: World, name: str, place: int, text: bytes
) -> None:
    kept = Kept(world)
    kept.look()
    before = {c.name: c.version for c in world.configurations()}
    world.spoil(name, place, text)
    assert kept.look() is False
    assert world.well()
    assert {c.name for c in world.configurations() if c.version != before[c.name]} == {name}
    assert kept.events[-1][:2] == (name, "CaBundleRepaired")
    assert world.configuration(name).entries[place].name in kept.events[-1][2]
    assert kept.metric("ca_bundle_repairs_total", result="ok") == 3


def test_repair_that_comes_too_late_is_made_again(world: World) -> None:
    kept = Kept(world)
    kept.look()
    world.spoil("mutating", 0)

    def meddle(what: str) -> None:
        if what == "repair mutating":
            world.call = lambda _what: None
            world.spoil("mutating", 1)

    world.call = meddle
    assert kept.look() is True
    assert not world.well()
    assert kept.look() is False
    assert world.well()
    assert kept.metric("ca_bundle_repairs_total", result="conflict") == 1


def test_repair_that_is_forbidden_is_said_and_keeps_the_next_ca_from_signing(world: World) -> None:
    kept = Kept(world)
    kept.look()
    kept.targets.refuse = ApiError(403, "Forbidden", "may not patch")
    world.ask(CA)
    settled(world, kept, seconds=600)
    assert world.authorities().next is not None
    assert kept.metric("ca_bundles_wrong") == 3
    assert kept.metric("ca_state", state="published") == 1
    assert "CaBundleNotRepaired" in kept.reasons()
    kept.targets.refuse = None
    settled(world, kept)
    assert world.authorities().next is None
    assert kept.metric("ca_bundles_wrong") == 0


def test_rotation_publishes_waits_signs_renews_and_retires(world: World) -> None:
    kept = Kept(world)
    kept.look()
    first = world.authorities().current
    old_leaf = world.leaf()
    world.ask(CA)
    kept.look()
    following = world.authorities().next
    assert following is not None
    assert not world.secrets[CA].requested
    assert all(bundle.fingerprint(following.certificate) in bundle.held(text) for text in world.bundles())
    world.advance(40)
    kept.look()
    assert world.authorities().current.certificate == first.certificate
    world.advance(30)
    writes = sum(len(history) for history in world.history.values())
    kept.look()
    assert world.authorities().current.certificate == following.certificate
    assert [old.certificate for old in world.authorities().old] == [first.certificate]
    # Who signs has changed, and no byte of a caBundle: the API server keeps its connections.
    assert sum(len(history) for history in world.history.values()) == writes
    kept.look()
    assert bundle.issuer(world.leaf().certificate, [following.certificate])
    assert bundle.verifies(old_leaf.certificate, bundle.parse(world.bundles()[0]), world.now)
    for _ in range(31):
        world.advance(0, jump=DAY)
        kept.look()
    assert world.authorities().old == ()
    assert {len(bundle.parse(text)) for text in world.bundles()} == {1}
    reasons = [r for r in kept.reasons() if r.startswith("Ca") and r != "CaBundleRepaired"]
    assert reasons == ["CaCreated", "CaPublished", "CaSigns", "CaRetired"]


def test_next_ca_does_not_sign_while_one_entry_lacks_it_though_the_watch_says_otherwise(world: World) -> None:
    """A watch that hangs shows what was; before the next CA signs, the API server itself is asked."""
    kept = Kept(world)
    kept.look()
    without = world.bundles()[0]
    world.ask(CA)
    settled(world, kept, seconds=60)
    hanging = world.configurations()
    kept.targets.seen = lambda: hanging  # type: ignore[method-assign]
    kept.keeper._listed_at = world.elapsed
    world.spoil("mutating", 1, without)  # such as a GitOps tool that puts back what it once read
    world.advance(5)
    assert kept.look() is True
    assert world.authorities().next is not None
    assert bundle.verifies(world.leaf().certificate, bundle.parse(without), world.now)


def test_leaf_is_renewed_at_two_thirds_by_wall_clock_and_when_asked(world: World) -> None:
    kept = Kept(world)
    kept.look()
    first = world.leaf()
    world.advance(0, jump=timedelta(days=19.9))
    kept.look()
    assert world.leaf() == first
    world.advance(0, jump=timedelta(days=0.2))
    kept.look()
    second = world.leaf()
    assert second != first
    world.ask(TLS)
    kept.look()
    assert world.leaf() != second
    assert not world.secrets[TLS].requested
    assert kept.metric("leaf_expires_in_seconds") == POLICY.leaf.total_seconds()


def test_clock_that_jumps_40_days_while_suspended_means_a_new_leaf_at_once_of_the_same_ca(world: World) -> None:
    kept = Kept(world)
    kept.look()
    ca = world.authorities().current.certificate
    for seconds in (0.0, 40 * 86400.0):  # whether the other clock has gone on or not
        world.advance(seconds, jump=40 * DAY - timedelta(seconds=seconds))
        assert not world.well()
        assert kept.look() is False
        assert world.well()
    assert world.authorities().current.certificate == ca


def test_clock_that_jumps_beyond_the_life_of_the_ca_means_a_new_ca_at_once(world: World) -> None:
    kept = Kept(world)
    kept.look()
    ca = world.authorities().current.certificate
    world.advance(0, jump=400 * DAY)
    assert kept.look() is False
    assert world.well()
    assert world.authorities().current.certificate != ca
    assert world.authorities().old == ()
    assert "A CA was made: the CA has expired." in [note for _, _, note in kept.events]


def test_clock_that_is_behind_changes_nothing_and_is_said(world: World) -> None:
    kept = Kept(world)
    kept.look()
    before = dict(world.secrets)
    world.advance(0, jump=-10 * DAY)
    kept.look()
    assert world.secrets == before
    assert kept.metric("ca_state", state="early") == 1
    assert "the CA is valid from 2026-03-01 11:55 UTC only" in kept.text


def test_next_ca_of_a_clock_that_was_ahead_does_not_sign_before_its_time(world: World) -> None:
    """Otherwise nothing could be signed from then on, and the leaf in use would be the last."""
    kept = Kept(world)
    kept.look()
    world.advance(0, jump=5 * DAY)
    world.ask(CA)
    kept.look()
    world.advance(0, jump=-5 * DAY)
    settled(world, kept)
    assert world.authorities().next is not None
    assert "the next CA is valid from 2026-03-06" in kept.text
    world.ask(TLS)
    before = world.leaf()
    kept.look()
    assert world.leaf() != before
    assert world.well()
    world.advance(0, jump=5 * DAY)
    settled(world, kept)
    assert world.authorities().next is None
    assert world.well()


def test_remaining_life_of_the_leaf_is_told_while_the_ca_is_refused(world: World) -> None:
    kept = Kept(world)
    kept.look()
    world.put(CA, replace(world.secrets[CA], data={"ca.crt": b"x"}))
    world.advance(0, jump=DAY)
    kept.look()
    assert kept.metric("leaf_expires_in_seconds") == 29 * DAY.total_seconds()
    world.advance(0, jump=30 * DAY)
    kept.look()
    assert kept.metric("leaf_expires_in_seconds") == -DAY.total_seconds()
    del world.secrets[TLS]
    kept.look()
    assert math.isnan(kept.metric("leaf_expires_in_seconds") or 0)


@pytest.mark.parametrize("name", [CA, TLS])
def test_foreign_secret_is_refused_and_neither_it_nor_a_bundle_is_written(world: World, name: str) -> None:
    data = {"ca.crt": ACME.certificate_pem(), "ca.key": ACME.key_pem()}
    if name == TLS:
        data = serving(ACME).encode(ACME.certificate_pem())
    world.secrets[name] = Stored(data, ours=False, requested=False, version="1")
    writes: list[str] = []
    world.call = lambda what: None if what.startswith(("read", "list")) else writes.append(what)
    kept = Kept(world)
    kept.look()
    kept.look()
    assert writes == []
    assert kept.metric("ca_state", state="refused") == 1
    assert set(kept.reasons()) == {"CertificatesRefused"}
    [said] = [line for line in kept.lines() if line["level"] == "error"]
    assert f"{name} was not made by this program" in said["message"]
    assert "Delete or rename it" in said["message"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ca.key": b""}, "ca.crt is there without ca.key"),
        ({"ca.crt": b"-----BEGIN CERTIFICATE-----\nMI"}, "cut off"),
        ({"ca.crt": ACME.certificate_pem(), "ca.key": ACME.key_pem()}, "somebody else's CA"),
    ],
    ids=["without key", "cut off", "foreign CA under our label"],
)
def test_ca_that_cannot_be_used_is_left_as_it_is_and_the_bundles_are_kept_by_the_leaf(
    world: World, change: dict[str, bytes], complaint: str
) -> None:
    kept = Kept(world)
    kept.look()
    right = world.secrets[CA]
    world.put(CA, replace(right, data={**right.data, **change}))
    before = dict(world.secrets)
    world.spoil("mutating", 0)
    assert kept.look() is False
    assert world.secrets == before
    assert any(about == CA and complaint in note for about, _, note in kept.events)
    assert bundle.verifies(world.leaf().certificate, bundle.parse(world.bundles()[0]), world.now)
    # Another process knows nothing but what is kept, and does the same.
    world.spoil("validating", 0)
    Kept(world).look()
    assert bundle.verifies(world.leaf().certificate, bundle.parse(world.bundles()[2]), world.now)
    world.put(CA, right)
    kept.look()
    assert world.well()
    assert kept.metric("ca_state", state="stable") == 1


@pytest.mark.parametrize("key", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("text", [b"", b"x", None], ids=["blank", "text", "half"])
def test_leaf_that_is_damaged_is_issued_anew(world: World, key: str, text: bytes | None) -> None:
    kept = Kept(world)
    kept.look()
    right = world.secrets[TLS]
    damaged = right.data[key][:200] if text is None else text
    world.secrets[TLS] = replace(right, data={**right.data, key: damaged})
    assert kept.look() is False
    assert world.well()
    assert "holds no usable pair and is made anew" in kept.text


def test_ca_that_was_deleted_is_replaced_and_the_old_one_stays_trusted(world: World) -> None:
    kept = Kept(world)
    kept.look()
    before, served = world.authorities().current.certificate, world.leaf().certificate
    del world.secrets[CA]
    kept.look()
    assert world.authorities().current.certificate != before
    assert world.leaf().certificate == served
    assert all(bundle.verifies(served, bundle.parse(text), world.now) for text in world.bundles())
    settled(world, kept)
    assert bundle.issuer(world.leaf().certificate, [world.authorities().current.certificate])
    assert world.well()


def test_who_leads_no_more_writes_nothing(world: World) -> None:
    kept = Kept(world)
    kept.leading = False
    with pytest.raises(NotLeadingError):
        kept.look()
    assert world.secrets == {}
    kept.leading = True
    kept.look()
    world.spoil("mutating", 0)
    kept.leading = False
    with pytest.raises(NotLeadingError):
        kept.look()
    assert world.bundles()[0] == b""


def test_other_names_mean_a_new_leaf(world: World) -> None:
    Kept(world).look()
    other = replace(POLICY, names=("other.svc", "127.0.0.1"))
    Kept(world, policy=other).look()
    assert not leaf.names_differ(world.leaf().certificate, other.names)
    assert world.well()


def test_without_any_configuration_certificates_are_kept_all_the_same() -> None:
    world = World()
    kept = Kept(world)
    kept.look()
    world.ask(CA)
    settled(world, kept)
    assert kept.reasons() == ["CaCreated", "LeafIssued", "CaPublished", "CaSigns", "LeafIssued"]


def test_no_key_is_in_any_log_line_or_event_or_metric(world: World) -> None:
    kept = Kept(world)
    kept.look()
    world.ask(CA)
    settled(world, kept)
    both = (*world.secrets[CA].data.items(), *world.secrets[TLS].data.items())
    keys = [text for name, text in both if name.endswith("key")]
    right = world.secrets[CA]
    for change in ({"ca.key": right.data["ca.key"][:150]}, {"ca.crt": right.data["ca.key"]}):
        world.put(CA, replace(right, data={**right.data, **change}))
        kept.look()
    world.put(CA, right)
    world.put(TLS, replace(world.secrets[TLS], data={**world.secrets[TLS].data, "ca.crt": right.data["ca.key"]}))
    kept.look()
    shown = (kept.events, list(kept.exposition.registry.collect()), world.secrets, cas.decode(right.data))
    said = kept.text + "".join(map(repr, shown))
    assert "PRIVATE" not in said
    for key in keys:
        assert not any(line in said for line in key.decode().splitlines()[1:-1])

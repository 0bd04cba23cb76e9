"""What `certs status` says, from the same cluster in memory that the keeper is tested on."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from certs.stores import Stored
from tests.certificates.world import CA, TLS, Kept, World
from tests.certs.making import DAY, NAMES, authority, serving
from webhook.certificates.report import Found, Report, as_json, as_text, report


@pytest.fixture
def world() -> World:
    """Where everything is as it should be."""
    made = World()
    made.register("habitat-webhook", "inject", "optin")
    Kept(made).look()
    return made


def reported(world: World, later: timedelta = timedelta(0)) -> Report:
    return report(
        Found(
            world.now + later,
            world.secrets.get(CA),
            world.secrets.get(TLS),
            world.configurations(),
            "habitat/ca",
            "habitat/tls",
        )
    )


def codes(made: Report) -> list[tuple[str, str]]:
    return [(f.severity.value, f.code) for f in made.findings]


def test_nothing_is_wrong_after_the_first_look(world: World) -> None:
    made = reported(world)
    assert (made.well, codes(made)) == (True, [])
    text = as_text(made)
    assert text.splitlines()[0].startswith("CA           360 days left     until 2027-02-24 12:00 UTC, signs  [")
    assert (
        f"certificate  30 days left      until 2026-03-31 12:00 UTC, for {', '.join(NAMES)}, signed by the current CA"
        in text
    )
    assert "caBundle     trusted           MutatingWebhookConfiguration/habitat-webhook inject" in text
    assert text.endswith("\n\nnothing is wrong")
    content = as_json(made)
    assert (content["version"], content["ok"], content["state"], content["findings"]) == (1, True, "stable", [])
    assert content["leaf"]["secondsLeft"] == 30 * 86400
    assert content["leaf"]["renewedFrom"] == "2026-03-21 11:58:20".replace(" ", "T") + "Z"
    assert [e["verifies"] for e in content["entries"]] == [True, True]
    json.dumps(content)


def test_no_key_is_in_either_form(world: World) -> None:
    made = reported(world)
    for said in (as_text(made), json.dumps(as_json(made)), repr(made)):
        assert "PRIVATE" not in said


def spoiled(world: World) -> None:
    world.spoil("habitat-webhook", 1)


def differing(world: World) -> None:
    both = world.authorities().bundle() + authority().certificate_pem()
    world.spoil("habitat-webhook", 0, both)


def rotating(world: World) -> None:
    world.ask(CA)
    Kept(world).look()


def asked(world: World) -> None:
    world.ask(CA)
    world.ask(TLS)


def without(name: str, world: World) -> None:
    del world.secrets[name]


def foreign(name: str, world: World) -> None:
    world.secrets[name] = Stored({}, ours=False, requested=False, version="1")


def damaged(name: str, key: str, world: World) -> None:
    kept = world.secrets[name]
    world.secrets[name] = replace(kept, data={**kept.data, key: b"x"})


def unknown(world: World) -> None:
    other = authority()
    data = serving(other).encode(b"")
    world.secrets[TLS] = replace(world.secrets[TLS], data=data)


def nameless(world: World) -> None:
    """A pair that somebody has written there: a certificate without any name."""
    kept = world.authorities().current
    world.secrets[TLS] = replace(
        world.secrets[TLS], data={"tls.crt": kept.certificate_pem(), "tls.key": kept.key_pem(), "ca.crt": b""}
    )


def by_somebody_else(world: World) -> None:
    """As with cert-manager."""
    world.history.clear()
    del world.secrets[CA]
    world.secrets[TLS] = replace(world.secrets[TLS], ours=False)


def damaged_by_somebody_else(world: World) -> None:
    by_somebody_else(world)
    damaged(TLS, "tls.key", world)


CASES = {
    "spoiled": (spoiled, [("error", "NotTrusted")]),
    "differing": (differing, [("note", "BundleDiffers")]),
    "rotating": (rotating, [("note", "Rotating")]),
    "asked": (asked, [("note", "RotationRequested"), ("note", "RenewalRequested")]),
    "no CA": (lambda w: without(CA, w), [("error", "NoCa")]),
    "no leaf": (lambda w: without(TLS, w), [("error", "NoLeaf")]),
    "foreign CA": (lambda w: foreign(CA, w), [("error", "Foreign")]),
    "foreign leaf": (lambda w: foreign(TLS, w), [("error", "Foreign")]),
    "damaged CA": (lambda w: damaged(CA, "ca.key", w), [("error", "CaDamaged")]),
    "damaged leaf": (lambda w: damaged(TLS, "tls.key", w), [("error", "LeafDamaged")]),
    "unknown signer": (unknown, [("error", "LeafUnknown"), ("error", "NotTrusted"), ("error", "NotTrusted")]),
    "no name": (nameless, [("error", "NotTrusted")] * 2),
    "kept by somebody else": (by_somebody_else, [("note", "NothingManaged")]),
    "damaged by somebody else": (damaged_by_somebody_else, [("note", "NothingManaged"), ("error", "LeafDamaged")]),
    "no configuration": (lambda w: w.history.clear(), [("note", "NothingManaged")]),
}


@pytest.mark.parametrize("case", CASES)
def test_each_trouble_is_named_and_errors_say_what_to_do(world: World, case: str) -> None:
    change, expected = CASES[case]
    change(world)
    made = reported(world)
    assert codes(made) == expected
    assert made.well is all(severity == "note" for severity, _ in expected)
    assert all(f.advice for f in made.findings if f.severity == "error")
    text = as_text(made)
    assert text.endswith("nothing is wrong" if made.well else "something is wrong")
    for finding in made.findings:
        assert f"{finding.message} ({finding.code})" in text
    assert [f["code"] for f in as_json(made)["findings"]] == [code for _, code in expected]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (-10 * DAY, ["ClockBehind", "ClockBehind", "NotTrusted", "NotTrusted"]),
        (20.1 * DAY, ["LeafOverdue"]),
        (31 * DAY, ["LeafExpired", "NotTrusted", "NotTrusted"]),
        (241 * DAY, ["CaOverdue", "LeafExpired", "NotTrusted", "NotTrusted"]),
        (361 * DAY, ["CaExpired", "LeafExpired", "NotTrusted", "NotTrusted"]),
    ],
)
def test_what_time_does_is_said(world: World, later: timedelta, expected: list[str]) -> None:
    assert [code for _, code in codes(reported(world, later))] == expected


def test_every_finding_is_explained_on_the_page_about_certificates() -> None:
    """As they are written in the code: a new one cannot be forgotten."""
    root = Path(__file__).parents[2]
    written = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', (root / "webhook/certificates/report.py").read_text()))
    page = (root / "docs/certificates.md").read_text()
    explained = set(re.findall(r"`([A-Za-z]+)`", "".join(re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE))))
    assert {code for _, expected in CASES.values() for _, code in expected} <= written
    assert written == explained


def test_certificate_that_somebody_else_makes_is_shown_and_has_an_end(world: World) -> None:
    by_somebody_else(world)
    assert f"for {', '.join(NAMES)}  [" in as_text(reported(world))
    assert codes(reported(world, 31 * DAY)) == [("note", "NothingManaged"), ("error", "LeafExpired")]


def test_old_and_next_cas_are_shown_with_what_they_are_there_for(world: World) -> None:
    rotating(world)
    kept = Kept(world)
    assert "next CA " in as_text(reported(world))
    for _ in range(9):
        kept.look()
        world.advance(10)
    text = as_text(reported(world))
    assert "old CA " in text
    assert "trusted until 2026-03-31" in text
    assert "next CA " not in text

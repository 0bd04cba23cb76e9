"""At no moment does an API server meet a leaf that it does not trust: generated histories of two leaders at once.

Both keepers believe all the time that they lead, which is worse than an election allows. Between any two of their calls
one of them dies, or the other does all it has to do, or time passes, or somebody blanks a caBundle, asks for a rotation
or deletes the CA. Each API server sees a configuration up to LAG late, and each watch is late, too; a replica takes up
a new leaf whenever it likes, so long as its old one lives. Not held against the keepers: what somebody else wrote into
a caBundle, until it is repaired, leaves that have expired, and the minute after that.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from certs import bundle, leaf, rotation
from certs.rotation import Policy, State, state
from certs.stores import Changed, Stored
from tests.certificates.world import CA, Kept, MemoryStore, Served, Targets, Version, World
from tests.certs.making import DAY, NAMES
from webhook.certificates.configurations import Configuration, Entry
from webhook.kube.errors import ApiError

SETTLE = 60.0
LAG = 40.0
"""How far an API server is behind at most: less than the settling time, which is there for that."""

MENDED = LAG + 60.0
"""So long after a leaf has followed an expired one, some API servers do not trust it yet; they trusted none before. Nor
does one whose caBundle nobody has looked at since.
"""

POLICY = Policy(NAMES, authority=60 * DAY, leaf=15 * DAY, settle=timedelta(seconds=SETTLE))
EXAMPLES = 400 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 15


@functools.cache
def issuer(certificate: x509.Certificate, text: bytes) -> x509.Certificate | None:
    return bundle.issuer(certificate, bundle.parse(text))


class KilledError(BaseException):
    """A keeper ends here."""


class Story:
    """Two keepers, two API servers, three replicas, and a source of chance."""

    def __init__(self, chance: random.Random, policy: Policy = POLICY) -> None:
        self.chance = chance
        self.policy = policy
        self.world = World()
        self.world.register("mutating", "inject", "optin")
        self.world.register("validating", "check", kind="ValidatingWebhookConfiguration")
        self.keepers = [self._keeper(), self._keeper()]
        self.served: list[Served | None] = [None, None, None]
        self.shown: list[dict[str, int]] = [dict.fromkeys(self.world.history, 0) for _ in range(2)]
        self._inside = 0
        self.world.call = self._between

    def _keeper(self) -> Kept:
        return Kept(self.world, policy=self.policy, late=lambda: self.chance.choice((0, 0, 0, 1, 2)))

    def _between(self, what: str) -> None:
        """What happens while a keeper waits for its call to be carried out."""
        self.judge()
        draw = self.chance.random()
        if draw < 0.03:
            raise KilledError
        if draw < 0.06 and self._inside == 1:
            for _ in range(12):  # a call that takes minutes, in which the other goes all the way
                self.look(self.chance.randrange(2))
                self.advance(10)
        elif draw < 0.15 and self._inside < 2:
            self.look(self.chance.randrange(2))
        elif draw < 0.25:
            self.happen()

    def look(self, which: int) -> None:
        """One keeper does all that it has to do, or dies on the way."""
        self._inside += 1
        try:
            self.keepers[which].look()
        except KilledError:
            self.keepers[which] = self._keeper()
        except ApiError as error:
            if error.status != 409:
                raise
        except Changed:
            raise AssertionError("a keeper has not dealt with a write that came too late") from None
        finally:
            self._inside -= 1
        self.judge()

    def happen(self) -> None:
        draw = self.chance.random()
        if draw < 0.55:
            self.advance(self.chance.uniform(1, 20))
        elif draw < 0.70:
            self.replica()
        elif draw < 0.80:
            name = self.chance.choice(list(self.world.history))
            place = self.chance.randrange(len(self.world.configuration(name).entries))
            self.world.spoil(name, place, self.chance.choice((b"", b"x")))
        elif draw < 0.88 and CA in self.world.secrets:
            self.world.ask(CA)
        elif draw < 0.90:
            self.world.secrets.pop(CA, None)
        elif draw < 0.97:
            # So long nobody looks, and then everybody has caught up.
            self.advance(3600 * self.chance.uniform(1, 60))
        else:
            self.world.advance(0, jump=40 * DAY)
        self.judge()

    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)
        for shown in self.shown:
            for name, history in self.world.history.items():
                late = max(n for n, v in enumerate(history) if n == 0 or v.since <= self.world.elapsed - LAG)
                shown[name] = self.chance.randint(max(late, shown[name]), len(history) - 1)

    def replica(self) -> None:
        """One of them takes up one of the leaves since the one it has."""
        if self.world.served:
            which = self.chance.randrange(len(self.served))
            had = self.served[which]
            first = self.world.served.index(had) if had else 0
            self.served[which] = self.chance.choice(self.world.served[first:])

    def judge(self) -> None:
        for number, shown in enumerate(self.shown):
            for name, place in shown.items():
                version = self.world.history[name][place]
                if version.ours:
                    for entry in version.seen.entries:
                        self._accepts(number, version, entry)

    def _accepts(self, server: int, version: Version, entry: Entry) -> None:
        text, where = entry.bundle, f"{version.seen.name}/{entry.name}"
        if not text or text == b"x":
            return  # the repair of another entry of the same configuration was seen first
        for number, served in enumerate(self.served):
            if served is None:
                continue
            if served.late and (self.world.elapsed < served.at + MENDED or version.since <= served.at):
                continue
            if bundle.valid(served.certificate, self.world.now):
                by = issuer(served.certificate, text)
                assert by is not None, f"API server {server} does not trust replica {number} at {where}"
                assert bundle.valid(by, self.world.now)


@given(seed=st.integers(0, 2**64))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 15, database=None)
def test_every_api_server_trusts_every_replica_at_every_moment_and_all_ends_well(seed: int) -> None:
    live(Story(random.Random(seed)))


def live(story: Story) -> None:
    chance = story.chance
    for _ in range(120):
        if chance.random() < 0.5:
            story.look(chance.randrange(2))
        story.advance(chance.uniform(1, 15))
        story.replica()
        if chance.random() < 0.3:
            story.happen()
    # Then nothing happens any more, and one of them is left.
    story.world.call = lambda _what: None
    last = Kept(story.world, policy=story.policy)
    for _ in range(30):
        last.look()
        story.advance(10)
        story.judge()
    assert story.world.well()
    kept = story.world.authorities()
    assert state(kept, story.world.now) is State.STABLE
    assert bundle.issuer(story.world.leaf().certificate, [kept.current.certificate])
    assert story.world.now < leaf.due(story.world.leaf().certificate)


@given(seed=st.integers(0, 2**64))
@settings(max_examples=2, deadline=None, derandomize=True, database=None)
def test_through_years_without_a_hand_every_leaf_is_trusted(seed: int) -> None:
    """Steps of up to a day: no leaf ever expires, and old CAs do not pile up."""
    chance = random.Random(seed)
    story = Story(chance)
    story.world.call = lambda _what: None
    born = set()
    for _ in range(250):
        for _ in range(8):
            story.look(0)
            story.advance(10)
        story.served = [story.world.served[-1]] * 3
        story.judge()
        assert bundle.valid(story.world.leaf().certificate, story.world.now)
        assert len(story.world.authorities().certificates) <= 3
        born.add(bundle.fingerprint(story.world.authorities().current.certificate))
        story.advance(86400 * chance.uniform(0.1, 1))
    assert len(born) >= 3


# Designs that are known to be wrong: who finds nothing wrong with them, proves nothing with the right one.


def without_settling(_: pytest.MonkeyPatch) -> Policy:
    return replace(POLICY, settle=timedelta(0))


def retiring_at_once(patch: pytest.MonkeyPatch) -> Policy:
    patch.setattr(rotation, "_over", lambda _view, kept: frozenset(old.fingerprint for old in kept.old))
    return POLICY


def forgetting_who_was_trusted(patch: pytest.MonkeyPatch) -> Policy:
    patch.setattr(rotation, "_inherited", lambda _view: [])
    return POLICY


def repairing_what_was_not_seen(patch: pytest.MonkeyPatch) -> Policy:
    right = Targets.repair

    def repair(self: Targets, seen: Configuration, wrong: Mapping[int, bytes]) -> Configuration:
        self.world.call("repair")
        return right(self, replace(seen, version=self.world.configuration(seen.name).version), wrong)

    patch.setattr(Targets, "repair", repair)
    return POLICY


def writing_over_what_was_not_read(patch: pytest.MonkeyPatch) -> Policy:
    right = MemoryStore.replace

    def write(self: MemoryStore, read: Stored, data: Mapping[str, bytes], *, answers: bool) -> None:
        self.world.call("replace")
        there = self.world.secrets.get(self.name, read)
        right(self, there, data, answers=answers)

    patch.setattr(MemoryStore, "replace", write)
    return POLICY


@pytest.mark.parametrize(
    "design",
    [
        without_settling,
        retiring_at_once,
        forgetting_who_was_trusted,
        repairing_what_was_not_seen,
        writing_over_what_was_not_read,
    ],
)
def test_design_that_is_wrong_is_found_out(
    design: Callable[[pytest.MonkeyPatch], Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = design(monkeypatch)
    with pytest.raises(AssertionError, match="does not trust replica"):
        many_lives(policy)


def many_lives(policy: Policy) -> None:
    for seed in range(40):
        live(Story(random.Random(seed), policy))

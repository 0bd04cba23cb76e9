"""What is to be done next about the CA and its leaf: one step at a time, decided from what is kept and what was seen.

The rule behind every row: a leaf is served only when all who verify it trust its CA already, and a CA is trusted until
all its leaves are dead. Each step is one write to one object. Whoever dies between two of them, or meets another who
does the same, leaves a state from which the table goes on. The first row whose condition holds is the step.

state     | condition                                                           | step
----------|---------------------------------------------------------------------|-------------------------------------
empty     | there is no CA                                                      | CREATE one; who was trusted stays so
early     | the current CA is not valid yet                                     | wait: somebody's clock is wrong
expired   | the current CA has expired, the next one is valid                   | SIGN with the next one at once
expired   | the current CA has expired, there is no next one                    | CREATE one: nothing verifies anyway
the other | the leaf's CA is not kept, or not for as long as the leaf lives     | KEEP that CA for so long
  two     | an old CA has expired; or its time is up, and the current one has   | RETIRE it: it leaves every caBundle
          |   signed the leaf                                                   |
published | the next CA has expired                                             | WITHDRAW it
published | the next CA is valid, and every caBundle has held it for the        | SIGN: next becomes current, that old
          |   settling time                                                     |
stable    | two thirds of the CA's life are over, or somebody asked             | PUBLISH: make the next CA
----------|---------------------------------------------------------------------|-------------------------------------
the other | the leaf is not valid yet, and nobody asked for another one         | wait: somebody's clock is wrong
  two     | there is no leaf, or it verifies against no CA that is kept         | ISSUE one at once
          | the current CA has signed it, and two thirds of its life are over,  | ISSUE one
          |   its names are others, or somebody asked                           |
          | an old CA has signed it, and every caBundle has held the current    | ISSUE one
          |   CA for the settling time                                          |
          | the bundle beside the leaf is another one                           | BUNDLE: write it again
          | nothing of all that                                                 | wait

"Every caBundle has held": of every webhook configuration that is ours to keep, seen without a break. The settling time
is there because there may be several API servers, each with a picture of its own that is a moment old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from certs import bundle, leaf
from certs.authorities import Authorities, is_ours
from certs.authority import Authority
from certs.leaf import Leaf

SETTLE = timedelta(seconds=60)


class Action(StrEnum):
    """What a step does. The first group writes the CAs, the second the leaf, WAIT nothing."""

    CREATE = "create"
    KEEP = "keep"
    RETIRE = "retire"
    WITHDRAW = "withdraw"
    SIGN = "sign"
    PUBLISH = "publish"
    ISSUE = "issue"
    BUNDLE = "bundle"
    WAIT = "wait"


class State(StrEnum):
    """The first column of the table."""

    EMPTY = "empty"
    EARLY = "early"
    EXPIRED = "expired"
    PUBLISHED = "published"
    STABLE = "stable"


OF_THE_LEAF = frozenset({Action.ISSUE, Action.BUNDLE})


@dataclass(frozen=True, slots=True)
class Policy:
    """names: DNS names and IP addresses of the leaf. authority, leaf: how long each lives. settle: how long the next CA
    is published before it signs.
    """

    names: Sequence[str]
    authority: timedelta
    leaf: timedelta
    settle: timedelta = SETTLE


@dataclass(frozen=True, slots=True)
class View:
    """What is known now. authorities, leaf: as they are kept, None where there is none that can be read.
    rotate, renew: somebody asked for it. held: fingerprint of a CA -> how long every caBundle has held it by now; only
    those that every one holds.
    """

    now: datetime
    authorities: Authorities | None
    leaf: Leaf | None
    rotate: bool = False
    renew: bool = False
    held: Mapping[str, timedelta] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and why, in words; "" for a WAIT in which nothing is under way.

    settled: the CA that has to be seen everywhere once more before it is done.
    """

    action: Action
    why: str
    settled: str = ""


def state(authorities: Authorities | None, now: datetime) -> State:
    """The state of the table's first column."""
    if authorities is None:
        return State.EMPTY
    current = authorities.current.certificate
    if now < current.not_valid_before_utc:
        return State.EARLY
    if now >= current.not_valid_after_utc:
        return State.EXPIRED
    return State.PUBLISHED if authorities.next else State.STABLE


def decide(view: View, policy: Policy) -> Step:
    """The next step: the first row of the table that holds."""
    kept = view.authorities
    if kept is None:
        return Step(Action.CREATE, "there is no CA")
    where = state(kept, view.now)
    if where is State.EARLY:
        return Step(Action.WAIT, f"the CA is valid from {_time(kept.current.certificate.not_valid_before_utc)} only")
    if where is State.EXPIRED:
        if kept.next and bundle.valid(kept.next.certificate, view.now):
            return Step(Action.SIGN, "the current CA has expired")
        return Step(Action.CREATE, "the CA has expired")
    return _keep(view, kept) or _retire(view, kept) or _rotate(view, kept, policy) or _leaf(view, kept, policy)


def _keep(view: View, kept: Authorities) -> Step | None:
    found = _trusted(view)
    if found is None:
        return None
    ca, until = found
    known = kept.kept_until(ca)
    if known is None:
        return Step(Action.KEEP, "the leaf in use was signed by a CA that is not kept")
    if known < until:
        return Step(Action.KEEP, "the leaf in use outlives the time for which its CA is kept")
    return None


def _trusted(view: View) -> tuple[x509.Certificate, datetime] | None:
    """The CA that makes the leaf in use verify, and how long that is needed: by what is kept, or by the bundle that was
    written beside the leaf. None when nothing does.
    """
    if view.leaf is None or not bundle.valid(view.leaf.certificate, view.now):
        return None
    known = view.authorities.certificates if view.authorities else ()
    beside = (ca for ca in view.leaf.trusted() if is_ours(ca))
    ca = bundle.issuer(view.leaf.certificate, (*known, *beside), view.now)
    return None if ca is None else (ca, min(view.leaf.certificate.not_valid_after_utc, ca.not_valid_after_utc))


def _inherited(view: View) -> list[x509.Certificate]:
    """The CAs that stay trusted although the one in force is new: all of which a living leaf may still be in use, by
    the bundle beside the newest of them. They are none of ours where that leaf does not verify against them.
    """
    if view.leaf is None or not bundle.verifies(view.leaf.certificate, view.leaf.trusted(), view.now):
        return []
    return [ca for ca in view.leaf.trusted() if is_ours(ca) and bundle.valid(ca, view.now)]


def _retire(view: View, kept: Authorities) -> Step | None:
    over = _over(view, kept)
    return Step(Action.RETIRE, f"{len(over)} old CA(s) have no living leaf any more") if over else None


def _over(view: View, kept: Authorities) -> frozenset[str]:
    """The old CAs that nobody needs: expired, or their time is up and a newer CA's leaf has taken over."""
    renewed = view.leaf is not None and _signed_by_current(view.leaf, kept)
    return frozenset(
        old.fingerprint
        for old in kept.old
        if view.now >= old.certificate.not_valid_after_utc or (renewed and view.now >= old.until)
    )


def _rotate(view: View, kept: Authorities, policy: Policy) -> Step | None:
    if kept.next is None:
        if view.rotate:
            return Step(Action.PUBLISH, "somebody asked for a new CA")
        if view.now >= leaf.due(kept.current.certificate):
            return Step(Action.PUBLISH, "two thirds of the CA's life are over")
        return None
    if view.now >= kept.next.not_after:
        return Step(Action.WITHDRAW, "the next CA has expired before it was used")
    if bundle.valid(kept.next.certificate, view.now) and _settled(view, kept.next, policy):
        return Step(Action.SIGN, "every caBundle holds the next CA", settled=bundle.fingerprint(kept.next.certificate))
    return None


def _leaf(view: View, kept: Authorities, policy: Policy) -> Step:
    serving = view.leaf
    if serving is None:
        return Step(Action.ISSUE, "there is no leaf that can be used")
    if view.now < serving.certificate.not_valid_before_utc and not view.renew:
        begin = _time(serving.certificate.not_valid_before_utc)
        return Step(Action.WAIT, f"the leaf is valid from {begin} only")
    if not bundle.verifies(serving.certificate, kept.certificates, view.now):
        return Step(Action.ISSUE, "the leaf does not verify any more")
    if _signed_by_current(serving, kept):
        if view.renew:
            return Step(Action.ISSUE, "somebody asked for a new leaf")
        if leaf.names_differ(serving.certificate, policy.names):
            return Step(Action.ISSUE, "the leaf is for other names")
        if view.now >= leaf.due(serving.certificate):
            return Step(Action.ISSUE, "two thirds of the leaf's life are over")
    elif _settled(view, kept.current, policy):
        return Step(
            Action.ISSUE,
            "the leaf was signed by an old CA, and every caBundle holds the current one",
            settled=bundle.fingerprint(kept.current.certificate),
        )
    if serving.bundle != kept.bundle():
        return Step(Action.BUNDLE, "the bundle beside the leaf is not the current one")
    if kept.next and view.now < kept.next.certificate.not_valid_before_utc:
        return Step(Action.WAIT, f"the next CA is valid from {_time(kept.next.certificate.not_valid_before_utc)} only")
    if kept.next:
        return Step(Action.WAIT, "the next CA is published; it signs when every caBundle has held it for a while")
    if not _signed_by_current(serving, kept):
        return Step(Action.WAIT, "the current CA signs a leaf when every caBundle has held it for a while")
    return Step(Action.WAIT, "")


def _signed_by_current(serving: Leaf, kept: Authorities) -> bool:
    return bundle.issuer(serving.certificate, [kept.current.certificate]) is not None


def _settled(view: View, authority: Authority, policy: Policy) -> bool:
    held = view.held.get(bundle.fingerprint(authority.certificate))
    return held is not None and held >= policy.settle


def authorities_after(step: Step, view: View, policy: Policy) -> Authorities:
    """What the CAs are after a step that changes them. A new CA is made here, with a new key."""
    kept, now = view.authorities, view.now
    if step.action is Action.CREATE:
        made = Authorities(Authority.create(now=now, lifetime=policy.authority))
        for ca in _inherited(view):
            made = made.keeping(ca, now + policy.leaf)
        return made
    if kept is None:
        raise ValueError(f"{step.action} needs a CA, and there is none")
    match step.action:
        case Action.PUBLISH:
            return replace(kept, next=Authority.create(now=now, lifetime=policy.authority))
        case Action.WITHDRAW:
            return replace(kept, next=None)
        case Action.RETIRE:
            over = _over(view, kept)
            return replace(kept, old=tuple(old for old in kept.old if old.fingerprint not in over))
        case Action.KEEP if (trusted := _trusted(view)) is not None:
            return kept.keeping(*trusted)
        case Action.SIGN if kept.next is not None:
            following = Authorities(kept.next, None, kept.old)
            if now >= kept.current.not_after:
                return following
            # Whoever else has read the CAs before this may still issue a leaf of the same length.
            return following.keeping(kept.current.certificate, now + policy.leaf)
    raise ValueError(f"{step.action} does not change the CAs as they are")


def leaf_after(step: Step, view: View, policy: Policy) -> dict[str, bytes]:
    """What is kept of the leaf after a step that changes it. A new leaf is made here, with a new key."""
    kept = view.authorities
    if kept is None:
        raise ValueError(f"{step.action} needs a CA, and there is none")
    match step.action:
        case Action.ISSUE:
            issued = kept.current.issue(policy.names, now=view.now, lifetime=policy.leaf)
            return leaf.made(issued).encode(kept.bundle())
        case Action.BUNDLE if view.leaf is not None:
            return view.leaf.encode(kept.bundle())
    raise ValueError(f"{step.action} does not change the leaf as it is")


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"

"""What is wrong with rings: pods, Services and what is known of Secrets in, a report out.

Pure. It judges by the rules of webhook/ring/membership.py, but by what there is, and not by what the controller would
do next: what a controller that runs mends within seconds is said as well, since it may not run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.ring import keys, service
from webhook.ring.findings import Code, Finding, clauses, listed
from webhook.ring.graph import draw
from webhook.ring.pods import Member
from webhook.ring.report import (
    KeyStatus,
    Peer,
    PodStatus,
    Presence,
    Report,
    RingStatus,
    Scope,
    Seeded,
    ServiceStatus,
    State,
    full_name,
    short_name,
)
from webhook.rings import Ring

Secrets = Mapping[tuple[str, str], bool | None]
"""(namespace, name) -> whether the Secret is there, None when that may not be asked."""


def build(
    members: Iterable[Member], services: Iterable[Mapping[str, Any]] | None, secrets: Secrets, scope: Scope
) -> Report:
    """The report. members: every pod in the scope that is injected or has the ring's label, each once. services: those
    in the scope; None when they may not be listed. secrets: of `managed_keys`; what is not in it was not looked for.
    """
    rings: dict[Ring, list[Member]] = defaultdict(list)
    outside = []
    for m in sorted(members, key=lambda m: (m.namespace, m.name, m.uid)):
        if m.ring is None or scope.refuses(m):
            outside.append(m)
        else:
            rings[m.ring].append(m)
    found = {}
    for each in services or ():
        ring = service.ring_of(each)
        if ring is not None:
            found[ring] = each
            if service.is_ours(each):
                rings.setdefault(ring, [])
    holders = {m.address: m for pods in rings.values() for m in pods if m.live and takes_part(m)}
    known = _Known(found if services is not None else None, secrets, scope, holders)
    return Report(
        scope,
        tuple(_Ring(ring, rings[ring], known).status() for ring in sorted(rings)),
        tuple(PodStatus(m, _state(m, waits=False), Seeded.NONE) for m in outside),
        tuple(_outside(outside, scope)),
    )


def takes_part(member: Member) -> bool:
    """Whether the controller gives it a list, and puts it into others'."""
    return member.injected and member.managed and member.ring is not None and _labelled(member)


def managed_keys(members: Iterable[Member]) -> frozenset[tuple[str, str]]:
    """The Secrets to look for: (namespace, name) of every managed key that a pod takes."""
    return frozenset((m.namespace, m.key_secret) for m in members if not m.gone and _managed_key(m))


def doubtful(members: Iterable[Member], scope: Scope) -> frozenset[Ring]:
    """The rings of the namespace in whose lists there are addresses that no pod of it has: dead ones, or those of
    members elsewhere. Empty where that makes no difference, or is known.
    """
    if not scope.namespace or scope.shared is not None:
        return frozenset()
    rings: dict[Ring, list[Member]] = defaultdict(list)
    for m in members:
        if takes_part(m) and m.ring is not None and m.ring.namespace == scope.namespace:
            rings[m.ring].append(m)
    return frozenset(ring for ring, pods in rings.items() if draw(pods).strangers)


@dataclass(frozen=True, slots=True)
class _Known:
    """services: by ring, None when they may not be listed. holders: every live member's address -> the member."""

    services: Mapping[Ring, Mapping[str, Any]] | None
    secrets: Secrets
    scope: Scope
    holders: Mapping[str, Member]


class _Ring:
    """Everything about one ring. members: all that name it, sorted."""

    def __init__(self, ring: Ring, members: Sequence[Member], known: _Known) -> None:
        self.ring = ring
        self.members = members
        self.known = known
        self.in_part = known.scope.in_part(ring)
        self.present = [m for m in members if m.injected and not m.gone]
        self.graph = draw(m for m in members if takes_part(m))
        self.owners = {m.address: m for m in self.graph.nodes}
        self.first = self._first()
        self.object = (known.services or {}).get(ring)
        self.service = self._service()
        self.keys = self._keys()
        self.missing = {(k.namespace, k.secret) for k in self.keys if k.presence is Presence.MISSING}

    def status(self) -> RingStatus:
        findings = [*self._service_findings(), *self._key_findings(), *self._pod_findings(), *self._peer_findings()]
        findings += [*self._rollouts(), *self._rest()]
        return RingStatus(
            self.ring,
            self.in_part,
            self.service,
            self.keys,
            tuple(self._pod(m) for m in self.members),
            self.graph,
            tuple(findings),
        )

    def name(self, member: Member) -> str:
        """As short as it is clear beside the ring's name."""
        return short_name(member, self.ring.namespace)

    def finding(self, code: Code, message: str, pods: Iterable[Member] = ()) -> Finding:
        return Finding(code, message, tuple(map(full_name, pods)))

    # pods

    def _pod(self, m: Member) -> PodStatus:
        peers = tuple(Peer(a, m if a == m.address else self.owners.get(a)) for a in m.peers or ())
        return PodStatus(m, _state(m, waits=self._waits(m)), self._seeded(m), peers)

    def _first(self) -> Member | None:
        """The oldest, unless others live and none of them has been told of it."""
        nodes = self.graph.nodes
        oldest = min(nodes, key=lambda m: (m.created, m.uid), default=None)
        known = len(nodes) == 1 or any(other is oldest for others in self.graph.told.values() for other in others)
        return oldest if known else None

    def _waits(self, m: Member) -> bool:
        return (m.namespace, m.key_secret) in self.missing and m.running_since is None

    def _seeded(self, m: Member) -> Seeded:
        if m.uid not in self.graph.told:
            return Seeded.NONE
        if self.graph.told[m.uid]:
            return Seeded.YES
        if self.in_part and (m.uid in self.graph.strangers or len(self.graph.nodes) == 1):
            return Seeded.UNKNOWN
        return Seeded.FIRST if m is self.first and not self.in_part else Seeded.NO

    def _pod_findings(self) -> Iterable[Finding]:
        by_hand = [m for m in self.members if not m.injected and not m.gone]
        if by_hand:
            what = f"{self._names(by_hand)}: labelled habitat.sh/ring, but not injected"
            yield self.finding(Code.NOT_INJECTED, what, by_hand)
        unlabelled = [m for m in self.present if not _labelled(m)]
        if unlabelled:
            what = f"{self._names(unlabelled)}: injected, but the label habitat.sh/service is gone"
            yield self.finding(Code.LABEL_REMOVED, what, unlabelled)
        without = [m for m in self.present if m.running_since is not None and not m.address]
        if without:
            yield self.finding(Code.NO_IPV4, f"{self._names(without)}: running without an IPv4 address", without)

    def _names(self, pods: Sequence[Member]) -> str:
        return listed([self.name(m) for m in pods])

    # peers

    def _peer_findings(self) -> Iterable[Finding]:
        nodes, told, strangers = self.graph.nodes, self.graph.told, self.graph.strangers
        alone = [m for m in nodes if not told[m.uid] and not (self.in_part and m.uid in strangers)]
        if alone and len(nodes) > 1:
            others = f"{len(nodes) - 1} other {'pods live' if len(nodes) > 2 else 'pod lives'}"
            what = f"{self._names(alone)}: no live peer in the list, though {others} in the ring"
            yield self.finding(Code.NO_PEER, what, alone)
        own = [m for m in nodes if m.address in (m.peers or ())]
        if own:
            yield self.finding(Code.OWN_ADDRESS, f"{self._names(own)}: the list names the pod itself", own)
        yield from self._strangers()
        joined = self.graph.joined
        if len(joined) > 1 and not self.in_part:
            groups = " | ".join(self._names(group) for group in joined)
            lone = [m for group in joined[1:] for m in group]
            yield self.finding(Code.ISLANDS, f"{len(joined)} groups that do not name each other: {groups}", lone)

    def _strangers(self) -> Iterable[Finding]:
        """Addresses that no live pod of this ring has, and who names them."""
        named: dict[str, list[Member]] = defaultdict(list)
        for m in self.graph.nodes:
            for address in self.graph.strangers.get(m.uid, ()):
                named[address].append(m)
        holders = self.known.holders
        foreign = {a: f"which is {full_name(holders[a])} of the ring {holders[a].ring}" for a in named if a in holders}
        if foreign:
            yield self._named(Code.FOREIGN_PEER, foreign, named)
        dead = {a: self._whose(a) for a in named if a not in holders}
        if dead and not self.in_part:
            yield self._named(Code.DEAD_PEER, dead, named)

    def _whose(self, address: str) -> str:
        for m in self.members:
            if m.address == address and not m.live:
                return f"which is {self.name(m)}, a pod that is going"
            if m.address == address and not takes_part(m):
                return f"which is {self.name(m)}, no member"
        return "which no live pod of the ring has"

    def _named(self, code: Code, whose: Mapping[str, str], named: Mapping[str, Sequence[Member]]) -> Finding:
        said = [f"{address}, {text}, is named by {self._names(named[address])}" for address, text in whose.items()]
        return self.finding(code, clauses(said), dict.fromkeys(m for address in whose for m in named[address]))

    # the Service

    def _service(self) -> ServiceStatus:
        unseen = self.known.scope.namespace not in ("", self.ring.namespace)
        if self.known.services is None or unseen:
            return ServiceStatus(Presence.UNCHECKED)
        if self.object is None:
            return ServiceStatus(Presence.MISSING if self.present else Presence.UNNEEDED)
        drift = tuple(service.drift(self.object))
        if not service.is_ours(self.object):
            return ServiceStatus(Presence.FOREIGN, drift)
        return ServiceStatus(Presence.DRIFTED if drift else Presence.PRESENT, drift)

    def _service_findings(self) -> Iterable[Finding]:
        name, presence = f"{self.ring.namespace}/{self.ring.service}", self.service.presence
        if presence is Presence.MISSING:
            yield self.finding(Code.SERVICE_MISSING, f"there is no Service {name}")
        elif presence is Presence.FOREIGN and self.present:
            yield self.finding(Code.SERVICE_FOREIGN, f"the Service {name} was not made by the controller")
        elif presence is Presence.DRIFTED:
            yield self.finding(Code.SERVICE_DRIFTED, f"the Service {name}: {'; '.join(self.service.drift)}")

    # keys

    def _keys(self) -> tuple[KeyStatus, ...]:
        found = {}
        for m in self.present:
            if m.key_secret:
                managed = _managed_key(m)
                there = self.known.secrets.get((m.namespace, m.key_secret)) if managed else None
                presence = {True: Presence.PRESENT, False: Presence.MISSING, None: Presence.UNCHECKED}[there]
                found[m.namespace, m.key_secret] = KeyStatus(m.namespace, m.key_secret, managed, presence)
        return tuple(found[place] for place in sorted(found))

    def _key_findings(self) -> Iterable[Finding]:
        for key in self.keys:
            if key.presence is Presence.MISSING:
                users = [m for m in self.present if (m.namespace, m.key_secret) == (key.namespace, key.secret)]
                yield self._missing_key(key, users)
                if waiting := [m for m in users if m.running_since is None]:
                    what = f"{self._names(waiting)}: waiting for the Secret {key.namespace}/{key.secret}"
                    yield self.finding(Code.WAITS_FOR_KEY, what, waiting)
        bare = [m for m in self.present if not m.key_secret]
        if bare and self.keys:
            what = f"{self._names(bare)}: without a ring key, though other pods of the ring have one"
            yield self.finding(Code.KEYS_DIFFER, what, bare)

    def _missing_key(self, key: KeyStatus, users: Sequence[Member]) -> Finding:
        where = f"the Secret {key.namespace}/{key.secret}"
        if key.namespace != self.ring.namespace:
            source = f"{self.ring.namespace}/{self.ring.key_secret_in(self.ring.namespace)}"
            what = f"{where} is not there; the controller copies it from {source}"
            return self.finding(Code.KEY_NOT_MADE, what, users)
        revision = service.key_revision(self.object) if self.object is not None else None
        started = any(m.started for m in self.present if _managed_key(m))
        standing = keys.judge(exists=False, revision_known=revision, started=started)
        if standing is keys.Standing.LOST:
            return self.finding(Code.KEY_LOST, keys.lost(self.ring, key.namespace, revision), users)
        return self.finding(Code.KEY_NOT_MADE, f"{where} is not there", users)

    # the rest

    def _rollouts(self) -> Iterable[Finding]:
        """By what is mounted: other configuration has other generations by nature."""
        sets: dict[tuple[str, str, str], list[Member]] = defaultdict(list)
        for m in self.present:
            if (m.config_map or m.config_secret) and m.generation is not None:
                sets[m.namespace, m.config_map, m.config_secret].append(m)
        for (_, config_map, secret), pods in sorted(sets.items()):
            have: dict[str, list[Member]] = defaultdict(list)
            for m in pods:
                have[m.generation or ""].append(m)
            if len(have) > 1:
                name = f"ConfigMap {config_map}" if config_map else f"Secret {secret}"
                parts = ", ".join(f"{generation}: {self._names(those)}" for generation, those in sorted(have.items()))
                yield self.finding(Code.ROLLOUT, f"{len(have)} versions of the {name} ({parts})", pods)

    def _rest(self) -> Iterable[Finding]:
        if self.in_part:
            yield self.finding(Code.SEEN_IN_PART, "members in other namespaces are not shown, -A shows them")
        if not self.members:
            where = "of this namespace " if self.known.scope.namespace else ""
            yield self.finding(Code.RING_EMPTY, f"no pod {where}is in this ring")


def _labelled(member: Member) -> bool:
    """Whether it has the label by which the controller finds it."""
    return not member.service.startswith(".")


def _managed_key(member: Member) -> bool:
    return member.ring is not None and member.key_secret == member.ring.key_secret_in(member.namespace)


def _state(m: Member, *, waits: bool) -> State:
    if m.gone:
        return State.GOING
    if not m.injected:
        return State.NOT_INJECTED
    if m.running_since is not None:
        return State.RUNNING
    if waits:
        return State.WAITS_FOR_KEY
    return State.RESTARTING if m.started else State.STARTING


def _outside(members: Sequence[Member], scope: Scope) -> Iterable[Finding]:
    present = [m for m in members if not m.gone]
    refused = [m for m in present if scope.refuses(m)]
    if refused:
        said = [f"{full_name(m)} names the ring {m.label}" for m in refused]
        yield Finding(Code.NOT_SHARED, f"not shared: {clauses(said)}", tuple(map(full_name, refused)))
    nameless = [m for m in present if m.label and m.ring is None]
    if nameless:
        said = [f"{full_name(m)} has habitat.sh/ring={m.label}" for m in nameless]
        yield Finding(Code.NOT_A_RING, f"no ring's name: {clauses(said)}", tuple(map(full_name, nameless)))
    unlabelled = [m for m in present if m.injected and m.managed and not m.label]
    if unlabelled:
        names = tuple(map(full_name, unlabelled))
        what = f"{listed(names)}: injected as a member of a ring, but the label habitat.sh/ring is gone"
        yield Finding(Code.LABEL_REMOVED, what, names)

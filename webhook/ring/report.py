"""What `habitat-webhook status` shows: rings with their Service, keys and pods, and what is wrong with each.

webhook/ring/diagnosis.py makes it; webhook/cli writes it as text, JSON and drawings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from webhook.ring.findings import Finding, Severity
from webhook.ring.graph import Graph
from webhook.ring.pods import Member
from webhook.rings import Ring


class State(Enum):
    """What a pod is doing, as far as its ring is concerned."""

    RUNNING = "running"
    RESTARTING = "restarting"
    STARTING = "starting"
    WAITS_FOR_KEY = "waits for key"
    GOING = "going"
    NOT_INJECTED = "not injected"


class Seeded(Enum):
    """Whether a Supervisor has been told of a live peer.

    FIRST: it has not, and is the oldest of its ring, alone there or known to others. UNKNOWN: its peers may be in
    namespaces that are not looked at. NONE: it gets no list (another discovery, or not live).
    """

    YES = "yes"
    FIRST = "first"
    NO = "no"
    UNKNOWN = "unknown"
    NONE = "none"


class Presence(Enum):
    """Of a Service or Secret. UNNEEDED: it is not there, and need not be."""

    PRESENT = "present"
    MISSING = "missing"
    FOREIGN = "foreign"
    DRIFTED = "drifted"
    UNNEEDED = "not needed"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Scope:
    """What was looked at.

    namespace: the only one, "" for all. shared: `--shared-rings` of the installation, None when not known.
    elsewhere: rings of the namespace that have members in others, or may have.
    """

    namespace: str = ""
    shared: frozenset[str] | None = None
    elsewhere: frozenset[Ring] = frozenset()

    def in_part(self, ring: Ring) -> bool:
        """Whether a ring may have members that were not looked at."""
        listed_as_shared = self.shared is not None and str(ring) in self.shared
        return bool(self.namespace) and (ring.namespace != self.namespace or ring in self.elsewhere or listed_as_shared)

    def refuses(self, member: Member) -> bool:
        """Whether the ring that a pod names is known not to be open to its namespace."""
        ring = member.ring
        return (
            ring is not None
            and self.shared is not None
            and ring.namespace != member.namespace
            and str(ring) not in self.shared
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """One entry of a list. pod: the live pod of the ring that has the address; None: nobody in sight."""

    address: str
    pod: Member | None


@dataclass(frozen=True, slots=True)
class PodStatus:
    """A pod; peers: its list as it is written."""

    member: Member
    state: State
    seeded: Seeded
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """drift: a sentence for each field that somebody has changed (webhook/ring/service.py)."""

    presence: Presence
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A Secret that pods of one namespace take the ring's key from.

    managed: the controller makes it; another one is the user's own, and is not looked at.
    """

    namespace: str
    secret: str
    managed: bool
    presence: Presence


@dataclass(frozen=True, slots=True)
class RingStatus:
    """One ring. in_part: it may have pods that were not looked at. keys: empty for a ring without any."""

    ring: Ring
    in_part: bool
    service: ServiceStatus
    keys: tuple[KeyStatus, ...]
    pods: tuple[PodStatus, ...]
    graph: Graph
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """rings: by namespace and name. outside: pods that are in none. findings: about these."""

    scope: Scope
    rings: tuple[RingStatus, ...]
    outside: tuple[PodStatus, ...]
    findings: tuple[Finding, ...]

    @property
    def every_finding(self) -> list[Finding]:
        """Of all rings, and of the pods that are in none."""
        return [*(f for ring in self.rings for f in ring.findings), *self.findings]

    def count(self, severity: Severity) -> int:
        """How many findings of a severity there are in all."""
        return sum(f.code.severity is severity for f in self.every_finding)


def full_name(member: Member) -> str:
    """A pod's "namespace/name"."""
    return f"{member.namespace}/{member.name}"


def short_name(member: Member, namespace: str | None) -> str:
    """A pod's name beside a namespace that is said already: with its own when that is another one."""
    return member.name if member.namespace == namespace else full_name(member)

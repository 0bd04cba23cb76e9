"""What can be wrong with a ring, as `habitat-webhook status` says it: stable codes, what each means, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Self

BY_CONTROLLER = "The ring controller mends this within seconds: does it run, and what does its log say?"
"""How the advice begins wherever that is so; said once is enough where several findings are listed."""


class Severity(Enum):
    """A note is no reason to do anything, and leaves the exit status 0."""

    ERROR = "error"
    NOTE = "note"


class Code(Enum):
    """One sort of finding: its stable code, its severity, what it means, and what to do ("" for nothing).

    Where the controller has an event about the same, the code is the event's reason. docs/troubleshooting.md has this
    table, and a test compares the two.
    """

    code: str
    severity: Severity
    meaning: str
    advice: str

    NO_PEER = (
        "NoPeer",
        Severity.ERROR,
        "A pod's list names no live pod of its ring, although others live.",
        BY_CONTROLLER + " Until then the Supervisor waits; it does not begin a ring of its own.",
    )
    ISLANDS = (
        "Islands",
        Severity.ERROR,
        "The lists make groups of pods that do not name each other: several rings where one should be.",
        (
            "Ask a Supervisor of each group, /census on port 9631. Where two groups do not know each other, no list "
            "can mend it: delete the pods of the smaller one, and their successors join the other."
        ),
    )
    DEAD_PEER = (
        "DeadPeer",
        Severity.ERROR,
        "A list names an address that no live pod of the ring has.",
        BY_CONTROLLER + " The cluster may give the address to a pod of another ring, and the two would merge; a "
        "ring key prevents that.",
    )
    FOREIGN_PEER = (
        "ForeignPeer",
        Severity.ERROR,
        "A list names a live pod of another ring: without a ring key the two merge.",
        BY_CONTROLLER + " Set habitat.sh/ring-key, so that it cannot happen.",
    )
    OWN_ADDRESS = (
        "OwnAddress",
        Severity.ERROR,
        "A list names the pod's own address. With no other in it, the Supervisor is alone for ever.",
        BY_CONTROLLER + " Delete the pod if its list had no other address: it does not read the next one.",
    )
    NO_IPV4 = (
        "NoIPv4",
        Severity.ERROR,
        "A pod runs and has no IPv4 address. Supervisors speak IPv4 only, so it is in no list and gets none.",
        "Run it where pods get IPv4 addresses: a dual-stack cluster, or an IPv4 one.",
    )
    NOT_INJECTED = (
        "NotInjected",
        Severity.ERROR,
        (
            "A pod has the label habitat.sh/ring, and the webhook has not injected it. The ring's Service selects it, "
            "the controller leaves it alone."
        ),
        "Annotate the pod template instead, habitat.sh/ring, and remove the label.",
    )
    LABEL_REMOVED = (
        "LabelRemoved",
        Severity.ERROR,
        (
            "A pod was injected as a member of a ring, and its label habitat.sh/ring or habitat.sh/service is gone, so "
            "that nobody keeps its list current."
        ),
        "Delete the pod; its successor has its labels.",
    )
    NOT_A_RING = (
        "NotARing",
        Severity.ERROR,
        "The label habitat.sh/ring of a pod is no ring's name, so it is in no ring.",
        "Remove the label, and annotate the pod template with habitat.sh/ring.",
    )
    NOT_SHARED = (
        "RingNotShared",
        Severity.ERROR,
        "A pod names a ring of another namespace that is not among --shared-rings, so it gets no peers.",
        (
            "Name a ring of its own namespace, or have the platform team add the ring to the --shared-rings of webhook "
            "and controller."
        ),
    )
    SERVICE_MISSING = (
        "ServiceMissing",
        Severity.ERROR,
        "The ring has pods and no Service: its DNS name does not resolve.",
        BY_CONTROLLER,
    )
    SERVICE_FOREIGN = (
        "ForeignService",
        Severity.ERROR,
        "Somebody else's Service has the name of the ring's, so the controller leaves it alone.",
        "Rename or delete it, or give the ring another name.",
    )
    SERVICE_DRIFTED = (
        "ServiceDrifted",
        Severity.ERROR,
        "Somebody has changed the ring's Service.",
        BY_CONTROLLER + " If something changes it again and again, exclude it there (GitOps, for instance).",
    )
    KEY_NOT_MADE = (
        "RingKeyNotMade",
        Severity.ERROR,
        "The Secret with the ring's managed key is not there yet.",
        BY_CONTROLLER,
    )
    KEY_LOST = (
        "RingKeyMissing",
        Severity.ERROR,
        (
            "The Secret with the ring's managed key is gone, although pods have used it. No other key is made, since "
            "that would split the ring."
        ),
        "Restore it from a pod that runs, or begin anew with all of them; the message says how.",
    )
    WAITS_FOR_KEY = (
        "WaitsForKey",
        Severity.ERROR,
        "A pod cannot start, because the Secret with the ring's managed key is not there.",
        "See what is said of the Secret. The pod starts by itself, some 10 seconds after it is there.",
    )
    KEYS_DIFFER = (
        "KeysDiffer",
        Severity.ERROR,
        "Some pods of the ring have a key and some have none: the two never join, and nothing else shows it.",
        "Give all of them the same habitat.sh/ring-key; begin with a new ring name rather than changing half of it.",
    )
    ROLLOUT = (
        "ConfigurationRollsOut",
        Severity.NOTE,
        (
            "Pods that mount the same configuration have been told of different versions of it: the change goes over "
            "the ring in waves."
        ),
        "",
    )
    SEEN_IN_PART = (
        "SeenInPart",
        Severity.NOTE,
        (
            "Pods of other namespaces may be in this ring, and are not shown. Whether an address that no pod here has "
            "is theirs, and whether there are islands, is not judged."
        ),
        "Ask with -A, which takes the right to list pods in all namespaces.",
    )
    RING_EMPTY = (
        "RingEmpty",
        Severity.NOTE,
        "The Service of a ring without pods. The controller removes it when the ring has been empty for a while.",
        "",
    )

    def __new__(cls, code: str, severity: Severity, meaning: str, advice: str) -> Self:
        made = object.__new__(cls)
        made._value_ = code
        made.code, made.severity, made.meaning, made.advice = code, severity, meaning, advice
        return made


@dataclass(frozen=True, slots=True)
class Finding:
    """One code about one ring. message: a sentence with names. pods: "namespace/name" of all that it is about."""

    code: Code
    message: str
    pods: tuple[str, ...] = ()


_NAMED = 3


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b and c", "a, b, c and 4 more"."""
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def clauses(sentences: Sequence[str]) -> str:
    """The same for what has commas of its own: "a; b; c; and 4 more"."""
    more = [f"and {len(sentences) - _NAMED} more"] if len(sentences) > _NAMED else []
    return "; ".join([*sentences[:_NAMED], *more])

"""What can be wrong, as `habitat-webhook doctor` says it: stable codes, what each means, what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from webhook.ring.findings import Severity
from webhook.ring.pods import Owner

NAMES_SHOWN = 3


class Trouble(Enum):
    """One sort of finding: its stable code, its severity, what it means, what to do, and whether a restart mends it.

    docs/doctor.md has this table, and a test compares the two.
    """

    code: str
    severity: Severity
    meaning: str
    advice: str
    restart: bool

    SLIPPED_THROUGH = (
        "SlippedThrough",
        Severity.ERROR,
        "A pod asks for an injection, and was created without one: before the webhook was there, or past it.",
        "Restart its workload: --fix, or kubectl rollout restart.",
        True,
    )
    STALE = (
        "Stale",
        Severity.ERROR,
        "A pod was injected otherwise than one that is created now would be.",
        "Restart its workload: --fix, or kubectl rollout restart.",
        True,
    )
    OTHER_VERSION = (
        "OtherVersion",
        Severity.NOTE,
        "A pod was injected by another version of the webhook than the one that runs.",
        "Nothing has to be done; its next restart brings it up to date, and so does --fix.",
        True,
    )
    REFUSED_TODAY = (
        "RefusedToday",
        Severity.ERROR,
        "A pod runs that the webhook would refuse: when it goes, its successor does not come.",
        "`habitat-webhook explain pod/NAME` says what is wrong with it.",
        False,
    )
    UNKNOWN_ANNOTATION = (
        "UnknownAnnotation",
        Severity.ERROR,
        "An annotation that no one reads, so that what it asks for does not happen.",
        "Mend its name; `habitat-webhook annotations` lists them all.",
        False,
    )
    MISPLACED_ANNOTATION = (
        "MisplacedAnnotation",
        Severity.ERROR,
        "An annotation that stands on the workload instead of its pod template, where it does nothing.",
        "Move it to the pod template's metadata.annotations.",
        False,
    )
    WEBHOOK_DOWN = (
        "WebhookDown",
        Severity.ERROR,
        "Nobody answers the calls of a webhook entry: its Service has no ready endpoint.",
        "`habitat-webhook check` looks closer.",
        False,
    )

    def __new__(cls, code: str, severity: Severity, meaning: str, advice: str, restart: bool) -> Self:  # noqa: FBT001
        made = object.__new__(cls)
        made._value_ = code
        made.code, made.severity, made.meaning, made.advice, made.restart = code, severity, meaning, advice, restart
        return made


@dataclass(slots=True)
class Finding:
    """One trouble of one object. pods: the first few that have it. more: how many others. owner: who makes the pods."""

    trouble: Trouble
    namespace: str
    about: str
    what: str
    owner: Owner | None = None
    pods: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, pod: str) -> None:
        """One more pod of the same owner with the same trouble."""
        if len(self.pods) < NAMES_SHOWN:
            self.pods.append(pod)
        else:
            self.more += 1

    @property
    def count(self) -> int:
        return len(self.pods) + self.more

    @property
    def message(self) -> str:
        """A sentence without a full stop."""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        if not self.pods:
            return f"{self.about}{where}: {self.what}"
        names = ", ".join(self.pods) + (f" and {self.more} more" if self.more else "")
        return f"{self.about}{where}, {self.count} pod{'s'[: self.count != 1]} ({names}): {self.what}"

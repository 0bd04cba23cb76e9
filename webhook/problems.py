"""What a user has to mend: one Problem a mistake, collected so that all are said at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

SHOWN = 60
WARNING_LIMIT = 120
"""Characters; kubernetes/api asks for it (admission/v1 types.go, `warnings`)."""


def shown(value: object) -> str:
    """A value as a message shows it: one line, quoted, control characters escaped, at most 60 characters."""
    text = value if isinstance(value, str) else repr(value)
    cut = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return f'"{one_line(cut)}"'


def one_line(text: str) -> str:
    """A text without control characters: each is written as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant, "" when none is near; bounded, however long the name is."""
    return next(iter(get_close_matches(name[:SHOWN], list(known), n=1)), "")


def caution(text: str) -> str:
    """A warning's text, cut to the 120 characters that every client shows."""
    return text if len(text) <= WARNING_LIMIT else text[: WARNING_LIMIT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of the user's.

    where: the annotation ("habitat.sh/group") or the field ("spec.containers[redis].args").
    what: what is wrong, the value shortened.
    allowed: what is allowed, or what to do next.
    rule: the rule of the policy that does not allow it, "" for a mistake.
    """

    where: str
    what: str
    allowed: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.allowed}"

    @property
    def field(self) -> str:
        """The field path for `status.details.causes`."""
        return f"metadata.annotations[{self.where}]" if self.where.startswith("habitat.sh/") else self.where


Unmet = tuple[str, str]
"""A policy's rule that a pod does not meet, and its action: ("policy rule production", "enforce")."""


@dataclass(slots=True)
class Findings:
    """Everything to tell the user, collected while reading; `audit` is for the audit log alone, `unmet` for metrics."""

    problems: list[Problem]
    warnings: list[str]
    audit: list[str] = field(default_factory=list)
    unmet: list[Unmet] = field(default_factory=list)

    def problem(self, where: str, what: str, allowed: str, *, rule: str = "") -> None:
        self.problems.append(Problem(one_line(where), what, allowed, rule))

    def warn(self, text: str) -> None:
        self.warnings.append(caution(text))

"""What a check says, and how one is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.check.seen import Seen


class Level(StrEnum):
    """warn: it works, but somebody should know; also what may not be looked at. fail: somebody has to do something."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """The answer of one check. message: a sentence without a full stop. hint: what to do, "" for the check's own."""

    level: Level
    message: str
    hint: str = ""


Answer = Callable[["Seen"], Line]


@dataclass(frozen=True, slots=True)
class Check:
    """One check, declared once: `check` prints it, docs/check.md has a section of it, and messages link there.

    name: stable, also the anchor. question: what it answers. hint: what to do where it does not succeed.
    """

    name: str
    question: str
    hint: str
    answer: Answer

    @property
    def page(self) -> str:
        """Where to read on, below the documentation's address."""
        return f"check.md#{self.name}"


CHECKS: list[Check] = []
"""In the order in which they are asked and shown."""


def check(name: str, question: str, hint: str) -> Callable[[Answer], Answer]:
    """A decorator: what answers the question, out of what is seen; it may raise ApiError."""

    def register(answer: Answer) -> Answer:
        CHECKS.append(Check(name, question, hint, answer))
        return answer

    return register


def ok(message: str) -> Line:
    """All is well."""
    return Line(Level.OK, message)


def warn(message: str, hint: str = "") -> Line:
    """It works, but."""
    return Line(Level.WARN, message, hint)


def fail(message: str, hint: str = "") -> Line:
    """It does not work."""
    return Line(Level.FAIL, message, hint)

"""All checks at once, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webhook.check import checks
from webhook.check.line import CHECKS, Check, Level, Line, fail, warn
from webhook.check.seen import Seen
from webhook.kube.client import ApiError
from webhook.kube.errors import NO_ANSWER

__all__ = ["CHECKS", "Result", "as_json", "carry_out", "checks"]

VERSION = 1
"""Of the JSON. Raised when something that is there changes its meaning or goes; not when something is added."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one check said."""

    check: Check
    line: Line

    @property
    def hint(self) -> str:
        """What to do, "" where there is nothing to do."""
        return "" if self.line.level is Level.OK else self.line.hint or self.check.hint


def carry_out(seen: Seen) -> list[Result]:
    """Every check. Raises ApiError when the API server does not answer, or does not know the user."""
    return [Result(check, _line(check, seen)) for check in CHECKS]


def _line(check: Check, seen: Seen) -> Line:
    try:
        return check.answer(seen)
    except ApiError as error:
        if error.status in (NO_ANSWER, 401):
            raise
        if error.status == 403:
            return warn(f"not checked, you may not look: {error.message}", "Let somebody check who may.")
        return fail(f"not checked: {error}")


def worst(results: Sequence[Result]) -> Level:
    """The worst of what was said."""
    levels = {result.line.level for result in results}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def as_json(results: Sequence[Result], docs_url: str) -> dict[str, Any]:
    """The results as JSON values."""
    return {
        "version": VERSION,
        "ok": worst(results) is not Level.FAIL,
        "checks": [
            {
                "check": r.check.name,
                "question": r.check.question,
                "level": r.line.level.value,
                "message": r.line.message,
                "hint": r.hint,
                "docs": f"{docs_url}/{r.check.page}",
            }
            for r in results
        ],
    }

"""What happened to each object, for the person who ran the command: a line, its problems and warnings below."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import click


class Status(Enum):
    """What became of an object, and the colour of it on a terminal."""

    CHANGED = "green"
    SKIPPED = "yellow"
    INVALID = "red"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object's part of the report.

    label: "Deployment/redis". headline: "injected into container redis: 14 operations". details: word and text of each
    line that is neither a problem nor a warning. note: what holds for several objects alike; it is said once, below all
    of them.
    """

    label: str
    status: Status
    headline: str
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    note: str = ""
    details: tuple[tuple[str, str], ...] = ()

    def lines(self) -> Iterable[str]:
        yield f"{click.style(self.label, bold=True)}: {click.style(self.headline, fg=self.status.value)}"
        for word, text in self.details:
            yield f"  {word}: {_indented(text)}"
        for problem in self.problems:
            yield f"  {click.style('error:', fg='red')} {_indented(problem)}"
        for warning in self.warnings:
            yield f"  {click.style('warning:', fg='yellow')} {_indented(warning)}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def render(entries: Sequence[Entry], verb: str) -> str:
    """The whole report; a line of totals ends it when there is more than one object. `verb`: "injected"."""
    lines = [line for entry in entries for line in entry.lines()]
    if len(entries) > 1:
        counts = {status: sum(entry.status is status for entry in entries) for status in Status}
        totals = [f"{counts[Status.CHANGED]} {verb}", f"{counts[Status.SKIPPED]} skipped"]
        if counts[Status.INVALID]:
            totals.append(f"{counts[Status.INVALID]} with errors")
        lines.append(f"{len(entries)} objects: {', '.join(totals)}")
    notes = dict.fromkeys(entry.note for entry in entries if entry.note)
    lines += [f"{click.style('note:', fg='yellow')} {note}" for note in notes]
    return "\n".join(lines)


def say(text: str, *, err: bool) -> None:
    """Print with colour on a terminal only, and never when NO_COLOR is set (no-color.org)."""
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)

"""The one table that a run prints, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target of design.md §11, and whether this run met it."""

    name: str
    measured: str
    limit: str
    met: bool

    @property
    def word(self) -> str:
        return "MET" if self.met else "MISSED"

    def cell(self) -> str:
        return f"{self.limit}: {self.word}"


def at_most(name: str, measured: float, limit: float, unit: str, source: str = "") -> Verdict:
    """A verdict on a figure that must not be above a limit."""
    told = f"≤ {limit:.3g}{unit}{f' ({source})' if source else ''}"
    return Verdict(name, f"{measured:.3g}{unit}", told, measured <= limit)


@dataclass(slots=True)
class Section:
    """One part of the table. The first `text_columns` of the columns are words, the others figures.

    rows are as long as columns; each has its verdicts beside it. data: the same, with every round, for `-o json`.
    """

    letter: str
    title: str
    columns: Sequence[str]
    text_columns: int
    rows: list[list[str]] = field(default_factory=list)
    verdicts: list[list[Verdict]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)

    def add(self, cells: Iterable[str], verdicts: Iterable[Verdict], data: dict[str, Any]) -> None:
        self.rows.append(list(cells))
        self.verdicts.append(list(verdicts))
        self.data.append(data)


def table(sections: Sequence[Section], machine: dict[str, str]) -> str:
    """Everything, as text for a terminal of about 140 columns."""
    lines = [f"{name}: {value}" for name, value in machine.items()]
    for section in sections:
        lines += [
            "",
            f"({section.letter}) {section.title}",
            *_grid(section),
            *(
                line
                for note in section.notes
                for line in wrap(note, 120, initial_indent="    ", subsequent_indent="      ")
            ),
        ]
    return "\n".join([*lines, "", *_totals(sections)])


def markdown(section: Section, machine: dict[str, str]) -> str:
    """One section for a page of the documentation: the table, what it means, and the targets."""
    rows = [[*section.columns], *section.rows]
    aligned = ["---" if at < section.text_columns else "---:" for at in range(len(section.columns))]
    verdicts = [verdict for row in section.verdicts for verdict in row]
    return "\n".join(
        [
            *(f"| {' | '.join(row)} |" for row in (rows[0], aligned, *rows[1:])),
            "",
            *(f"- {note}" for note in section.notes),
            "",
            *(f"- {v.name}: {v.measured}, asked for {v.limit}: {v.word}" for v in verdicts),
            "",
            "; ".join(f"{name}: {value}" for name, value in machine.items()) + ".",
        ]
    )


def _grid(section: Section) -> list[str]:
    rows = [[*section.columns, "target"]]
    for cells, verdicts in zip(section.rows, section.verdicts, strict=True):
        rows.append([*cells, verdicts[0].cell() if verdicts else ""])
        rows += [[*[""] * len(cells), verdict.cell()] for verdict in verdicts[1:]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths, section.text_columns) for row in rows]
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def _line(row: Sequence[str], widths: Sequence[int], text_columns: int) -> str:
    last = len(row) - 1
    cells = [
        cell.ljust(width) if column < text_columns or column == last else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return _GAP.join(cells).rstrip()


def _totals(sections: Sequence[Section]) -> list[str]:
    verdicts = [verdict for section in sections for row in section.verdicts for verdict in row]
    if not verdicts:
        return ["No target of design.md §11 was measured in this run."]
    missed = [verdict for verdict in verdicts if not verdict.met]
    return [
        f"Targets (design.md §11): {len(verdicts) - len(missed)} MET, {len(missed)} MISSED.",
        *(f"  {v.word}: {v.name}: {v.measured}, asked for {v.limit}" for v in missed),
    ]


def document(sections: Sequence[Section], machine: dict[str, str]) -> dict[str, Any]:
    """For `-o json`: the machine, every figure of every round, and the verdicts."""
    return {
        "machine": machine,
        "sections": {section.letter: {"title": section.title, "figures": section.data} for section in sections},
        "targets": [
            {"name": v.name, "measured": v.measured, "limit": v.limit, "met": v.met}
            for section in sections
            for row in section.verdicts
            for v in row
        ],
    }

"""An explanation as text for a person, and as JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from webhook import __version__
from webhook.admission.explanation import Explanation, Live, Result
from webhook.admission.matching import Match, Verdict
from webhook.admission.parts import PARTS, short
from webhook.decide import ARGS, BUILT_IN, ENV, POD

VERSION = 1
"""Of the JSON. Raised when something that is there changes its meaning or goes; not when something is added."""

_COLOURS = {Result.INJECTED: "green", Result.LEFT_ALONE: "yellow", Result.REFUSED: "red", Result.UNKNOWN: "yellow"}
_MATCHES = {Match.SENT: "green", Match.REFUSED: "red", Match.UNKNOWN: "yellow"}
_SOURCES = {
    POD: "annotation of the pod",
    ARGS: "args of the container",
    ENV: "env of the container",
    BUILT_IN: "built-in default",
}
_DIFFERENCES_SHOWN = 5


def as_text(made: Explanation) -> str:
    """Several lines, without a newline at the end; with colours, which `say` takes out where nobody wants them."""
    return "\n".join(_lines(made))


def _lines(made: Explanation) -> Iterator[str]:
    subject = made.subject
    result = click.style(f"{made.result.value} ({made.code})", fg=_COLOURS[made.result])
    yield f"{click.style(subject.label, bold=True)} in namespace {subject.namespace}: {result}"
    yield f"  {made.sentence}"
    if made.advice:
        yield f"  {made.advice}"
    yield from (f"  {click.style('error:', fg='red')} {line}" for line in problems(made))
    yield from (f"  {click.style('warning:', fg='yellow')} {line}" for line in made.warnings)
    yield from _block("does the API server ask the webhook?", [_verdict(v) for v in made.verdicts])
    if made.live:
        yield from _block("this pod", list(_live(made.live)))
    yield from _block(
        "settings, and who said them", _columns([(v.option, short(v.value), source(v.source)) for v in made.values])
    )
    yield from _block("rules of the policy", _columns([(name, why or "holds") for name, why in made.rules]))
    lines = [(part, line) for part in PARTS for line in made.parts.get(part, ())]
    container = f" (container {made.outcome.container})" if made.outcome.container else ""
    yield from _block(f"what is put in{container}", _columns(lines))


def source(said: str) -> str:
    """Who said a value, in words."""
    return _SOURCES.get(said, said)


def problems(made: Explanation) -> list[str]:
    """Each problem as the user reads it in the API server's answer."""
    return made.outcome.message().split("\n- ")[1:] if made.outcome.problems else []


def _verdict(v: Verdict) -> str:
    match = click.style(f"{v.match.value:<8}", fg=_MATCHES.get(v.match))
    by = f"{v.by}: " if v.by else ""
    what = f"{v.request.operation} {v.request.resource.plural}"
    return f"{match}  {v.entry.configuration}/{v.entry.name}, {what}: {by}{v.why}"


def _live(made: Live) -> Iterator[str]:
    if made.made is None:
        yield "it was not injected: it carries no habitat.sh/injected"
        return
    yield f"injected by version {made.made.version} into container {made.made.container}, settings {made.made.digest}"
    if made.differs is None:
        yield "today it would not be injected"
    elif made.differs:
        shown = ", ".join(made.differs[:_DIFFERENCES_SHOWN]) + ", …" * (len(made.differs) > _DIFFERENCES_SHOWN)
        yield f"version {__version__} would make another one, settings {made.digest}: {shown}"
    else:
        yield f"version {__version__} would make the same"


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"  {click.style(title, bold=True)}"
        yield from (f"    {line}" for line in lines)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_json(made: Explanation) -> dict[str, Any]:
    """The explanation as JSON values."""
    return {
        "object": made.subject.label,
        "namespace": made.subject.namespace,
        "namespaceLabels": dict(made.labels) if made.labels is not None else None,
        "result": made.result.value,
        "reason": made.code,
        "message": made.sentence,
        "advice": made.advice,
        "problems": problems(made),
        "warnings": made.warnings,
        "entries": [
            {
                "kind": v.entry.kind,
                "configuration": v.entry.configuration,
                "entry": v.entry.name,
                "operation": v.request.operation,
                "resource": v.request.resource.plural,
                "match": v.match.value,
                "decidedBy": v.by or None,
                "message": v.why,
            }
            for v in made.verdicts
        ],
        "rules": [{"name": name, "matched": not why, "because": why or None} for name, why in made.rules],
        "container": made.outcome.container or None,
        "values": [{"option": v.option, "value": v.value, "source": v.source} for v in made.values],
        "injected": {part: list(made.parts.get(part, ())) for part in PARTS},
        "live": _live_json(made.live) if made.live else None,
    }


def _live_json(made: Live) -> dict[str, Any]:
    was = made.made
    return {
        "injected": {"version": was.version, "container": was.container, "digest": was.digest} if was else None,
        "digestToday": made.digest or None,
        "sameToday": None if was is None or made.differs is None else not made.differs,
        "differs": list(made.differs or ()),
    }

"""A report on rings as a tree with columns, for a person."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from webhook.ring.findings import BY_CONTROLLER, Finding, Severity
from webhook.ring.report import KeyStatus, PodStatus, Presence, Report, RingStatus, Seeded, State, short_name

_BRANCH, _LAST, _STEM, _NOTHING = "├─ ", "└─ ", "│  ", "   "
_SHORT_GENERATION = 8
_LEAST_WIDTH = 60

_STATE_COLOURS = {State.RUNNING: "green", State.GOING: "bright_black", State.NOT_INJECTED: "red"}
_SEEDED_COLOURS = {Seeded.YES: "green", Seeded.FIRST: "green", Seeded.NO: "red"}
_PRESENCE_COLOURS = {
    Presence.PRESENT: "green",
    Presence.MISSING: "red",
    Presence.FOREIGN: "red",
    Presence.DRIFTED: "red",
}
_SEVERITY_COLOURS = {Severity.ERROR: "red", Severity.NOTE: "yellow"}


@dataclass(frozen=True, slots=True)
class Style:
    """How to write. width: of the terminal, None for as wide as it comes. wide: more columns, nothing shortened.
    now: seconds since the epoch, for ages. program: how the command line is called.
    """

    now: float
    wide: bool = False
    width: int | None = None
    colour: bool = False
    program: str = "habitat-webhook"

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        """The text in a colour, where there is any."""
        return click.style(text, fg=colour, bold=bold or None) if self.colour and (colour or bold) else text


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    colour: str | None = None


def render(report: Report, style: Style) -> str:
    """The whole text; it ends with a line of totals, and without a newline."""
    blocks = [list(_ring(ring, style)) for ring in report.rings]
    if report.outside:
        blocks.append(list(_outside(report, style)))
    if not blocks:
        return _nothing(report, style)
    end = [totals(report, style)]
    if any(f.code.advice.startswith(BY_CONTROLLER) for f in report.every_finding):
        end += _wrapped(BY_CONTROLLER.replace("this", "what is wrong with lists, Services and keys"), style)
    return "\n\n".join("\n".join(block) for block in [*blocks, end])


def totals(report: Report, style: Style) -> str:
    """Such as "2 rings, 7 pods: 1 error, 1 note"."""
    pods = len(report.outside) + sum(len(ring.pods) for ring in report.rings)
    found = [_number(report.count(s), s.value) for s in Severity if report.count(s)]
    severity = Severity.ERROR if report.count(Severity.ERROR) else Severity.NOTE
    verdict = style.paint(", ".join(found), _SEVERITY_COLOURS[severity]) if found else "nothing is wrong"
    return f"{_number(len(report.rings), 'ring')}, {_number(pods, 'pod')}: {verdict}"


def _nothing(report: Report, style: Style) -> str:
    if not report.scope.namespace:
        return "no pod of any namespace is injected"
    return (
        f"no pod of namespace {report.scope.namespace} is injected; "
        f"-n NAME looks into another namespace, -A into all: {style.program} status -A"
    )


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s'[: count != 1]}"


def age(seconds: float) -> str:
    """As kubectl writes it (apimachinery's HumanDuration): "45s", "3m10s", "2h5m", "3d4h", "400d"."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 2 * 60:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _two(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _two(first: int, unit: str, second: int, part: str) -> str:
    return f"{first}{unit}" + (f"{second}{part}" if second else "")


# a ring


def _ring(status: RingStatus, style: Style) -> Iterator[str]:
    members = [p for p in status.pods if p.state not in (State.GOING, State.NOT_INJECTED)]
    seeded = sum(p.seeded in (Seeded.YES, Seeded.FIRST) for p in members)
    ready = sum(p.member.ready for p in members)
    counts = f"{_number(len(members), 'pod')}, {seeded} seeded, {ready} ready"
    name = style.paint(f"ring {status.ring.name}", bold=True)
    yield f"{name} in namespace {status.ring.namespace}: {counts}"
    parts = [[_service(status, style)], *([line] for line in _keys(status, style))]
    parts += [_finding(f, style) for f in status.findings]
    yield from _branches(parts, more=bool(status.pods))

    yield from _table(status.pods, status.ring.namespace, style, in_part=status.in_part)


def _outside(report: Report, style: Style) -> Iterator[str]:
    yield f"{style.paint('in no ring', bold=True)}: {_number(len(report.outside), 'pod')}"
    yield from _branches([_finding(f, style) for f in report.findings], more=True)
    yield from _table(report.outside, report.scope.namespace, style, in_part=False)


def _branches(parts: Sequence[Sequence[str]], *, more: bool) -> Iterator[str]:
    """Each part's first line on a branch, the others below it. more: something follows on the same tree."""
    for number, (first, *rest) in enumerate(parts):
        last = not more and number == len(parts) - 1
        yield (_LAST if last else _BRANCH) + first
        for line in rest:
            yield (_NOTHING if last else _STEM) + line


def _service(status: RingStatus, style: Style) -> str:
    presence = status.service.presence
    said = style.paint(presence.value, _PRESENCE_COLOURS.get(presence))
    if presence is Presence.UNCHECKED:
        said += f" (it is in namespace {status.ring.namespace})" if status.in_part else " (no right to list Services)"
    return f"Service {status.ring.service}: {said}"


def _keys(status: RingStatus, style: Style) -> Iterator[str]:
    if not status.keys:
        yield "ring key: none"
    for key in status.keys:
        where = key.secret if key.namespace == status.ring.namespace else f"{key.namespace}/{key.secret}"
        yield f"ring key: {'managed, ' if key.managed else ''}Secret {where}: {_key_state(key, style)}"


def _key_state(key: KeyStatus, style: Style) -> str:
    if not key.managed:
        return "your own, not looked at"
    said = style.paint(key.presence.value, _PRESENCE_COLOURS.get(key.presence))
    return said + (" (no right to read Secrets)" if key.presence is Presence.UNCHECKED else "")


def _finding(finding: Finding, style: Style) -> list[str]:
    severity = finding.code.severity
    head = f"{severity.value} {finding.code.code}:"
    lines = _wrapped(f"{head} {finding.message}", style)
    lines[0] = style.paint(head, _SEVERITY_COLOURS[severity]) + lines[0].removeprefix(head)
    if advice := finding.code.advice.removeprefix(BY_CONTROLLER).strip():
        lines += ["  " + line for line in _wrapped(advice, style, less=2)]
    return lines


def _wrapped(text: str, style: Style, less: int = 0) -> list[str]:
    if style.width is None:
        return [text]
    width = max(_LEAST_WIDTH, style.width) - len(_BRANCH) - less
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


# the pods of a ring


def _table(pods: Sequence[PodStatus], beside: str | None, style: Style, *, in_part: bool) -> Iterator[str]:
    if not pods:
        return
    rows = list(_rows(pods, beside, style, in_part=in_part, addresses=True))
    if style.width is not None and not style.wide and _width(rows) + len(_BRANCH) > style.width:
        rows = list(_rows(pods, beside, style, in_part=in_part, addresses=False))
    widths = _widths(rows)
    for number, row in enumerate(rows):
        tree = _STEM if number == 0 else _LAST if number == len(rows) - 1 else _BRANCH
        padded = [style.paint(c.text, c.colour) + " " * (w - len(c.text)) for c, w in zip(row, widths, strict=True)]
        yield tree + "  ".join(padded).rstrip()


def _rows(
    pods: Sequence[PodStatus],
    beside: str | None,
    style: Style,
    *,
    in_part: bool,
    addresses: bool,
) -> Iterator[list[_Cell]]:
    """The heading, then a row for each pod. beside: the namespace that is said already. addresses: name the peers
    rather than count them.
    """
    configured = any(p.member.generation for p in pods)
    heading = ["POD", "STATE", "READY", "SEEDED", "AGE", "IP", "PEERS", *(["CONFIG"] if configured else [])]
    yield [_Cell(text) for text in heading + (["GROUP", "OWNER", "NODE"] if style.wide else [])]
    for pod in pods:
        m = pod.member
        going = pod.state is State.GOING
        row = [
            _Cell(short_name(m, beside)),
            _Cell(pod.state.value, _STATE_COLOURS.get(pod.state, "yellow")),
            _Cell("-") if going else _Cell("yes", "green") if m.ready else _Cell("no", "yellow"),
            _Cell("-" if pod.seeded is Seeded.NONE else pod.seeded.value, _SEEDED_COLOURS.get(pod.seeded)),
            _Cell(age(style.now - m.created)),
            _Cell(m.address or "-"),
            _peers(pod, in_part=in_part, addresses=addresses),
        ]
        if configured:
            generation = m.generation or "-"
            row.append(_Cell(generation if style.wide else generation[:_SHORT_GENERATION]))
        if style.wide:
            owner = f"{m.owner.kind}/{m.owner.name}" if m.owner.uid != m.uid else "-"
            row += [_Cell(m.service if m.injected else "-"), _Cell(owner), _Cell(m.node or "-")]
        yield row


def _peers(pod: PodStatus, *, in_part: bool, addresses: bool) -> _Cell:
    m = pod.member
    if pod.state in (State.GOING, State.NOT_INJECTED):
        return _Cell("-")
    if not m.managed:
        return _Cell("by DNS" if m.ring else "-")
    if not pod.peers:
        return _Cell("-" if pod.seeded is Seeded.NONE else "none", "red" if pod.seeded is Seeded.NO else None)
    good = [p for p in pod.peers if p.pod is not None and p.pod.uid != m.uid]
    colour = None if len(good) == len(pod.peers) or in_part else "red"
    if not addresses:
        return _Cell(f"{len(good)}" if len(good) == len(pod.peers) else f"{len(good)} of {len(pod.peers)}", colour)
    unknown = "(not seen)" if in_part else "(nobody's)"
    said = [p.address + (unknown if p.pod is None else "(its own)" if p.pod.uid == m.uid else "") for p in pod.peers]
    return _Cell(",".join(said), colour)


def _widths(rows: Sequence[Sequence[_Cell]]) -> list[int]:
    return [max(len(cell.text) for cell in column) for column in zip(*rows, strict=True)]


def _width(rows: Sequence[Sequence[_Cell]]) -> int:
    widths = _widths(rows)
    return sum(widths) + 2 * (len(widths) - 1)

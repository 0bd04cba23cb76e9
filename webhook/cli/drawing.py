"""The peer graph of rings as text, for Graphviz, and as an SVG of our own making: no other program is needed."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webhook.ring.pods import Member
from webhook.ring.report import PodStatus, RingStatus, Seeded, full_name, short_name

_GREEN, _RED, _GREY, _INK = "#2e7d32", "#c62828", "#9e9e9e", "#37474f"
_COLOURS = {Seeded.YES: _GREEN, Seeded.FIRST: _GREEN, Seeded.NO: _RED}


@dataclass(frozen=True, slots=True)
class Dot:
    """One place of a drawing: a pod, or an address that nobody in sight has.

    id: the same for no two in any drawing. name: "" for an address. pod: None likewise.
    """

    id: str
    name: str
    address: str
    colour: str
    said: str
    pod: Member | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A ring as dots and arrows. dots: those of one group side by side; arrows: pairs of ids, from whom is told to whom
    he is told of.
    """

    title: str
    dots: tuple[Dot, ...]
    arrows: tuple[tuple[str, str], ...]


def picture(status: RingStatus) -> Picture:
    """What is drawn of a ring: the live pods that have lists, and every address in these."""
    pods = {p.member.uid: p for p in status.pods}
    graph = status.graph
    dots = [_pod(status, pods[m.uid]) for group in graph.groups for m in group]
    arrows = [(full_name(m), full_name(other)) for m in graph.nodes for other in graph.told[m.uid]]
    said = "a pod that is not shown, or nobody's" if status.in_part else "nobody's"
    strangers: dict[str, Dot] = {}
    for m in graph.nodes:
        for address in graph.strangers.get(m.uid, ()):
            found = Dot(f"{status.ring}/{address}", "", address, _GREY, said)
            strangers.setdefault(address, found)
            arrows.append((full_name(m), found.id))
    return Picture(_title(status), (*dots, *strangers.values()), tuple(arrows))


def _title(status: RingStatus) -> str:
    pods, groups = len(status.graph.nodes), len(status.graph.groups)
    counted = f"{pods} live pod{'s'[: pods != 1]}, {groups} group{'s'[: groups != 1]}"
    return f"ring {status.ring.name} in namespace {status.ring.namespace}: {counted}"


def _pod(status: RingStatus, pod: PodStatus) -> Dot:
    m = pod.member
    seeded = {Seeded.YES: "seeded", Seeded.FIRST: "first of its ring", Seeded.NO: "not seeded"}
    said = f"{seeded.get(pod.seeded, 'its peers are not shown')}, {'ready' if m.ready else 'not ready'}"
    return Dot(full_name(m), short_name(m, status.ring.namespace), m.address, _COLOURS.get(pod.seeded, _GREY), said, m)


# text


def as_text(rings: Sequence[RingStatus]) -> str:
    """Each ring's groups, and in each line a pod and whom its list names."""
    return "\n\n".join("\n".join(_text(status)) for status in rings)


def _text(status: RingStatus) -> Iterator[str]:
    yield _title(status)
    graph = status.graph
    names = {m.uid: short_name(m, status.ring.namespace) for m in graph.nodes}
    left = max((len(name) for name in names.values()), default=0)
    middle = max((len(m.address) for m in graph.nodes), default=0)
    unknown = "not seen" if status.in_part else "nobody's"
    for number, group in enumerate(graph.groups, start=1):
        yield f"group {number}: {len(group)} pod{'s'[: len(group) != 1]}"
        for m in group:
            told = [names[other.uid] for other in graph.told[m.uid]]
            told += [f"{address} ({unknown})" for address in graph.strangers.get(m.uid, ())]
            yield f"  {names[m.uid]:{left}}  {m.address:{middle}}  -> {', '.join(told) or 'nobody'}"


# Graphviz


def as_dot(rings: Sequence[RingStatus]) -> str:
    """A directed graph in the DOT language, a cluster for each ring."""
    lines = [
        "digraph rings {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"];',
    ]
    for number, status in enumerate(rings):
        drawn = picture(status)
        lines += [f"  subgraph {_quoted(f'cluster_{number}')} {{", f"    label={_quoted(drawn.title)};"]
        for dot in drawn.dots:
            label = f"{dot.name}\n{dot.address}" if dot.name else dot.address
            dashed = "" if dot.name else ', style="rounded,dashed"'
            facts = f"label={_quoted(label)}, color={_quoted(dot.colour)}, tooltip={_quoted(dot.said)}{dashed}"
            lines.append(f"    {_quoted(dot.id)} [{facts}];")
        lines += [f"    {_quoted(a)} -> {_quoted(b)};" for a, b in drawn.arrows]
        lines.append("  }")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """A quoted ID of the DOT language, in which a line break of a label is an escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# SVG

_LETTER, _LINE = 6.8, 16.0
"""Width of a letter and height of a line, of a 12 px monospaced font."""
_DOT, _LABEL = 7.0, 14.0
"""Radius of a dot, and from its middle to its label."""
_TITLE, _MARGIN, _LEAST_WIDTH = 40.0, 24.0, 460.0
_FEW = 16
"""Up to so many dots have level labels; more have theirs turned outwards, like rays, which takes the least room."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a dot is, relative to the middle of its ring, and how its label leaves it. angle: of the label in radians,
    clockwise from the right.
    """

    x: float
    y: float
    angle: float

    @property
    def left(self) -> bool:
        return math.cos(self.angle) < -1e-9

    def end(self, length: float) -> tuple[float, float]:
        """Where a label of that length ends."""
        far = _LABEL + length
        return self.x + far * math.cos(self.angle), self.y + far * math.sin(self.angle)


def as_svg(rings: Sequence[RingStatus]) -> str:
    """One drawing below the other: the pods of a ring on a circle, their names around it, an arrow to each peer.

    Its size is in pixels, and it scales with its viewBox.
    """
    drawn = [(found := picture(status), _places(len(found.dots))) for status in rings]
    boxes = [_box(found, places) for found, places in drawn]
    width = max(
        _LEAST_WIDTH,
        *(
            max(2 * x, _length(found.title) * 1.3 + 2 * _MARGIN)
            for (found, _), (x, _, _) in zip(drawn, boxes, strict=True)
        ),
    )
    body: list[str] = []
    y = 0.0
    for (found, places), (_, above, below) in zip(drawn, boxes, strict=True):
        body += _ring(found, places, (width / 2, y + _TITLE + above), y + _TITLE * 0.65)
        y += _TITLE + above + below
    height = y + _TITLE
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="ui-monospace, monospace" font-size="12">',
            "<title>Habitat rings: who has been told of whom</title>",
            "<defs>",
            '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
            f'<path d="M0 0 8 4 0 8z" fill="{_INK}"/></marker>',
            "</defs>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *body,
            *_legend(y + _TITLE / 2),
            "</svg>",
        ]
    )


def _places(count: int) -> list[_Place]:
    """On a circle, clockwise from the top, so wide that no two labels touch."""
    if count == 1:
        return [_Place(0.0, 0.0, 0.0)]
    step = math.tau / max(1, count)
    few = count <= _FEW
    # Level labels on one side are closest at the top, or where an odd number has one at the very bottom.
    gap = min(math.cos(step / 2) - math.cos(step * 3 / 2), 1 - math.cos(step) if count % 2 else 2.0)
    circle = max(40.0, _LINE / gap if few and gap > 0 else count * _LINE / math.tau)
    places = []
    for number in range(count):
        angle = step * (number + 0.5) - math.pi / 2
        x, y = circle * math.cos(angle), circle * math.sin(angle)
        places.append(_Place(x, y, (0.0 if x > -1e-9 else math.pi) if few else angle))
    return places


def _box(drawn: Picture, places: Sequence[_Place]) -> tuple[float, float, float]:
    """How far a ring reaches from its middle: to either side, upwards, downwards."""
    ends = [place.end(_length(_label(dot))) for dot, place in zip(drawn.dots, places, strict=True)]
    ends += [(place.x, place.y) for place in places]
    aside = max((abs(x) for x, _ in ends), default=0.0)
    above, below = min((y for _, y in ends), default=0.0), max((y for _, y in ends), default=0.0)
    return aside + _MARGIN, _MARGIN - above, _MARGIN + below


def _length(text: str) -> float:
    return len(text) * _LETTER


def _label(dot: Dot) -> str:
    return f"{dot.name} {dot.address}".strip()


def _ring(drawn: Picture, places: Sequence[_Place], middle: tuple[float, float], title: float) -> Iterator[str]:
    x, y = middle
    at = {dot.id: (x + p.x, y + p.y) for dot, p in zip(drawn.dots, places, strict=True)}
    yield "<g>"
    yield (
        f'<text x="{x:.1f}" y="{title:.1f}" text-anchor="middle" font-size="15" font-weight="bold">'
        f"{html.escape(drawn.title)}</text>"
    )
    for a, b in drawn.arrows:
        yield _arrow(at[a], at[b], middle)
    for dot, place in zip(drawn.dots, places, strict=True):
        yield from _dot(dot, place, *at[dot.id])
    yield "</g>"


def _arrow(start: tuple[float, float], end: tuple[float, float], middle: tuple[float, float]) -> str:
    """Bent towards the middle of the ring, and a little aside, so that there and back are two lines."""
    (x1, y1), (x2, y2) = start, end
    length = math.dist(start, end) or 1.0
    inwards, aside = 0.2, 0.06
    bend = (
        (x1 + x2) / 2 * (1 - inwards) + middle[0] * inwards + (y2 - y1) * aside,
        (y1 + y2) / 2 * (1 - inwards) + middle[1] * inwards - (x2 - x1) * aside,
    )
    x1, y1 = _towards(start, bend, min(_DOT, length / 3))
    x2, y2 = _towards(end, bend, min(_DOT + 1, length / 3))
    path = f"M{x1:.1f} {y1:.1f}Q{bend[0]:.1f} {bend[1]:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="{_INK}" stroke-opacity="0.55" marker-end="url(#arrow)"/>'


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    share = distance / (math.dist(start, end) or 1.0)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _dot(dot: Dot, place: _Place, x: float, y: float) -> Iterator[str]:
    turned = math.degrees(place.angle) + (180 if place.left else 0)
    side, offset = ("end", -_LABEL) if place.left else ("start", _LABEL)
    fill, dashed = (dot.colour, "") if dot.pod else ("#ffffff", ' stroke-dasharray="3 2"')
    yield f"<g><title>{html.escape(f'{dot.id}: {dot.said}')}</title>"
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_DOT:g}" fill="{fill}" stroke="{dot.colour}"{dashed}/>'
    name = f'<tspan font-weight="bold">{html.escape(dot.name)}</tspan> ' if dot.name else ""
    yield (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate({turned:.1f})" x="{offset:g}" dy="4" '
        f'text-anchor="{side}">{name}{html.escape(dot.address)}</text></g>'
    )


def _legend(y: float) -> Iterator[str]:
    x = _MARGIN
    for colour, text in ((_GREEN, "seeded"), (_RED, "not seeded"), (_GREY, "no pod that is seen")):
        yield f'<circle cx="{x:g}" cy="{y:g}" r="{_DOT:g}" fill="{colour}"/>'
        yield f'<text x="{x + _LABEL:g}" y="{y + 4:g}">{text}</text>'
        x += 2 * _LABEL + _length(text) + _MARGIN / 2

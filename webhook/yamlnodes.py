"""YAML text as trees of nodes that know their place in the text, split into documents by the parser's own marks.

Built from PyYAML's event stream, not its loader: the events say where everything stands, plain scalars are resolved as
Kubernetes does (`scalars.py`), and nothing is ever constructed from a tag. Aliases are expanded when a value is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from webhook.scalars import Scalar, key_text, resolve_plain
from webhook.unreadable import Unreadable

MAX_DEPTH = 200
"""Levels of nesting; the deepest schemas of CustomResourceDefinitions have about 60."""

MAX_ALIASED = 100_000
"""Nodes that aliases may add to one document: more than any manifest needs, and little enough to expand at once."""

_LEAST_WITH_EXPONENT = 1e21  # encoding/json's floatEncoder
_PARSER = getattr(
    yaml, "CLoader", yaml.Loader
)  # libyaml where PyYAML was built with it: the same events, 20 times faster
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"
_IGNORED_TAGS = frozenset({None, "!", _CORE + "map", _CORE + "seq"})


@dataclass(slots=True, eq=False)
class Node:
    """One node; `start` and `end` are offsets into the whole text in characters, `line` and `column` count from 0.

    The end of a block collection is where the next token begins: comments lie between. `opaque`: written with an anchor
    or a tag, so that its text cannot be changed piece by piece. `size`: nodes below and including it, aliases expanded.
    """

    kind: Literal["scalar", "sequence", "mapping", "alias"]
    start: int
    end: int
    line: int
    column: int
    block: bool = False
    opaque: bool = False
    value: Scalar = None
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    target: Node | None = None
    merge: bool = False
    size: int = 1
    added: int = 0


@dataclass(slots=True)
class Part:
    """One document of a stream: its exact text with the comments before and after it, and the root of its tree.

    root is None for a text that holds comments only. offset: where the text begins in the stream. line: of the first
    token, from 0. explicit: begins with ---; directives: or with %YAML; closed: ends with `...`.
    """

    text: str
    root: Node | None
    offset: int = 0
    line: int = 0
    explicit: bool = False
    directives: bool = False
    closed: bool = False


def read_stream(text: str, source: str, *, most_nodes: int | None = None) -> list[Part]:
    """The documents of a YAML text; their texts joined are the text again. Raises Unreadable with line and column.

    most_nodes: how many nodes a document may have, for a reader that must not run out of memory; None for any number.
    """
    _refuse_unprintable(text, source)
    parts: list[Part] = []
    events = _events(text, source)
    for event in events:
        if _is(event, yaml.DocumentStartEvent):
            mark = event.start_mark
            part = Part("", None, mark.index if parts else 0, mark.line, explicit=event.explicit)
            part.directives = text.startswith("%", mark.index)
            part.root = _Composer(events, source, most_nodes).document()
            parts.append(part)
        elif _is(event, yaml.DocumentEndEvent):
            parts[-1].closed = event.explicit
    if not parts:
        return [Part(text, None)] if text else []
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        part.text = text[part.offset : following.offset if following else None]
    return parts


def _events(text: str, source: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_PARSER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise Unreadable(source, what, line=line, column=column, advice=_advice(text, line)) from error


def _is(event: Any, kind: type[Any]) -> bool:
    """Isinstance without narrowing: PyYAML's types call marks and flags optional that its parser always sets."""
    return isinstance(event, kind)


def _refuse_unprintable(text: str, source: str) -> None:
    """What libyaml refuses too, but with a byte for a place where a reader wants a line."""
    if found := _UNPRINTABLE.search(text):
        before = text[: found.start()]
        what = f"the character U+{ord(found[0]):04X} is not allowed in YAML"
        line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
        raise Unreadable(source, what, line=line, column=column, advice="write it escaped, in double quotes")


def _advice(text: str, line: int) -> str:
    lines = text.split("\n")
    shown = lines[line] if line < len(lines) else ""
    if "{{" in shown:
        return "this looks like a Helm template: render it first, helm template … | habitat-webhook inject -f -"
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        return "indent with spaces: YAML knows no tabs there"
    return ""


class _Composer:
    """Builds the tree of one document from its events."""

    def __init__(self, events: Iterator[Any], source: str, most_nodes: int | None) -> None:
        self._events = events
        self._source = source
        self._left = most_nodes
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()

    def document(self) -> Node:
        root = self._node(next(self._events), 0)
        if root.added > MAX_ALIASED:
            raise self._error(root, f"the aliases expand to {root.added} nodes", "write the document without aliases")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        node = Node("scalar", mark.index, event.end_mark.index, mark.line, mark.column)
        if depth > MAX_DEPTH:
            raise self._error(node, f"nested more than {MAX_DEPTH} levels deep", "no Kubernetes object is that deep")
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise self._error(node, "the document has too many values", "make it smaller")
        if _is(event, yaml.AliasEvent):
            return self._alias(event.anchor, node)
        node.opaque = event.anchor is not None or event.tag is not None
        if event.anchor is not None:
            self._open.add(event.anchor)
        if _is(event, yaml.ScalarEvent):
            self._scalar(event, node)
        else:
            self._collection(event, node, depth)
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, node: Node) -> Node:
        if anchor in self._open:
            raise self._error(node, f"the anchor &{anchor} contains itself", "write it without the alias")
        if anchor not in self._anchors:
            raise self._error(node, f"*{anchor} refers to no anchor before it", f"write &{anchor} where it is defined")
        node.kind, node.target = "alias", self._anchors[anchor]
        node.size = node.added = node.target.size
        return node

    def _scalar(self, event: Any, node: Node) -> None:
        plain = event.tag is None and event.implicit[0]
        node.block = event.style in ("|", ">")
        node.merge = event.value == "<<" and (plain or event.tag == _CORE + "merge")
        node.value = event.value if event.tag == "!" or node.merge else self._resolved(event, node, plain=plain)

    def _resolved(self, event: Any, node: Node, *, plain: bool) -> Scalar:
        text: str = event.value
        untagged = resolve_plain(text) if plain else text
        value = untagged if event.tag is None else self._tagged(event.tag, text, node)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(node, f"{text} has no place in JSON", "quote it when a text is meant")
        return value

    def _tagged(self, tag: str, text: str, node: Node) -> Scalar:
        """A scalar with a core tag; every other tag is refused rather than guessed at, !!binary above all."""
        name = tag.removeprefix(_CORE)
        if name in ("str", "timestamp"):
            return text
        value = resolve_plain(text)
        if name == "float" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
        if name in kinds:
            if type(value) is kinds[name]:
                return value
            raise self._error(node, f"{text!r} is not what its tag !!{name} says", "remove the tag")
        raise self._unknown_tag(tag, node)

    def _unknown_tag(self, tag: str, node: Node) -> Unreadable:
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        advice = "write the base64 text without the tag" if shown == "!!binary" else "remove the tag"
        return self._error(node, f"the tag {shown} means nothing to Kubernetes", advice)

    def _collection(self, event: Any, node: Node, depth: int) -> None:
        if event.tag not in _IGNORED_TAGS:
            raise self._unknown_tag(event.tag, node)
        node.block = not event.flow_style
        ends: type[Any]
        if _is(event, yaml.SequenceStartEvent):
            node.kind, ends = "sequence", yaml.SequenceEndEvent
        else:
            node.kind, ends = "mapping", yaml.MappingEndEvent
        children = []
        while not _is(following := next(self._events), ends):
            child = self._node(following, depth + 1)
            node.size += child.size
            node.added += child.added
            children.append(child)
        node.end = following.end_mark.index
        if node.kind == "sequence":
            node.items = children
        else:
            node.pairs = list(zip(children[::2], children[1::2], strict=True))

    def _error(self, node: Node, what: str, advice: str) -> Unreadable:
        return Unreadable(self._source, what, line=node.line, column=node.column, advice=advice)


def value_of(node: Node, source: str) -> Any:
    """The JSON value of a tree: what the API server would get. Raises Unreadable for duplicate or impossible keys."""
    if node.kind == "alias":
        return value_of(_target(node), source)
    if node.kind == "scalar":
        return _as_json(node.value)
    if node.kind == "sequence":
        return [value_of(item, source) for item in node.items]
    value: dict[str, Any] = {}
    merged: set[str] = set()
    places: dict[str, Node] = {}
    for key_node, value_node in node.pairs:
        if key_node.merge:
            if merged:
                raise _misplaced(source, key_node, "a second <<", "give one << a list of mappings")
            for key, inherited in _merged(value_node, source).items():
                if key in places:
                    what = f"<< would take the place of the key {key!r} above it"
                    raise _misplaced(source, key_node, what, "write << first: then every parser lets the key win")
                value[key] = inherited
                merged.add(key)
            continue
        key = key_of(key_node, source)
        if key in places:
            first = places[key]
            what = f"the key {key!r} is there already, on line {first.line + 1}"
            raise _misplaced(source, key_node, what, "remove one of the two")
        places[key] = key_node
        value[key] = value_of(value_node, source)
    return value


def _as_json(value: Scalar) -> Scalar:
    """Go writes the float of `replicas: 3e0` as 3, which an integer field takes; Python would write 3.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LEAST_WITH_EXPONENT:
        return int(value)
    return value


def key_of(node: Node, source: str) -> str:
    """The JSON key that a key node becomes. Raises Unreadable where it cannot be one."""
    plain = _target(node) if node.kind == "alias" else node
    if plain.kind != "scalar":
        advice = "a key is a text; if this is a template, with {{ … }}, render it first"
        raise _misplaced(source, node, f"a {plain.kind} as a key", advice)
    try:
        return key_text(plain.value)
    except ValueError as error:
        raise _misplaced(source, node, f"the key {error}", "quote it") from error


def _merged(node: Node, source: str) -> dict[str, Any]:
    """What `<<` adds: of several mappings the earlier one wins (yaml.org/type/merge.html)."""
    target = _target(node) if node.kind == "alias" else node
    added: dict[str, Any] = {}
    for item in target.items if target.kind == "sequence" else [target]:
        resolved = _target(item) if item.kind == "alias" else item
        if resolved.kind != "mapping":
            raise _misplaced(source, node, f"<< with a {resolved.kind}", "give it a mapping, or a list of mappings")
        for key, value in value_of(resolved, source).items():
            added.setdefault(key, value)
    return added


def _target(node: Node) -> Node:
    if node.target is None:
        raise AssertionError("an alias node without its target")
    return node.target


def _misplaced(source: str, node: Node, what: str, advice: str) -> Unreadable:
    return Unreadable(source, what, line=node.line, column=node.column, advice=advice)

"""What a node of a YAML file may be: each shape reads one strictly, and knows its JSON Schema.

A shape never raises for what a user wrote: it reports each mistake with its place and returns None, so that all of them
are said at once. What it returned is of use only when nothing was reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from webhook.problems import nearest, shown
from webhook.yamlnodes import Node

MOST_ISSUES = 50
"""Mistakes of one file that are kept; the others are counted."""

_SHOWN_NAMES = 12


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to say about a place in the file; line and column count from 1."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}"


@dataclass(slots=True)
class Report:
    """What was found while reading; `left_out` counts mistakes beyond MOST_ISSUES."""

    issues: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)
    left_out: int = 0

    def wrong(self, node: Node, what: str, advice: str) -> None:
        if len(self.issues) < MOST_ISSUES:
            self.issues.append(at(node, f"{what}; {advice}"))
        else:
            self.left_out += 1

    def warn(self, place: Issue | Node, text: str) -> None:
        line, column = (place.line + 1, place.column + 1) if isinstance(place, Node) else (place.line, place.column)
        if len(self.warnings) < MOST_ISSUES:
            self.warnings.append(Issue(line, column, text))


def at(node: Node, text: str) -> Issue:
    return Issue(node.line + 1, node.column + 1, text)


class Shape(Protocol):
    """One sort of node."""

    @property
    def said(self) -> str:
        """What it is, in a user's words: "a text"."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema, draft 2020-12."""

    def read(self, node: Node, report: Report) -> Any:
        """Its value; None where a mistake was reported."""


def _is(node: Node) -> str:
    """What a node is, for a message."""
    if node.kind != "scalar":
        return {"sequence": "a list", "mapping": "a map", "alias": "an alias"}[node.kind]
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the word {str(value).lower()}"
    return f"the text {shown(value)}" if isinstance(value, str) else f"the number {value}"


def plain(node: Node, report: Report) -> bool:
    """Whether a node has no alias, anchor or tag; reports one that has."""
    if node.kind == "alias" or node.opaque:
        report.wrong(
            node,
            "anchors, aliases and tags are not allowed here",
            "write the value out, in quotes if it begins with ! & or *",
        )
        return False
    return True


@dataclass(frozen=True, slots=True)
class Text:
    """A text that `check` takes: it raises ValueError, whose text says what is wrong. allowed: what to write."""

    said: str
    allowed: str
    check: Callable[[str], object] = str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "minLength": 1})

    def read(self, node: Node, report: Report) -> str | None:
        if not plain(node, report):
            return None
        value = node.value
        if node.kind != "scalar" or not isinstance(value, str) or not value:
            quote = "quote it" if node.kind == "scalar" and value is not None and value != "" else "write one"
            report.wrong(node, f"here has to be {self.said}, and this is {_is(node)}", f"{quote} ({self.allowed})")
            return None
        try:
            self.check(value)
        except ValueError as error:
            report.wrong(node, str(error), self.allowed)
            return None
        return value


def text(said: str, pattern: str, allowed: str, *, limit: int = 0) -> Text:
    """A text that matches a regular expression of ours as a whole."""
    compiled = re.compile(pattern)

    def check(value: str) -> None:
        if (limit and len(value) > limit) or not compiled.fullmatch(value):
            raise ValueError(f"{shown(value)} is not {said}")

    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return Text(said, allowed, check, schema | ({"maxLength": limit} if limit else {}))


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words; `true` among them is YAML's own."""

    words: tuple[str | bool, ...]

    @property
    def said(self) -> str:
        return " or ".join(map(_word, self.words))

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"enum": list(self.words)}

    def read(self, node: Node, report: Report) -> str | bool | None:
        if not plain(node, report):
            return None
        for word in self.words:
            if node.kind == "scalar" and type(node.value) is type(word) and node.value == word:
                return word
        meant = nearest(str(node.value), [w for w in self.words if isinstance(w, str)])
        hint = f"did you mean {meant}? " if meant else ""
        report.wrong(node, f"{_is(node)} is not known here", f"{hint}allowed: {', '.join(map(_word, self.words))}")
        return None


def _word(word: str | bool) -> str:  # noqa: FBT001 - a value of the file, no switch
    return str(word).lower() if isinstance(word, bool) else word


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from 0."""

    said: str = "a whole number"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "integer", "minimum": 0})

    def read(self, node: Node, report: Report) -> int | None:
        if not plain(node, report):
            return None
        if type(node.value) is int and node.kind == "scalar" and node.value >= 0:
            return node.value
        report.wrong(node, f"here has to be a whole number, and this is {_is(node)}", "write digits, without quotes")
        return None


@dataclass(frozen=True, slots=True)
class Many:
    """A list with at least one entry, unless it may be `empty`."""

    item: Shape
    most: int = 1000
    empty: bool = False

    @property
    def said(self) -> str:
        return f"list of {self.item.said.removeprefix('a ').removeprefix('an ')}"

    @property
    def schema(self) -> Mapping[str, Any]:
        least = {} if self.empty else {"minItems": 1}
        return {"type": "array", "items": self.item.schema, "maxItems": self.most} | least

    def read(self, node: Node, report: Report) -> tuple[Any, ...] | None:
        if not plain(node, report):
            return None
        if node.kind != "sequence":
            report.wrong(
                node, f"here has to be a list, and this is {_is(node)}", "write - before each entry, or [a, b]"
            )
            return None
        if not node.items and not self.empty:
            report.wrong(node, "the list is empty", "write an entry, or leave the key out")
        if len(node.items) > self.most:
            report.wrong(node, f"the list has {len(node.items)} entries", f"allowed: at most {self.most}")
            return None
        return tuple(self.item.read(item, report) for item in node.items)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object."""

    shape: Shape
    doc: str
    example: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands, and each of its values: for what is said of them later."""

    node: Node
    values: Mapping[str, Node]

    def of(self, key: str) -> Node:
        return self.values.get(key, self.node)


@dataclass(frozen=True, slots=True)
class Object:
    """A map with fixed keys. make: turns its values and its place into what it stands for."""

    name: str
    keys: Mapping[str, Key]
    make: Callable[[Mapping[str, Any], Place, Report], Any]

    @property
    def said(self) -> str:
        return f"a {self.name}"

    @property
    def schema(self) -> Mapping[str, Any]:
        properties = {name: {**key.shape.schema, "description": key.doc} for name, key in self.keys.items()}
        required = [name for name, key in self.keys.items() if key.required]
        made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
        return made | ({"required": required} if required else {})

    def read(self, node: Node, report: Report) -> Any:
        found = entries(node, report, self.said)
        if found is None:
            return None
        unknown(found, self.keys, report, self.said)
        values = {name: key.shape.read(found[name][1], report) for name, key in self.keys.items() if name in found}
        for name, key in self.keys.items():
            if key.required and name not in found:
                report.wrong(node, f"{self.said} needs the key {name}", f"write {name}: {key.example}".rstrip(": "))
        return self.make(values, Place(node, {name: value for name, (_, value) in found.items()}), report)


@dataclass(frozen=True, slots=True)
class Map:
    """A map whose keys are names. entry: the shape of a name's value; raises ValueError(what is wrong, advice)."""

    said: str
    entry: Callable[[str], Shape]
    schema: Mapping[str, Any]

    def read(self, node: Node, report: Report) -> dict[str, Any] | None:
        found = entries(node, report, self.said)
        if found is None:
            return None
        if not found:
            report.wrong(node, "the map is empty", "write an entry, or leave the key out")
        values: dict[str, Any] = {}
        for name, (key, value) in found.items():
            try:
                shape = self.entry(name)
            except ValueError as error:
                what, advice = error.args
                report.wrong(key, what, advice)
            else:
                values[name] = shape.read(value, report)
        return values


def entries(node: Node, report: Report, said: str) -> dict[str, tuple[Node, Node]] | None:
    """Key -> (its node, its value's); reports what is no map, no text as a key, and a key given twice."""
    if not plain(node, report):
        return None
    if node.kind != "mapping":
        report.wrong(node, f"here has to be {said}, and this is {_is(node)}", "write key: value")
        return None
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in node.pairs:
        if not plain(key, report):
            continue
        if key.merge:
            report.wrong(key, "<< is not allowed here", "write the keys out")
        elif key.kind != "scalar" or not isinstance(key.value, str):
            report.wrong(key, f"a key has to be a text, and this is {_is(key)}", "quote it")
        elif key.value in found:
            first = found[key.value][0]
            report.wrong(
                key, f"the key {shown(key.value)} is there already, on line {first.line + 1}", "remove one of the two"
            )
        else:
            found[key.value] = (key, value)
    return found


def unknown(found: Mapping[str, tuple[Node, Node]], known: Mapping[str, Any], report: Report, said: str) -> None:
    for name, (key, _) in found.items():
        if name not in known:
            report.wrong(key, f"{said} has no key {shown(name)}", near(name, tuple(known)))


def near(name: str, known: Sequence[str]) -> str:
    """Advice for a name that is not known."""
    if meant := nearest(name, known):
        return f"did you mean {meant}?"
    more = f" and {len(known) - _SHOWN_NAMES} more" if len(known) > _SHOWN_NAMES else ""
    return f"allowed: {', '.join(known[:_SHOWN_NAMES])}{more}"

"""The values of options in a policy's file, checked by the same kinds as annotations (`webhook/kinds.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook import kinds
from webhook.demands import Values
from webhook.globs import Glob
from webhook.options import BY_NAME, REGISTRY, Option
from webhook.policy.shapes import Key, Many, Map, Number, Object, Place, Report, Shape, Text, near, plain
from webhook.problems import shown
from webhook.yamlnodes import Node

NAMES = tuple(option.name for option in REGISTRY if "policy" in option.scope)
"""The options that a policy may speak of."""

_SCALAR = {"type": ["string", "integer"]}


def _text_of(node: Node, report: Report) -> str | None:
    """A value as an annotation would have it: a text, or a whole number's digits."""
    if not plain(node, report):
        return None
    if node.kind == "scalar":
        if isinstance(node.value, str):
            return node.value
        if type(node.value) is int:
            return str(node.value)
    what = "is not a text" if node.kind == "scalar" else "is no single value"
    report.wrong(node, f"the value {what}", 'quote it, as an annotation would be: "true"')
    return None


def _is_number(option: Option) -> bool:
    return option.kind in (kinds.PORT, kinds.SECONDS)


def _is_list(option: Option) -> bool:
    return isinstance(option.default, tuple)


def _words(option: Option) -> tuple[str, ...]:
    """The words that an option can be, () when there is no end to them."""
    return kinds.PROBE_NAMES if option.kind is kinds.PROBES else tuple(option.kind.schema.get("enum", ()))


@dataclass(frozen=True, slots=True)
class OptionValue:
    """One value of an option, for `defaults` and `force`; read as the text that an annotation would have."""

    option: Option

    @property
    def said(self) -> str:
        return self.option.kind.name

    @property
    def schema(self) -> Mapping[str, Any]:
        own: dict[str, Any] = dict(self.option.kind.schema)
        described = {"description": f"{self.option.doc} Value: {self.option.kind.allowed.removeprefix('allowed: ')}."}
        if _is_number(self.option):
            return {"anyOf": [own, {"type": "integer", "minimum": 1}]} | described
        if _is_list(self.option):
            return {"anyOf": [own, {"type": "array", "items": {"type": "string"}, "minItems": 1}]} | described
        return own | described

    def read(self, node: Node, report: Report) -> str | None:
        if node.kind == "sequence" and _is_list(self.option) and plain(node, report):
            texts = [_text_of(item, report) for item in node.items]
            text = None if None in texts else ",".join(map(str, texts))
        else:
            text = _text_of(node, report)
        if text is None:
            return None
        try:
            self.option.kind.parse(text)
        except ValueError as error:
            report.wrong(node, f"{self.option.name}: {error}", self.option.kind.allowed)
            return None
        return text


@dataclass(frozen=True, slots=True)
class OptionGlob:
    """One entry of a list of `allow` or `deny`: a value, or a pattern that values can match."""

    option: Option
    said: str = "a value or pattern"

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "integer", "minimum": 1} if _is_number(self.option) else {"type": "string", "minLength": 1}

    def read(self, node: Node, report: Report) -> Glob | None:
        text = _text_of(node, report)
        if text is None:
            return None
        glob, words = Glob.of(text), _words(self.option)
        if glob.literal is not None:
            try:
                self.option.kind.parse(text)
            except ValueError as error:
                report.wrong(node, f"{self.option.name}: {error}", self.option.kind.allowed)
        elif _is_number(self.option):
            report.wrong(
                node,
                f"{self.option.name} is a number, and {shown(text)} a pattern",
                "write {min: 1, max: 8}, or numbers",
            )
        elif words and not any(glob.matches(word) for word in words):
            report.wrong(
                node, f"{self.option.name}: {shown(text)} matches none of its values", f"they are: {', '.join(words)}"
            )
        return glob


def _range(values: Mapping[str, Any], place: Place, report: Report) -> Values:
    least, most = values.get("min"), values.get("max")
    if least is None and most is None and not report.issues:
        report.wrong(place.node, "a range needs min, max or both", "write {min: 1, max: 8}")
    if least is not None and most is not None and least > most:
        report.wrong(place.node, f"no number is from {least} to {most}", "swap them")
    return Values(least=least, most=most)


_RANGE = Object(
    "range", {"min": Key(Number(), "The least number."), "max": Key(Number(), "The greatest number.")}, _range
)


@dataclass(frozen=True, slots=True)
class OptionSet:
    """The values of one option that `allow` or `deny` names: a list of values and patterns, or a range of numbers."""

    option: Option
    said: str = "a list of values"

    @property
    def schema(self) -> Mapping[str, Any]:
        listed = Many(OptionGlob(self.option)).schema
        return {"anyOf": [listed, _RANGE.schema]} if _is_number(self.option) else listed

    def read(self, node: Node, report: Report) -> Values:
        if node.kind == "mapping" and _is_number(self.option):
            made: Values | None = _RANGE.read(node, report)
            return made or Values()
        globs = Many(OptionGlob(self.option)).read(node, report)
        return Values(tuple(glob for glob in globs or () if glob is not None))


def named(name: str) -> Option:
    """The option of a name. Raises ValueError(what is wrong, advice)."""
    if name in NAMES:
        return BY_NAME[name]
    bare = name.removeprefix("habitat.sh/")
    if bare in NAMES:
        raise ValueError(f"{shown(name)} has the annotations' prefix", f"write {bare}")
    if name == "inject":
        raise ValueError("inject is no option of a policy", "say inject: true or inject: never in the rule itself")
    raise ValueError(f"there is no option {shown(name)}", near(name, NAMES))


def _name_of(name: str) -> None:
    try:
        named(name)
    except ValueError as error:
        raise ValueError("; ".join(error.args)) from None


NAME = Text(
    "the name of an option", "allowed: the name of an annotation without habitat.sh/", _name_of, {"enum": list(NAMES)}
)


def by_option(said: str, shape: type[OptionValue | OptionSet]) -> Map:
    """A map from options to values or sets of values."""
    properties = {name: shape(BY_NAME[name]).schema for name in NAMES}
    schema = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}

    def entry(name: str) -> Shape:
        return shape(named(name))

    return Map(said, entry, schema)

"""Label selectors, as the API server evaluates them (apimachinery pkg/labels, metav1.LabelSelector).

A selector selects what fulfils each entry of matchLabels and each of matchExpressions; an empty one selects everything.
`NotIn` also holds where there is no such label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class SelectorError(ValueError):
    """A selector that is none; the text says where and what is allowed."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. values: empty exactly for Exists and DoesNotExist. where: its place, for messages."""

    key: str
    operator: str
    values: tuple[str, ...]
    where: str = ""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it."""
        match self.operator:
            case "In":
                return self.key in labels and labels[self.key] in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels

    def __str__(self) -> str:
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "NotIn" if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
            case "In" | "NotIn":
                return f"{self.key} {self.operator.lower()} ({', '.join(self.values)})"
            case "Exists":
                return self.key
            case _:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All its requirements have to hold."""

    requirements: tuple[Requirement, ...] = ()

    def unmet(self, labels: Mapping[str, str]) -> Requirement | None:
        """The first requirement that these labels do not fulfil; None when they are selected."""
        return next((r for r in self.requirements if not r.holds(labels)), None)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels are selected."""
        return self.unmet(labels) is None

    def __str__(self) -> str:
        return ", ".join(map(str, self.requirements)) or "everything"


def selector(raw: Mapping[str, Any] | None) -> Selector:
    """A metav1.LabelSelector; None and {} select everything. Raises SelectorError for what the API server refuses."""
    return Selector(tuple(_requirements(raw or {})))


def _requirements(raw: Mapping[str, Any]) -> Iterator[Requirement]:
    unknown = [key for key in raw if key not in ("matchLabels", "matchExpressions")]
    if unknown:
        raise SelectorError(f"{unknown[0]!r} is unknown in a label selector; allowed: matchLabels, matchExpressions")
    labels = raw.get("matchLabels") or {}
    if not isinstance(labels, Mapping) or not all(isinstance(v, str) for v in labels.values()):
        raise SelectorError("matchLabels is no map of texts")
    for key, value in labels.items():
        yield Requirement(key, "In", (value,), f"matchLabels.{key}")
    expressions = raw.get("matchExpressions") or ()
    if not isinstance(expressions, Sequence) or isinstance(expressions, str):
        raise SelectorError("matchExpressions is no list")
    for number, expression in enumerate(expressions):
        yield _expression(expression, f"matchExpressions[{number}]")


def _expression(raw: Any, where: str) -> Requirement:
    key, operator = (raw.get("key"), raw.get("operator")) if isinstance(raw, Mapping) else (None, None)
    if not isinstance(key, str) or not key:
        raise SelectorError(f"{where} has no key; it is an object with key, operator and values")
    if operator not in OPERATORS:
        raise SelectorError(f"{where}.operator is {operator!r}; allowed: {', '.join(OPERATORS)}")
    values = raw.get("values") or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SelectorError(f"{where}.values is no list of texts")
    if bool(values) != (operator in ("In", "NotIn")):
        need = "needs at least one value" if operator in ("In", "NotIn") else "takes no values"
        raise SelectorError(f"{where}.values: {operator} {need}")
    return Requirement(key, operator, tuple(values), where)

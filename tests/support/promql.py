"""What a PromQL expression reads: metrics, and the labels by which it chooses and groups them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import promql_parser


@dataclass(frozen=True, slots=True)
class Matcher:
    """op: "Equal", "NotEqual", "Re" or "NotRe"."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric that is read. grouped: the labels that the operators around it need."""

    name: str
    matchers: tuple[Matcher, ...]
    grouped: frozenset[str]

    @property
    def labels(self) -> frozenset[str]:
        return self.grouped | {m.label for m in self.matchers}


def selectors(expression: str) -> list[Selector]:
    """In the order in which they are written. Raises ValueError for what is no PromQL."""
    found: list[Selector] = []
    around: list[frozenset[str]] = []

    def enter(node: Any) -> None:
        around.append(_grouping(node))
        if isinstance(node, promql_parser.VectorSelector):
            matchers = tuple(Matcher(m.name, str(m.op).rpartition(".")[2], m.value) for m in node.matchers.matchers)
            found.append(Selector(node.name, matchers, frozenset().union(*around)))

    def leave(node: Any) -> None:
        around.pop()

    promql_parser.walk(promql_parser.parse(expression), pre_visit=enter, post_visit=leave)
    return found


def _grouping(node: Any) -> frozenset[str]:
    """The labels that an aggregation groups by, or that a binary operator matches on."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
        return frozenset(modifier.labels)
    if isinstance(node, promql_parser.BinaryExpr) and modifier is not None and modifier.matching is not None:
        return frozenset(modifier.matching.labels)
    return frozenset()

"""Cases that keep a policy under test: a workload and its namespace, and what is expected to become of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.decide import Reason
from webhook.globs import Glob
from webhook.policy.document import API_VERSION
from webhook.policy.judgement import Judgement
from webhook.policy.shapes import Key, Many, Map, Object, Place, Report, Text, Word, plain, text
from webhook.policy.values import named
from webhook.unreadable import Unreadable
from webhook.yamlnodes import Node, value_of

KIND = "PolicyTest"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is not None is checked. values: option name -> text. The lists of texts hold patterns; each text has to be
    matched, and each pattern has to match one.
    """

    decision: str | None = None
    reason: str | None = None
    rules: tuple[str, ...] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] | None = None
    warnings: tuple[str, ...] | None = None
    audit: tuple[str, ...] | None = None

    def differences(self, one: Judgement) -> Iterator[tuple[str, str, str]]:
        """(what, expected, found) of each thing that is otherwise."""
        for what, expected, found in (
            ("decision", self.decision, one.decision),
            ("reason", self.reason, one.outcome.reason.code),
        ):
            if expected is not None and expected != found:
                yield what, expected, found
        if self.rules is not None and self.rules != one.rules:
            yield "rules", ", ".join(self.rules) or "none", ", ".join(one.rules) or "none"
        for name, value in self.values.items():
            found, source = one.values.get(name, ("nothing", "nobody says it"))
            if found != value:
                yield f"values.{name}", value, f"{found} ({source})"
        yield from _texts("problems", self.problems, one.problems)
        yield from _texts("warnings", self.warnings, one.outcome.warnings)
        yield from _texts("audit", self.audit, one.outcome.audit)


def _texts(what: str, patterns: tuple[str, ...] | None, texts: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    if patterns is None:
        return
    globs = [Glob.of(pattern) for pattern in patterns]
    for glob in globs:
        if not any(map(glob.matches, texts)):
            yield what, str(glob), "\n".join(texts) or "none"
    for said in texts:
        if not any(glob.matches(said) for glob in globs):
            yield what, "nothing like it", said


@dataclass(frozen=True, slots=True)
class Case:
    """workload: the object, or the path of its file. namespace_labels: None when not known."""

    name: str
    workload: Any
    file: str
    namespace: str
    namespace_labels: Mapping[str, str] | None
    expected: Expected
    line: int


@dataclass(frozen=True, slots=True)
class Suite:
    """policy: the path of its file, from the suite's own."""

    policy: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class _Anything:
    said: str = "an object of Kubernetes"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})

    def read(self, node: Node, report: Report) -> Any:
        if not plain(node, report):
            return None
        try:
            return value_of(node, "")
        except Unreadable as error:
            report.wrong(node, error.what, error.advice)
            return None


_TEXT = text("a text", r"[^\x00]+", "allowed: any text, quoted where it has a meaning of its own")
_LABELS = Map("a map of labels", lambda _name: _TEXT, {"type": "object", "additionalProperties": {"type": "string"}})
_PATTERNS = Many(_TEXT, empty=True)


def _value(name: str) -> Text:
    named(name)
    return _TEXT


def _expected(values: Mapping[str, Any], place: Place, report: Report) -> Expected:
    if not place.values:
        report.wrong(place.node, "nothing is expected", f"write one of {', '.join(_EXPECT.keys)}")
    return Expected(**values)


_EXPECT = Object(
    "map of what is expected",
    {
        "decision": Key(Word(("inject", "skip", "deny")), "What becomes of the pod."),
        "reason": Key(Word(tuple(reason.code for reason in Reason)), "The reason code."),
        "rules": Key(_PATTERNS, "The names of the rules that hold, all of them, in the order of the policy."),
        "values": Key(
            Map("a map of options", _value, {"type": "object", "additionalProperties": {"type": "string"}}),
            "Some values that the pod gets, as texts.",
        ),
        "problems": Key(_PATTERNS, "Patterns of all that it is refused for."),
        "warnings": Key(_PATTERNS, "Patterns of all warnings."),
        "audit": Key(_PATTERNS, "Patterns of all that is recorded."),
    },
    _expected,
)


def _case(values: Mapping[str, Any], place: Place, report: Report) -> Case:
    if ("workload" in place.values) == ("file" in place.values):
        advice = "write workload: with the object, or file: with its path"
        report.wrong(place.node, "a case needs its workload once", advice)
    return Case(
        values.get("name") or "",
        values.get("workload"),
        values.get("file") or "",
        values.get("namespace") or "default",
        values.get("namespaceLabels"),
        values.get("expect") or Expected(),
        place.node.line + 1,
    )


_CASE = Object(
    "case",
    {
        "name": Key(_TEXT, "What it shows, as a sentence.", "a pod without a licence is refused", required=True),
        "workload": Key(_Anything(), "The object: a Pod, or anything with a pod template."),
        "file": Key(_TEXT, "Or the path of a manifest with one workload, from this file."),
        "namespace": Key(_TEXT, "The name of its namespace; default without."),
        "namespaceLabels": Key(_LABELS, "All labels of its namespace; not known without."),
        "expect": Key(_EXPECT, "What is to become of it; what is not named is not checked.", required=True),
    },
    _case,
)

SUITE = Object(
    "policy test",
    {
        "apiVersion": Key(Word((API_VERSION,)), "The version of this format.", API_VERSION, required=True),
        "kind": Key(Word((KIND,)), "What the file is.", KIND, required=True),
        "policy": Key(_TEXT, "The path of the policy, from this file.", "policy.yaml", required=True),
        "cases": Key(Many(_CASE), "The cases.", required=True),
    },
    lambda values, _place, _report: Suite(values.get("policy") or "", tuple(filter(None, values.get("cases") or ()))),
)

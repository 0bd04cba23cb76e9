"""Whether the API server sends a request to a webhook entry, and what decides it.

In its order (apiserver pkg/admission/plugin/webhook/generic/webhook.go, ShouldCallHook): namespaceSelector,
objectSelector, rules, matchConditions. The first that does not hold decides. A condition that is false decides also
where another one cannot be evaluated (pkg/admission/plugin/webhook/matchconditions/matcher.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from webhook.admission.conditions import FailedError, NotEvaluatedError, holds
from webhook.admission.entries import Entry, Rule
from webhook.admission.resources import Resource
from webhook.decide import mapping

_EXPRESSION_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Request:
    """What the API server looks at. namespace_labels: None when they are not known."""

    resource: Resource
    namespace: str
    namespace_labels: Mapping[str, str] | None
    object: Mapping[str, Any]
    operation: str = "CREATE"
    old: Mapping[str, Any] | None = None

    def variables(self) -> dict[str, Any]:
        """What conditions can name; the user and `authorizer` are not known here."""
        kind = {"group": self.resource.group, "version": self.resource.version, "kind": self.resource.kind}
        named = {"group": self.resource.group, "version": self.resource.version, "resource": self.resource.plural}
        request = {
            "kind": kind,
            "resource": named,
            "subResource": "",
            "requestKind": kind,
            "requestResource": named,
            "name": str(mapping(self.object, "metadata").get("name") or ""),
            "namespace": self.namespace,
            "operation": self.operation,
            "dryRun": False,
        }
        return {"object": typed(self.object), "oldObject": self.old and typed(self.old), "request": request}


class Match(Enum):
    """REFUSED: a condition cannot be evaluated, and failurePolicy Fail refuses the request."""

    SENT = "sent"
    NOT_SENT = "not sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one entry and one request.

    by: what decides: "namespaceSelector", "objectSelector", "rules" or "matchConditions"; "" where everything holds.
    why: a sentence without a full stop.
    """

    entry: Entry
    match: Match
    by: str
    why: str
    request: Request = field(repr=False)


def verdict(entry: Entry, request: Request) -> Verdict:
    """Whether the API server would call this entry."""
    match, by, why = _decided(entry, request)
    return Verdict(entry, match, by, why, request)


def verdicts(entries: Sequence[Entry], requests: Sequence[Request]) -> list[Verdict]:
    """One of each entry: about the first of the requests that its rules name, or the first of all if they name none."""
    return [verdict(e, next((r for r in requests if ruled(e, r)), requests[0])) for e in entries]


def ruled(entry: Entry, request: Request) -> bool:
    """Whether the entry's rules name the request."""
    return any(_names(rule, request, equivalent=entry.equivalent) for rule in entry.rules)


def _decided(entry: Entry, request: Request) -> tuple[Match, str, str]:
    labels = request.namespace_labels
    if labels is None and entry.namespaces.requirements:
        return Match.UNKNOWN, "namespaceSelector", f"the labels of namespace {request.namespace} are not known"
    unmet = entry.namespaces.unmet(labels or {})
    if unmet:
        told = _told(unmet.key, labels or {})
        return Match.NOT_SENT, "namespaceSelector", f"it wants {unmet}; namespace {request.namespace} {told}"
    own = _texts(mapping(mapping(request.object, "metadata"), "labels"))
    unmet = entry.objects.unmet(own)
    if unmet:
        told = f"the {request.resource.kind} {_told(unmet.key, own)}"
        return Match.NOT_SENT, "objectSelector", f"it wants {unmet}; {told}"
    if not ruled(entry, request):
        said = "; ".join(map(str, entry.rules)) or "nothing"
        return Match.NOT_SENT, "rules", f"they name {said}; this is {request.operation} {request.resource.plural}"
    return _conditions(entry, request)


def _conditions(entry: Entry, request: Request) -> tuple[Match, str, str]:
    variables = request.variables() if entry.conditions else {}
    failed, unknown = [], []
    for condition in entry.conditions:
        try:
            if not holds(condition.expression, variables):
                return Match.NOT_SENT, "matchConditions", f"{condition.name} is false: {_cut(condition.expression)}"
        except FailedError as error:
            if "object.spec" in condition.expression:
                unknown.append(
                    f"{condition.name} is not evaluated: {error}, and what the API server fills in is not known"
                )
            else:
                failed.append(f"{condition.name} cannot be evaluated: {error}")
        except NotEvaluatedError as error:
            unknown.append(f"{condition.name} is not evaluated: {error}")
    if unknown:
        return Match.UNKNOWN, "matchConditions", "; ".join(unknown)
    if failed:
        match = Match.REFUSED if entry.fails else Match.NOT_SENT
        policy = "refuses the request" if entry.fails else "passes it by"
        return match, "matchConditions", f"{failed[0]}, so failurePolicy {policy}"
    return Match.SENT, "", "all its selectors, rules and conditions hold"


def _cut(expression: str) -> str:
    """On one line, as much of it as one reads in passing."""
    line = " ".join(expression.split())
    return line if len(line) <= _EXPRESSION_SHOWN else line[: _EXPRESSION_SHOWN - 1] + "…"


def _names(rule: Rule, request: Request, *, equivalent: bool) -> bool:
    resource = request.resource
    return (
        _among(resource.group, rule.groups)
        and (equivalent or _among(resource.version, rule.versions))
        and _among(request.operation, rule.operations)
        and any(name in ("*", "*/*", resource.plural) for name in rule.resources)
        and rule.scope in ("*", "Namespaced")
    )


def _among(name: str, said: Sequence[str]) -> bool:
    return "*" in said or name in said


def _told(key: str, labels: Mapping[str, str]) -> str:
    return f"has {key}={labels[key]}" if key in labels else f"has no label {key}"


def _texts(labels: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if isinstance(value, str)}


def typed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the API server's expressions see it: what is null, and empty labels and annotations, are absent."""
    without: dict[str, Any] = _without_null(raw)
    metadata = without.get("metadata")
    if isinstance(metadata, dict):
        without["metadata"] = {k: v for k, v in metadata.items() if v != {} or k not in ("labels", "annotations")}
    return without


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_null(v) for k, v in value.items() if v is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value

"""The entries of webhook configurations, as far as they decide who is sent to the webhook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.decide import mapping, sequence
from webhook.selectors import Selector, selector

LABEL = "app.kubernetes.io/name=habitat-webhook"
"""Every webhook configuration that the chart makes has it."""

KINDS = {
    "MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}
"""Kind -> the path of all of it. The API server calls mutating ones first."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of `rules`: an operation on a resource; "*" stands for each."""

    groups: tuple[str, ...]
    versions: tuple[str, ...]
    operations: tuple[str, ...]
    resources: tuple[str, ...]
    scope: str

    def __str__(self) -> str:
        return f"{'/'.join(self.operations)} {', '.join(self.resources)}"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of `matchConditions`; expression: CEL."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One webhook of a configuration.

    equivalent: whether another API version of a resource counts as the same (matchPolicy). fails: whether what goes
    wrong with a call refuses the request (failurePolicy Fail). service: "namespace/name" of who is called, or the URL.
    trusts: whether a caBundle is there.
    """

    kind: str
    configuration: str
    name: str
    namespaces: Selector
    objects: Selector
    rules: tuple[Rule, ...]
    conditions: tuple[Condition, ...]
    equivalent: bool
    fails: bool
    service: str
    trusts: bool

    @property
    def mutating(self) -> bool:
        return self.kind.startswith("Mutating")


def entries(configurations: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """All entries of the webhook configurations among some objects, as the API server goes through them.

    Raises SelectorError, which no configuration does that the API server has accepted.
    """
    known = [raw for raw in configurations if raw.get("kind") in KINDS]
    known.sort(key=lambda raw: (raw["kind"], str(mapping(raw, "metadata").get("name"))))
    return [_entry(raw, webhook) for raw in known for webhook in sequence(raw, "webhooks")]


def _entry(configuration: Mapping[str, Any], raw: Mapping[str, Any]) -> Entry:
    client = mapping(raw, "clientConfig")
    service = mapping(client, "service")
    return Entry(
        kind=configuration["kind"],
        configuration=str(mapping(configuration, "metadata").get("name")),
        name=str(raw.get("name")),
        namespaces=selector(raw.get("namespaceSelector")),
        objects=selector(raw.get("objectSelector")),
        rules=tuple(_rule(rule) for rule in sequence(raw, "rules")),
        conditions=tuple(Condition(c["name"], c["expression"]) for c in sequence(raw, "matchConditions")),
        equivalent=raw.get("matchPolicy", "Equivalent") == "Equivalent",
        fails=raw.get("failurePolicy", "Fail") == "Fail",
        service=f"{service['namespace']}/{service['name']}" if service else str(client.get("url") or ""),
        trusts=bool(client.get("caBundle")),
    )


def _rule(raw: Mapping[str, Any]) -> Rule:
    groups, versions, operations, resources = (
        tuple(sequence(raw, name)) for name in ("apiGroups", "apiVersions", "operations", "resources")
    )
    return Rule(groups, versions, operations, resources, str(raw.get("scope") or "*"))

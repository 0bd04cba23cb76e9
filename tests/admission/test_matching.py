"""Selectors, rules and conditions of an entry: which of them decides."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from webhook.admission import conditions
from webhook.admission.entries import Entry, entries
from webhook.admission.matching import Match, Request, verdict, verdicts
from webhook.admission.resources import DEPLOYMENT, POD, Resource

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}


def entry(**changed: Any) -> Entry:
    webhook = {"name": "x.habitat.sh", "rules": [PODS], "clientConfig": {"url": "https://127.0.0.1"}} | changed
    raw = {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "x"}, "webhooks": [webhook]}
    return entries([raw])[0]


def request(resource: Resource = POD, *, labels: dict[str, str] | None = None, **metadata: Any) -> Request:
    return Request(resource, "shop", {"env": "test"} if labels is None else labels, {"metadata": metadata})


def condition(expression: str, name: str = "said") -> dict[str, str]:
    return {"name": name, "expression": expression}


def wants(key: str, value: str) -> dict[str, Any]:
    return {"matchLabels": {key: value}}


def test_an_entry_without_selectors_takes_every_pod() -> None:
    made = verdict(entry(), request())
    assert (made.match, made.by) == (Match.SENT, "")


@pytest.mark.parametrize(
    ("changed", "by", "why"),
    [
        (
            {"namespaceSelector": wants("env", "live")},
            "namespaceSelector",
            "it wants env=live; namespace shop has env=test",
        ),
        ({"namespaceSelector": wants("x", "y")}, "namespaceSelector", "it wants x=y; namespace shop has no label x"),
        ({"objectSelector": wants("app", "web")}, "objectSelector", "it wants app=web; the Pod has no label app"),
        ({"rules": [PODS | {"operations": ["UPDATE"]}]}, "rules", "they name UPDATE pods; this is CREATE pods"),
        (
            {"rules": [PODS | {"resources": ["pods/status"]}]},
            "rules",
            "they name CREATE pods/status; this is CREATE pods",
        ),
        ({"rules": [PODS | {"apiGroups": ["apps"]}]}, "rules", "they name CREATE pods; this is CREATE pods"),
        ({"rules": [PODS | {"scope": "Cluster"}]}, "rules", "they name CREATE pods; this is CREATE pods"),
        ({"rules": []}, "rules", "they name nothing; this is CREATE pods"),
        ({"matchConditions": [condition("1 ==\n  2")]}, "matchConditions", "said is false: 1 == 2"),
    ],
)
def test_what_decides(changed: dict[str, Any], by: str, why: str) -> None:
    made = verdict(entry(**changed), request())
    assert (made.match, made.by, made.why) == (Match.NOT_SENT, by, why)


def test_the_first_in_the_api_servers_order_decides() -> None:
    everything = {
        "namespaceSelector": wants("env", "live"),
        "objectSelector": wants("app", "web"),
        "rules": [],
        "matchConditions": [condition("false")],
    }
    seen = []
    for name in everything:
        seen.append(verdict(entry(**everything), request()).by)
        everything[name] = {} if name.endswith("Selector") else [PODS]
        if name == "matchConditions":
            break
    assert seen == ["namespaceSelector", "objectSelector", "rules", "matchConditions"]


@pytest.mark.parametrize(
    "rule", [{"resources": ["*"]}, {"resources": ["*/*"]}, {"operations": ["*"]}, {"apiGroups": ["*"]}]
)
def test_a_star_stands_for_each(rule: dict[str, Any]) -> None:
    assert verdict(entry(rules=[PODS | rule]), request()).match is Match.SENT


def test_another_version_counts_unless_the_policy_is_exact() -> None:
    rules = [PODS | {"apiVersions": ["v2"]}]
    assert verdict(entry(rules=rules), request()).match is Match.SENT
    assert verdict(entry(rules=rules, matchPolicy="Exact"), request()).by == "rules"


def test_labels_that_are_not_known() -> None:
    unknown = Request(POD, "shop", None, {})
    assert verdict(entry(), unknown).match is Match.SENT
    made = verdict(entry(namespaceSelector=wants("env", "live")), unknown)
    assert (made.match, made.by) == (Match.UNKNOWN, "namespaceSelector")


def test_each_entry_is_asked_about_the_request_that_its_rules_name() -> None:
    workloads = PODS | {"apiGroups": ["apps"], "resources": ["deployments"]}
    made = verdicts([entry(), entry(rules=[workloads]), entry(rules=[])], [request(), request(DEPLOYMENT)])
    assert [(v.request.resource, v.match) for v in made] == [
        (POD, Match.SENT),
        (DEPLOYMENT, Match.SENT),
        (POD, Match.NOT_SENT),
    ]


# conditions -----------------------------------------------------------------------------------------------------------

ANNOTATED = "has(object.metadata.annotations) && 'a' in object.metadata.annotations"
UNGUARDED = "object.metadata.annotations['a'] == 'b'"


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({}, Match.NOT_SENT),
        ({"annotations": None}, Match.NOT_SENT),
        ({"annotations": {}}, Match.NOT_SENT),
        ({"annotations": {"a": ""}}, Match.SENT),
    ],
)
def test_absent_null_and_empty_annotations_are_alike(metadata: dict[str, Any], match: Match) -> None:
    assert verdict(entry(matchConditions=[condition(ANNOTATED)]), request(**metadata)).match is match


def test_a_condition_that_cannot_be_evaluated_is_left_to_the_failure_policy() -> None:
    conditions = [condition(UNGUARDED)]
    refused = verdict(entry(matchConditions=conditions), request())
    assert (refused.match, refused.by) == (Match.REFUSED, "matchConditions")
    assert "failurePolicy refuses the request" in refused.why
    assert verdict(entry(matchConditions=conditions, failurePolicy="Ignore"), request()).match is Match.NOT_SENT


def test_a_field_that_the_api_server_may_fill_in_is_not_known_to_be_absent() -> None:
    made = verdict(
        entry(matchConditions=[condition("object.spec.containers[0].imagePullPolicy == 'Always'")]), request()
    )
    assert made.match is Match.UNKNOWN
    assert "what the API server fills in is not known" in made.why


def test_a_false_condition_decides_also_beside_one_that_cannot_be_evaluated() -> None:
    made = verdict(entry(matchConditions=[condition(UNGUARDED), condition("false", "no")]), request())
    assert (made.match, made.why) == (Match.NOT_SENT, "no is false: false")


@pytest.mark.parametrize(
    "expression",
    [
        "object.metadata.?annotations.orValue({}) == {}",
        "authorizer.group('').resource('pods').check('get').allowed()",
        "((",
    ],
)
def test_what_the_library_does_not_know_is_not_guessed(expression: str) -> None:
    made = verdict(entry(matchConditions=[condition(expression)]), request())
    assert (made.match, made.by) == (Match.UNKNOWN, "matchConditions")
    assert made.why.startswith("said is not evaluated: ")


def test_request_and_old_object_are_there() -> None:
    expression = "request.operation == 'CREATE' && oldObject == null && request.resource.resource == 'pods'"
    assert verdict(entry(matchConditions=[condition(expression)]), request()).match is Match.SENT


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel", None)
    made = verdict(entry(matchConditions=[condition("true")]), request())
    assert made.match is Match.UNKNOWN
    assert conditions.INSTALL in made.why

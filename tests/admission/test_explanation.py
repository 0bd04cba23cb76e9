"""What is known here, what the webhook knows, and what is made of both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.running import template
from webhook.admission.explanation import Explanation, Result, Subject, explain
from webhook.admission.installed import policy_source, reads_namespaces, settings_of, shipped
from webhook.admission.resources import DEPLOYMENT, POD
from webhook.admission.surroundings import Surroundings
from webhook.decide import Settings
from webhook.namespaces import Namespace
from webhook.policy.policy import Policy

ENABLED = {"habitat.sh/injection": "enabled", "kubernetes.io/metadata.name": "shop"}
POLICY = b"""\
apiVersion: policy.habitat.sh/v1
kind: Policy
rules:
  - name: live
    match: {namespaceSelector: {matchLabels: {tier: live}}}
    force: {channel: stable}
  - name: no-groups
    match: {podSelector: {matchLabels: {app: redis}}}
    deny: {group: [forbidden]}
"""


def namespace(labels: dict[str, str] | None = None, **defaults: str) -> Namespace:
    return Namespace("shop", ENABLED | (labels or {}), defaults)


def explained(around: Surroundings, about: Namespace | None, **annotations: str) -> Explanation:
    made = template("redis", **annotations)
    subject = Subject("Deployment/redis", DEPLOYMENT, {"spec": {"template": made}}, made, "shop")
    return explain(subject, [e for e in shipped() if e.mutating], around, about)


def sources(made: Explanation) -> dict[str, tuple[str, str]]:
    return {value.option: (value.value, value.source) for value in made.values}


def test_defaults_of_the_namespace_and_forced_values_of_the_policy() -> None:
    around = Surroundings(Settings(), Policy.of(POLICY))
    made = explained(around, namespace({"tier": "live"}, group="ours"), channel="unstable")
    assert made.result is Result.INJECTED
    assert sources(made)["group"] == ("ours", "namespace shop")
    assert sources(made)["channel"] == ("stable", "policy rule live")
    assert made.rules == (("live", ""), ("no-groups", ""))


def test_a_webhook_that_reads_no_namespaces_knows_neither_labels_nor_defaults() -> None:
    around = Surroundings(Settings(), Policy.of(POLICY), blind=True)
    made = explained(around, namespace({"tier": "live"}, group="ours"))
    assert made.result is Result.INJECTED
    assert sources(made)["group"] == ("default", "built-in")
    assert "channel" not in sources(made)
    assert "not known" in dict(made.rules)["live"]


def test_why_it_is_not_asked_is_told_by_what_is_known_here_also_of_a_blind_one() -> None:
    off = Namespace("shop", {"kubernetes.io/metadata.name": "shop", "habitat.sh/injection": "disabled"}, {})
    assert explained(Surroundings(Settings(), blind=True), off).code == "NamespaceDisabled"


def test_what_a_policy_denies_is_refused() -> None:
    made = explained(Surroundings(Settings(), Policy.of(POLICY)), namespace(), group="forbidden")
    assert (made.result, made.code) == (Result.REFUSED, "PolicyDenied")


def test_a_namespace_of_which_nothing_is_known() -> None:
    made = explained(Surroundings(Settings()), None)
    assert (made.result, made.code) == (Result.UNKNOWN, "NotKnown")
    assert "the labels of namespace shop are not known" in made.sentence


def test_without_any_entry_for_pods() -> None:
    subject = Subject("Pod/x", POD, template(), template(), "shop")
    made = explain(subject, [], Surroundings(Settings()), namespace())
    assert (made.result, made.code) == (Result.LEFT_ALONE, "NotAsked")


def deployment(*args: str, env: list[dict[str, str]] | None = None, **volume: Any) -> dict[str, Any]:
    container = {"args": list(args), "env": env or [], "volumeMounts": [{"name": "p", "mountPath": "/etc/policy"}]}
    spec = {"containers": [container], "volumes": [{"name": "p", **volume}]}
    return {"spec": {"template": {"spec": spec}}}


def test_settings_are_those_that_serve_is_started_with() -> None:
    found = settings_of(
        deployment(
            "--own-namespace=infra",
            "--shared-rings=a.b,c.d",
            env=[{"name": "HABITAT_WEBHOOK_CLUSTER_DOMAIN", "value": "example.org"}],
        )
    )
    assert found.own_namespace == "infra"
    assert found.shared_rings == {"a.b", "c.d"}
    assert found.cluster_domain == "example.org"
    assert reads_namespaces(deployment())
    assert not reads_namespaces(deployment("--namespaces=none"))


@pytest.mark.parametrize(
    ("made", "source"),
    [
        (deployment(configMap={"name": "x"}), None),
        (deployment("--policy=/etc/policy/policy.yaml", configMap={"name": "x"}), ("x", "policy.yaml")),
        (
            deployment(
                "--policy=/etc/policy/a.yaml", configMap={"name": "x", "items": [{"key": "k", "path": "a.yaml"}]}
            ),
            ("x", "k"),
        ),
        (deployment("--policy=/etc/policy/policy.yaml", secret={"secretName": "x"}), None),
        (deployment("--policy=/elsewhere/policy.yaml", configMap={"name": "x"}), None),
    ],
)
def test_where_the_policy_is(made: dict[str, Any], source: tuple[str, str] | None) -> None:
    assert policy_source(made) == source

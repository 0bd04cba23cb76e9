"""The shipped webhook configuration: what keeps pods away from the webhook, and how the API server calls it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.webhook_config import registration, shipped
from webhook.decide import EXCLUDED_NAMESPACES, INJECTION_LABEL
from webhook.selectors import selector

SHIPPED_WEBHOOKS: list[dict[str, Any]] = shipped()["webhooks"]
OWN_NAMESPACE = "habitat-webhook"


def selects(raw: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a namespaceSelector selects a namespace with these labels."""
    return selector(raw).matches(labels)


@pytest.mark.parametrize("webhook", SHIPPED_WEBHOOKS, ids=lambda w: w["name"])
def test_every_entry_is_called_as_the_contract_says(webhook: dict[str, Any]) -> None:
    assert webhook["admissionReviewVersions"] == ["v1"]
    assert webhook["matchPolicy"] == "Equivalent"
    assert webhook["sideEffects"] == "NoneOnDryRun", "Events"
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["timeoutSeconds"] == 5
    [rule] = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])


@pytest.mark.parametrize("webhook", SHIPPED_WEBHOOKS, ids=lambda w: w["name"])
@pytest.mark.parametrize("name", sorted({*EXCLUDED_NAMESPACES, OWN_NAMESPACE}))
@pytest.mark.parametrize("label", ["enabled", "disabled", None])
def test_no_entry_selects_an_excluded_namespace(webhook: dict[str, Any], name: str, label: str | None) -> None:
    labels = {"kubernetes.io/metadata.name": name} | ({INJECTION_LABEL: label} if label else {})
    assert not selects(webhook["namespaceSelector"], labels)


@pytest.mark.parametrize(("label", "entries"), [("enabled", 1), (None, 1), ("other", 1), ("disabled", 0)])
def test_exactly_one_entry_selects_any_other_namespace(label: str | None, entries: int) -> None:
    labels = {"kubernetes.io/metadata.name": "shop"} | ({INJECTION_LABEL: label} if label else {})
    assert sum(selects(w["namespaceSelector"], labels) for w in SHIPPED_WEBHOOKS) == entries


def test_registration_changes_the_address_alone() -> None:
    made = registration("https://127.0.0.1:8443", b"pem", name="mine", failure_policy="Ignore", namespaces=["shop"])
    assert made["metadata"]["name"] == "mine"
    for ours, theirs in zip(made["webhooks"], SHIPPED_WEBHOOKS, strict=True):
        assert ours["clientConfig"] == {
            "url": "https://127.0.0.1:8443/mutate",
            "caBundle": base64.b64encode(b"pem").decode(),
        }
        assert ours["failurePolicy"] == "Ignore"
        assert ours["rules"] == theirs["rules"]
        assert ours["matchConditions"] == theirs["matchConditions"]


def test_registration_wants_https() -> None:
    with pytest.raises(ValueError, match="https"):
        registration("http://127.0.0.1:8443", b"pem")

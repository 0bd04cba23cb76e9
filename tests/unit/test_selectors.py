"""Label selectors as apimachinery has them."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.selectors import SelectorError, selector

LABELS = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("raw", "selected"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "web"]}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "In", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists", "values": []}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selection(raw: dict[str, Any] | None, selected: bool) -> None:
    assert selector(raw).matches(LABELS) is selected


def test_the_first_requirement_that_is_not_met_is_named() -> None:
    made = selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["front", "edge"]},
                {"key": "more", "operator": "Exists"},
            ],
        }
    )
    unmet = made.unmet(LABELS)
    assert unmet is not None
    assert (str(unmet), unmet.where) == ("tier notin (front, edge)", "matchExpressions[0]")
    assert str(made) == "app=web, tier notin (front, edge), more"
    assert str(selector({})) == "everything"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"matchLables": {}}, "'matchLables' is unknown"),
        ({"matchLabels": {"a": 1}}, "matchLabels is no map of texts"),
        ({"matchExpressions": {"key": "a"}}, "matchExpressions is no list"),
        ({"matchExpressions": ["a"]}, r"matchExpressions\[0\] has no key"),
        ({"matchExpressions": [{"key": "a", "operator": "Is"}]}, "allowed: In, NotIn, Exists, DoesNotExist"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "In needs at least one value"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}, "no list of texts"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "Exists takes no values"),
    ],
)
def test_what_the_api_server_would_refuse(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectorError, match=message):
        selector(raw)

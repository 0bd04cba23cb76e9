"""Which pods ask for an injection and have none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.reviews import SERVICE, pod
from webhook.decide import Settings, Situation
from webhook.inject import inject
from webhook.inject.patch import apply
from webhook.namespaces import Namespace
from webhook.slipped.look import slipped

ENABLED = Namespace("shop", {"habitat.sh/injection": "enabled"}, {})


def found(obj: Any, namespace: Namespace = ENABLED, *, own_namespace: str = "") -> bool:
    obj["metadata"]["namespace"] = "shop"
    return bool(list(slipped([obj], {namespace.name: namespace}, Settings(own_namespace=own_namespace))))


def changed(**parts: Any) -> dict[str, Any]:
    return pod(SERVICE) | parts


def test_a_pod_that_asks_and_has_none_is_found_with_its_owner() -> None:
    obj = pod(SERVICE)
    obj["metadata"] |= {
        "namespace": "shop",
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
        ],
    }
    [(namespace, owner)] = slipped([obj], {"shop": ENABLED}, Settings())
    assert (namespace, owner.kind, owner.name) == ("shop", "ReplicaSet", "web")


def test_an_injected_pod_is_none() -> None:
    assert not found(apply(pod(SERVICE), inject(pod(SERVICE), Situation(namespace="shop")).operations))


@pytest.mark.parametrize(
    "obj",
    [
        pod({}),
        pod(SERVICE | {"habitat.sh/inject": "false"}),
        pod(SERVICE | {"habitat.sh/topology": "ring"}),
        changed(status={"phase": "Succeeded"}),
        changed(status={"phase": "Failed"}),
    ],
)
def test_a_pod_that_does_not_ask_or_could_not_be_injected_is_none(obj: Any) -> None:
    assert not found(obj)


def test_the_namespace_decides_too() -> None:
    assert not found(pod(SERVICE), Namespace("shop", {}, {}))
    assert found(pod(SERVICE | {"habitat.sh/inject": "true"}), Namespace("shop", {}, {}))
    assert not found(pod(SERVICE), Namespace("shop", {"habitat.sh/injection": "disabled"}, {}))
    assert not found(pod(SERVICE), own_namespace="shop")
    assert not found(pod(SERVICE), Namespace("younger", {}, {})), "not among those that are known"

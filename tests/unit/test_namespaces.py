"""What a namespace's metadata means for its pods."""

from __future__ import annotations

from webhook.decide import Layer
from webhook.namespaces import Namespace
from webhook.options import DEFAULT_PREFIX, REGISTRY


def made(annotations: dict[str, str] | None, **labels: str) -> Namespace:
    return Namespace.of({"metadata": {"name": "shop", "labels": labels, "annotations": annotations}})


def test_only_what_may_count_is_kept() -> None:
    found = made({DEFAULT_PREFIX + "group": "blue", "kubectl.kubernetes.io/last-applied": "{}"}, team="a")
    assert found == Namespace("shop", {"team": "a"}, {"group": "blue"})
    assert found.layers == (Layer("namespace shop", {"group": "blue"}),)


def test_a_namespace_without_labels_and_annotations_says_nothing() -> None:
    bare = Namespace.of({"metadata": {"name": "shop"}})
    assert (bare.labels, bare.layers, bare.without_effect()) == ({}, (), [])


def test_every_option_is_a_default_exactly_where_its_scope_says_so() -> None:
    found = made({DEFAULT_PREFIX + option.name: "x" for option in REGISTRY})
    allowed = {option.name for option in REGISTRY if "namespace" in option.scope}
    assert allowed
    assert set(found.defaults) == allowed
    assert set(found.misplaced) == {option.name for option in REGISTRY} - allowed


def test_what_has_no_effect_is_said() -> None:
    found = made({DEFAULT_PREFIX + "grop": "blue", DEFAULT_PREFIX + "inject": "true", DEFAULT_PREFIX + "group": "a"})
    assert found.without_effect() == [
        "default.habitat.sh/grop is unknown",
        "default.habitat.sh/inject has no effect: habitat.sh/inject is for one workload",
    ]

"""What stands beside Habitat objects in a manifest, and holds on to what the operator made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

GROUP, KIND = "habitat.sh", "Habitat"

_LOST = ("habitat", "topology", "operator.habitat.sh/topology")
"""Labels that the operator put on its pods and that converted ones do not carry."""
_SELECTORS = ("selector", "matchLabels")
_FORERUNNERS: Mapping[str, str] = {
    "ServiceGroup": "the operator's first releases had it; make it a Habitat, its `habitat` the `service`",
    "HabitatPromotion": "the operator never had it: nothing is to be done",
}


def foreign(kind: str) -> str:
    """What to do with another kind of the operator's API group."""
    return _FORERUNNERS.get(kind, "it is of the operator's API group, but the operator knew no such kind")


def lost_selectors(value: Any) -> list[str]:
    """Warnings about selectors, anywhere in an object, that converted pods will not match."""
    return [
        f"{path} selects by the label {label}, which converted pods do not carry: select by habitat-name"
        for path, labels in _selectors(value, "")
        for label in _LOST
        if label in labels
    ]


def owner(value: Mapping[str, Any]) -> str:
    """The name of the Habitat that the operator made an object of, "" when it is nobody's."""
    metadata = value.get("metadata")
    owners = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    for reference in owners if isinstance(owners, list) else ():
        if isinstance(reference, dict) and reference.get("kind") == KIND:
            return str(reference.get("name"))
    return ""


def _selectors(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _selectors(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, child in value.items():
            below = f"{path}.{key}".removeprefix(".")
            if key in _SELECTORS and isinstance(child, dict):
                yield below, child
            yield from _selectors(child, below)

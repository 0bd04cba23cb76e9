"""Generated Habitat objects, and what it means that a report tells of all that is in one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from webhook.convert import FIELDS, Conversion
from webhook.problems import one_line

CONFIDENTIAL = "confidential"

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)

_LOOKS: dict[str, st.SearchStrategy[Any]] = {
    "metadata.name": st.sampled_from(["cache", "a-b", "9", "A_B-", ""]),
    "spec.service.name": st.sampled_from(["redis", "my redis", ""]),
    "spec.service.topology": st.sampled_from(["leader", "standalone", "ring"]),
    "spec.service.ringSecretName": st.sampled_from(["ring-20180101000000", "a.b", "x" * 60]),
    "spec.count": st.integers(-1, 5),
    "spec.persistentStorage.mountPath": st.sampled_from(["/hab/svc/redis/data", "/srv", "srv"]),
    "spec.persistentStorage.size": st.sampled_from(["1Gi", "much"]),
    "spec.env": st.lists(
        st.fixed_dictionaries({"name": st.sampled_from("AB"), "value": st.just(CONFIDENTIAL)}), max_size=2
    ),
    "spec.service.bind": st.lists(
        st.dictionaries(st.sampled_from(["name", "service", "group", "odd"]), st.sampled_from(["a", "b c"])), max_size=2
    ),
}
"""Values that get far into the conversion, and some that do not."""


@st.composite
def habitats(draw: st.DrawFn) -> dict[str, Any]:
    """Objects with some of the known fields and some others, flat, nested or both; now and then a field is anything."""
    habitat: dict[str, Any] = {}
    mistaken = draw(st.sets(st.sampled_from([field.path for field in FIELDS]), max_size=2))
    left_out = draw(st.sets(st.sampled_from([field.path for field in FIELDS]), max_size=20))
    for field in FIELDS:
        usual = _LOOKS.get(field.path, st.just("text") if field.type is str else st.just({"a": "b"}))
        if field.path not in left_out:
            _put(habitat, field.path, draw(ANYTHING if field.path in mistaken else usual))
    for path in draw(st.sets(st.sampled_from(["odd", "metadata.odd", "spec.odd", "spec.service.odd", "spec.a.b"]))):
        _put(habitat, path, draw(ANYTHING))
    form = draw(st.sampled_from(["flat", "nested", "both"]))
    spec = habitat.get("spec")
    if form != "flat" and isinstance(spec, dict):
        habitat["spec"] = {"v1beta2": copy.deepcopy(spec)} | (spec if form == "both" else {})
    if version := draw(st.sampled_from([None, "v1beta1", "v1beta2", "v2"])):
        habitat["customVersion"] = version
    return habitat


def _put(value: dict[str, Any], path: str, leaf: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        value = value.setdefault(parent, {})
        if not isinstance(value, dict):
            return
    value[name] = leaf


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of everything that has nothing below it, not knowing what the converter knows."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            step = f'"{one_line(key)}"' if "." in key else one_line(key)
            yield from leaves(child, f"{path}.{step}" if path else step)
    elif path:
        yield path


def told(conversion: Conversion, path: str) -> bool:
    """Whether a line of the report, or a problem, is about a path or what it is in."""
    places = [row.path for row in conversion.rows] + [text.partition(": ")[0] for text in conversion.problems]
    return any(path == place or path.startswith((f"{place}.", f"{place}[")) for place in places)

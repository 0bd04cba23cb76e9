"""The rehearsal of a patch, held to two other implementations of RFC 6902."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath import JSONPatch

from webhook.inject.patch import PatchError, apply, escape, rehearse

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~-0", max_size=2), inner, max_size=3),
    max_leaves=12,
).map(lambda inner: {"spec": inner, "metadata": {"a/b": [1], "~": {}}})

TOKENS = st.sampled_from(["spec", "metadata", "a~1b", "~0", "a", "b", "0", "1", "-", "2"])
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "replace"]),
            "path": st.lists(TOKENS, min_size=1, max_size=4).map(lambda t: "/" + "/".join(t)),
            "value": st.sampled_from([1, {"n": [1]}, [1, 2], "x"]),
        }
    ),
    max_size=5,
).map(lambda operations: json.loads(json.dumps(operations)))  # as from JSON: no value is part of two operations


def outcome(call: Any) -> Any:
    """The result of an implementation, or that it refused."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- each library refuses in a way of its own
        return type(error).__name__ and "refused"


@given(document=DOCUMENTS, operations=OPERATIONS)
def test_rehearsal_agrees_with_two_other_implementations(document: Any, operations: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(document)
    mine = outcome(lambda: rehearse(document, operations))
    assert document == before
    assert mine == outcome(lambda: apply(document, operations))
    assert mine == outcome(lambda: JSONPatch(copy.deepcopy(operations)).apply(copy.deepcopy(document)))


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a/b/c", "value": 1},
        {"op": "add", "path": "/list/5", "value": 1},
        {"op": "add", "path": "/list/01x", "value": 1},
        {"op": "replace", "path": "/nothing", "value": 1},
        {"op": "replace", "path": "/list/-", "value": 1},
        {"op": "add", "path": "/text/x", "value": 1},
        {"op": "remove", "path": "/list/0", "value": 1},
    ],
)
def test_what_does_not_apply_is_our_mistake(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        rehearse({"list": [1], "text": "t"}, [operation])


def test_values_of_the_patch_are_not_written_into() -> None:
    operations = [{"op": "add", "path": "/labels", "value": {}}, {"op": "add", "path": "/labels/a", "value": 1}]
    assert rehearse({}, operations) == {"labels": {"a": 1}}
    assert operations[0]["value"] == {}


@given(st.text())
def test_escaped_tokens_name_the_same_member(name: str) -> None:
    assert rehearse({}, [{"op": "add", "path": "/" + escape(name), "value": 1}]) == {name: 1}
    assert jsonpatch.apply_patch({}, [{"op": "add", "path": "/" + escape(name), "value": 1}]) == {name: 1}

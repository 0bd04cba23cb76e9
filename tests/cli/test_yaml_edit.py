"""Changing a document changes the lines that must change and no others, and reads back as what was meant."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.cli.test_scalars import JSON_VALUES, TEXTS
from webhook.cli.yamledit import rewrite, same
from webhook.cli.yamlwrite import block_lines
from webhook.unreadable import Unreadable
from webhook.yamlnodes import read_stream, value_of


def edit(text: str, /, **changes: Any) -> str:
    """The text after top-level keys have been set, or removed with `...`."""
    (part,) = read_stream(text, "f.yaml")
    assert part.root is not None
    old = value_of(part.root, "f.yaml")
    new = {k: v for k, v in (old | changes).items() if v is not ...}
    edited = rewrite(part, old, new)
    (again,) = read_stream(edited, "f.yaml")
    assert again.root is not None
    assert value_of(again.root, "f.yaml") == new
    return edited


TEXT = """\
# licence
---
# about
kind: Pod # what it is
list: # of things
- name: a   # first
  image: 'x' # quoted
# between
- name: b
  args: [1, 2] # flow
# after
text: |
  l1

  l2

number: 0x1F
# the end
"""


def test_unchanged_value_leaves_the_text_alone() -> None:
    assert edit(TEXT) == TEXT


def test_new_key_goes_to_the_end_before_what_is_only_a_comment() -> None:
    assert edit(TEXT, new={"a": ["yes"]}) == TEXT.replace("# the end", 'new:\n  a:\n  - "yes"\n# the end')


def test_removed_key_takes_its_lines_along() -> None:
    assert edit(TEXT, text=...) == TEXT.replace("text: |\n  l1\n\n  l2\n\n", "")
    assert edit(TEXT, kind=...) == TEXT.replace("kind: Pod # what it is\n", "")


def test_scalar_is_changed_in_its_place() -> None:
    assert edit(TEXT, kind="Job", number=7) == TEXT.replace("Pod", "Job").replace("0x1F", "7")


def test_block_text_is_changed_in_its_place() -> None:
    assert edit(TEXT, text="other\nlines\n") == TEXT.replace("|\n  l1\n\n  l2\n", "|\n  other\n  lines\n")


def test_item_is_added_inside_and_at_both_ends_of_a_list() -> None:
    a, b = {"name": "a", "image": "x"}, {"name": "b", "args": [1, 2]}
    assert edit(TEXT, list=[{"name": "new"}, a, b]) == TEXT.replace("- name: a", "- name: new\n- name: a")
    assert edit(TEXT, list=[a, {"name": "new"}, b]) == TEXT.replace("# between", "- name: new\n# between")
    assert edit(TEXT, list=[a, b, {"name": "new"}]) == TEXT.replace("# after", "- name: new\n# after")


def test_items_are_removed_and_changed_together() -> None:
    assert edit(TEXT, list=[{"name": "b", "args": [1], "z": None}]) == TEXT.replace(
        "- name: a   # first\n  image: 'x' # quoted\n", ""
    ).replace("args: [1, 2] # flow", "args: # flow\n  - 1\n  z: null").replace(
        "args: # flow\n  - 1", "args:\n  - 1 # flow"
    )


def test_empty_list_becomes_a_block_and_a_block_an_empty_list() -> None:
    assert edit("a: [] # none\nb: 1\n", a=["x"]) == "a:\n- x # none\nb: 1\n"
    assert edit("a:\n- x\nb: 1\n", a=[]) == "a: []\nb: 1\n"
    assert edit("a:\nb: 1\n", a={"c": 1}) == "a:\n  c: 1\nb: 1\n"


def test_new_lists_are_indented_as_the_document_indents_its_own() -> None:
    assert edit("a:\n    - b\n", c=[{"d": ["e"]}]) == "a:\n    - b\nc:\n    - d:\n          - e\n"


def test_windows_line_ends_stay() -> None:
    assert edit("a: 1\r\nb:\r\n- c\r\n", b=["c", "d"], e=1) == "a: 1\r\nb:\r\n- c\r\n- d\r\ne: 1\r\n"


def test_missing_last_line_break_is_added() -> None:
    assert edit("a: 1\nb: [2]", c=3) == "a: 1\nb: [2]\nc: 3\n"


def test_document_end_stays() -> None:
    assert edit("a: 1\n...\n", b=2) == "a: 1\nb: 2\n...\n"
    assert edit("--- {a: 1}\n...\n", b=2) == "---\na: 1\nb: 2\n...\n"


def test_alias_of_a_changed_anchor_keeps_its_value() -> None:
    text = "# kept\na: &x\n  b: 1\nc: *x\n"
    assert edit(text, a={"b": 2}) == "# kept\na:\n  b: 2\nc:\n  b: 1\n"
    assert edit(text, c={"b": 1, "d": 2}) == "# kept\na: &x\n  b: 1\nc:\n  b: 1\n  d: 2\n"


def test_document_in_flow_style_is_written_anew_below_its_comments() -> None:
    assert edit("# kept\n---\n# too\n{a: 1, b: [x]}\n", b=["x", "z"]) == "# kept\n---\n# too\na: 1\nb:\n- x\n- z\n"


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (0, None), ("1", 1), ([1], [True]), ({}, []), ("", None)]
)
def test_values_that_json_tells_apart_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert same({"a": [1]}, {"a": [1.0]})


def _changed(value: Any, data: st.DataObject) -> Any:
    """A copy of a value with a few random changes."""
    if isinstance(value, dict):
        kept = {k: _changed(v, data) for k, v in value.items() if data.draw(st.integers(0, 5))}
        return kept | data.draw(st.dictionaries(TEXTS, JSON_VALUES, max_size=1))
    if isinstance(value, list):
        kept_items = [_changed(v, data) for v in value if data.draw(st.integers(0, 5))]
        at = data.draw(st.integers(0, len(kept_items)))
        return kept_items[:at] + data.draw(st.lists(JSON_VALUES, max_size=1)) + kept_items[at:]
    return value if data.draw(st.integers(0, 3)) else data.draw(JSON_VALUES)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES, st.sampled_from([0, 2]), st.data())
def test_every_change_of_what_we_wrote_reads_back(value: Any, step: int, data: st.DataObject) -> None:
    text = "\n".join(block_lines(value, 0, step)) + "\n"
    assert_changes_read_back(text, data)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, JSON_VALUES), st.sampled_from([True, False, None]), st.data())
def test_every_change_of_what_another_writer_wrote_reads_back(
    value: dict[str, Any], flow: bool | None, data: st.DataObject
) -> None:
    """Flow style, folded lines, plain scalars over several lines: as PyYAML writes."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True, width=20, sort_keys=False)
    try:
        assert_changes_read_back(text, data)
    except Unreadable:  # a plain `y:` is a text to PyYAML and the key "true" to Kubernetes: maybe a duplicate
        assume(False)


def assert_changes_read_back(text: str, data: st.DataObject) -> None:
    (part,) = read_stream(text, "f.yaml")
    assert part.root is not None
    old = value_of(part.root, "f.yaml")
    new = _changed(copy.deepcopy(old), data)
    (again,) = read_stream(rewrite(part, old, new), "f.yaml")
    assert again.root is not None
    assert value_of(again.root, "f.yaml") == new

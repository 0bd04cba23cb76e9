"""deploy/values_table.py: the table of the chart's values, and what keeps values, schema and comments together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.values_table import CHART, ValuesError, allowed, table, values

SCHEMA: dict[str, Any] = {
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "pod": {"properties": {"labels": {"$ref": "#/definitions/strings"}, "mode": {"enum": ["", "fast"]}}},
    },
    "definitions": {"strings": {"type": "object"}},
}
SOURCE = """\
# About the file, and about no value.

# How large,
# in metres.
size: 3

# The pod.
pod:
  # Its labels.
  labels: {a: "1|2"}
  # How it runs.
  mode: ""
"""


def test_a_comment_right_above_a_value_is_its_text() -> None:
    found = {v.name: (v.text, v.default) for v in values(SOURCE, SCHEMA)}
    assert found == {
        "size": ("How large, in metres.", 3),
        "pod": ("The pod.", {"labels": {"a": "1|2"}, "mode": ""}),
        "pod.labels": ("Its labels.", {"a": "1|2"}),
        "pod.mode": ("How it runs.", ""),
    }


def test_the_table_has_a_section_for_each_group_and_one_for_the_rest() -> None:
    written = table(SOURCE, SCHEMA)
    assert "\n## pod\n\nThe pod.\n" in written
    assert '| `pod.labels` | `{"a": "1\\|2"}` | map | Its labels. |\n' in written
    assert '| `pod.mode` | `""` | empty, `fast` | How it runs. |\n' in written
    assert written.endswith("| `size` | `3` | 1 to 9 | How large, in metres. |\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SOURCE.replace("  # Its labels.\n", ""), "pod.labels has no comment right above it"),
        (SOURCE.replace("  labels:", "  label:"), "values.yaml has no pod.labels, which values.schema.json allows"),
        (SOURCE + "more: 1\n", "values.schema.json does not allow more, which values.yaml has"),
        (SOURCE.replace("size: 3\n", "\nsize: 3\n"), "size has no comment right above it"),
    ],
)
def test_values_without_text_or_schema_are_refused(source: str, said: str) -> None:
    with pytest.raises(ValuesError, match=said):
        table(source, SCHEMA)


def test_what_is_allowed_is_said_in_words() -> None:
    assert allowed({"type": ["integer", "null"], "minimum": 1}, {}) == "number, `null`, 1 or more"
    assert allowed({"type": "boolean"}, {}) == "`true`, `false`"


def test_the_readme_is_current() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    written = table((CHART / "values.yaml").read_text(), schema)
    assert (CHART / "README.md").read_text() == written, "deploy/chart/README.md is stale: run make docs"

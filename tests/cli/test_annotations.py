"""`habitat-webhook annotations`: four views of one registry."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.running import run
from webhook.options import PREFIX, REGISTRY, WRITTEN, Option

if TYPE_CHECKING:
    from collections.abc import Callable


def schema() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(run("annotations", "-o", "schema").stdout)
    return value


def holds(rule: dict[str, Any], text: str) -> bool:
    """Whether a text satisfies the keywords of JSON Schema that our schemas use; an unknown keyword fails the test."""
    checks: dict[str, Callable[[Any], bool]] = {
        "type": lambda wanted: wanted == "string",
        "enum": lambda words: text in words,
        "pattern": lambda pattern: re.search(pattern, text) is not None,
        "minLength": lambda length: len(text) >= length,
        "maxLength": lambda length: len(text) <= length,
        "not": lambda inner: not holds(inner, text),
        "anyOf": lambda rules: any(holds(one, text) for one in rules),
        "description": lambda _: True,
        "examples": lambda _: True,
        "default": lambda _: True,
    }
    return all(checks[keyword](value) for keyword, value in rule.items())


@pytest.mark.parametrize("option", REGISTRY, ids=lambda option: option.name)
def test_schema_takes_the_example_and_the_default_and_refuses_nonsense(option: Option) -> None:
    rule = schema()["properties"][option.key]
    assert holds(rule, option.example)
    assert "default" not in rule or holds(rule, rule["default"])
    option.kind.parse(option.example)
    assert not holds(rule, "")
    assert option.doc in rule["description"]


def test_schema_knows_every_annotation_under_our_prefix_and_no_other() -> None:
    whole = schema()
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(whole["properties"]) == {option.key for option in REGISTRY} | set(WRITTEN)
    names = whole["propertyNames"]
    assert all(holds(names, name) for name in whole["properties"])
    assert holds(names, "example.com/habitat.sh/service")
    assert not holds(names, "habitat.sh/sevrice")
    assert not holds(names, "habitat.sh/")
    assert whole["additionalProperties"] == {"type": "string"}


def test_json_says_all_that_is_declared() -> None:
    said = json.loads(run("annotations", "-o", "json").stdout)
    assert [entry["annotation"] for entry in said] == [option.key for option in REGISTRY]
    for entry, option in zip(said, REGISTRY, strict=True):
        assert (entry["doc"], entry["becomes"], entry["scope"]) == (option.doc, option.becomes, list(option.scope))
        assert entry["default"] == (list(option.default) if isinstance(option.default, tuple) else option.default)


def test_table_explains_every_annotation_within_the_terminal_s_width() -> None:
    for columns, width in (("100", 100), ("30", 60), ("500", 120)):
        lines = run("annotations", COLUMNS=columns).stdout.splitlines()
        assert max(map(len, lines)) <= width
        firsts = {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}
        assert firsts == {option.name for option in REGISTRY} | {key.removeprefix(PREFIX) for key in WRITTEN}


def test_every_link_of_the_page_and_of_error_messages_has_its_heading() -> None:
    page = run("annotations", "-o", "markdown").stdout
    anchors = [heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)]
    assert len(anchors) == len(set(anchors)), "of two equal headings the second gets another anchor"
    assert set(re.findall(r"\(#([^)]*)\)", page)) == {option.name for option in REGISTRY} <= set(anchors)


def test_page_is_proper_markdown_and_no_html() -> None:
    page = run("annotations", "-o", "markdown").stdout
    assert page.endswith("|\n")
    prose = re.sub(r"```.*?```|`[^`]*`|<!--.*?-->", "", page, flags=re.DOTALL)
    assert "<" not in prose
    for line in page.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in {3, 6}, line

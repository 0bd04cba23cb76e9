"""Unquoted scalars mean what they mean to Kubernetes, and values are written so that they mean the same again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.cli.yamlwrite import block_lines
from webhook.scalars import key_text, literal_lines, render_scalar, resolve_plain
from webhook.yamlnodes import read_stream, value_of

ANSWERS = json.loads((Path(__file__).parent / "data" / "scalars.json").read_text())
"""What sigs.k8s.io/yaml answers; scalars.go beside it writes the file."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["yes", "on", "y", "1e3", "0x1F", "012", "null", "~", "", "2001-01-01", "12:30", ".5", "-", "- a", "a: b", "a #b",
     "---", "...", "%YAML", "@a", "`a`", "*a", "&a", "!a", "|", ">", "[", "{", "'", '"', "\\", " a", "a ", "\ta", "a\t",
     "l1\nl2", "l1\nl2\n", "\n", "l1\n\nl2\n\n", " l1\nl2", "l1\r\nl2", "l1 \nl2", "\u2028", "\ufeff", "\x85",
     "\0", "\x7f", "😀", "🏳️‍🌈", "x" * 3000, "x " * 2000, "=", "<<"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Any:
    (part,) = read_stream(text, "test")
    assert part.root is not None
    return value_of(part.root, "test")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: a["text"])
def test_plain_scalar_has_the_value_that_kubernetes_gives_it(answer: dict[str, Any]) -> None:
    value = resolve_plain(answer["text"])
    if "error" in answer:
        assert isinstance(value, float)
        assert not math.isfinite(value)
    elif isinstance(value, float):
        assert not isinstance(answer["value"], str)
        assert value == float(answer["value"])
    else:
        assert (type(value), value) == (type(answer["value"]), answer["value"])


@pytest.mark.parametrize("answer", [a for a in ANSWERS if "key" in a], ids=lambda a: a["text"])
def test_key_has_the_text_that_kubernetes_gives_it(answer: dict[str, Any]) -> None:
    assert key_text(resolve_plain(answer["text"])) == answer["key"]


@pytest.mark.parametrize("answer", [a for a in ANSWERS if "key" not in a], ids=lambda a: a["text"])
def test_key_that_kubernetes_refuses_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"null|too large"):
        key_text(resolve_plain(answer["text"]))


@settings(deadline=None)
@given(JSON_VALUES)
def test_every_json_value_survives_being_written_and_read(value: Any) -> None:
    assert read("\n".join(block_lines(value, 0)) + "\n") == value


@settings(deadline=None)
@given(TEXTS)
def test_every_text_stays_a_text_for_other_yaml_parsers_too(text: str) -> None:
    """PyYAML reads YAML 1.1 in full: base 60, dates and all."""
    document = "\n".join(block_lines({"key": text, text: ["after", text]}, 2)) + "\n"
    assert yaml.safe_load(document) == (
        {"key": text, text: ["after", text]} if text != "key" else {"key": ["after", text]}
    )


@pytest.mark.parametrize("text", [a["text"] for a in ANSWERS])
def test_text_that_looks_like_another_type_is_quoted(text: str) -> None:
    rendered = render_scalar(text)
    assert read(f"a: {rendered}") == {"a": text}
    if not isinstance(resolve_plain(text), str):
        assert rendered[0] in "\"'"


@pytest.mark.parametrize(
    "text",
    ["--group=redis.default", "$(POD_IP)", "habitat.sh/service", "10Gi", "a b", "/services/redis", "core/redis:7"],
)
def test_what_needs_no_quotes_gets_none(text: str) -> None:
    assert render_scalar(text) == text


def test_json_text_is_written_in_single_quotes_without_backslashes() -> None:
    assert render_scalar('{"it\'s": "\\n"}') == """'{"it''s": "\\n"}'"""


def test_several_lines_are_written_as_a_literal_block() -> None:
    assert block_lines({"config": "a = 1\n\nb = 2\n"}, 0) == ["config: |", "  a = 1", "", "  b = 2"]
    assert block_lines(["a\nb"], 0) == ["- |-", "  a", "  b"]


@pytest.mark.parametrize(
    "text", ["one line", "", "\n", " a\nb", "\ta\nb", "a \nb", "a\n\n", "a\n\tb", "a\x85b\nc", "a\rb\nc"]
)
def test_text_that_a_block_could_change_is_quoted(text: str) -> None:
    assert literal_lines(text) is None
    assert read(f"a: {render_scalar(text)}") == {"a": text}


def test_key_too_long_for_a_simple_one_is_written_as_an_explicit_one() -> None:
    for value in ({"a": 1}, ["a"], "text", "l1\nl2"):
        assert read("\n".join(block_lines({"k" * 2000: value, "after": 1}, 0))) == {"k" * 2000: value, "after": 1}

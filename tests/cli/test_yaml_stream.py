"""Reading YAML: split where the parser says; what Kubernetes would not take is refused with its place."""

from __future__ import annotations

import re
from typing import Any

import pytest

from webhook.unreadable import Unreadable
from webhook.yamlnodes import MAX_DEPTH, read_stream, value_of


def read(text: str) -> list[Any]:
    return [value_of(part.root, "f.yaml") for part in read_stream(text, "f.yaml") if part.root]


def refusal(text: str) -> str:
    with pytest.raises(Unreadable) as caught:
        read(text)
    return str(caught.value)


STREAMS = {
    "one document": "a: 1\n",
    "no last line break": "a: 1\n---\nb: 2",
    "comments everywhere": "# 1\n\n---\n# 2\na: 1 # 3\n# 4\n---   # 5\n# 6\nb: 2\n# 7\n",
    "empty documents": "---\n---\n# nothing\n---\na: 1\n---\n",
    "document ends and directives": "%YAML 1.1\n---\na: 1\n...\n# between\n---\nb: 2\n...\n%YAML 1.1\n---\nc: 3\n...\n",
    "marks inside texts": "a: |\n  ---\n  b: 2\n\nc: '\n\n  --- '\nd: \"---\"\n---\n- e\n",
    "windows line ends": "# 1\r\na: 1\r\n---\r\nb: |\r\n  2\r\n",
    "content on the marker's line": "--- {a: 1}\n--- [b]\n--- |\n c\n",
    "emoji before marks": "# 😀😀😀\na: 😀\n--- # 🏳️‍🌈\nb: é\n",
}


@pytest.mark.parametrize("text", STREAMS.values(), ids=STREAMS.keys())
def test_texts_of_the_documents_joined_are_the_text(text: str) -> None:
    assert "".join(part.text for part in read_stream(text, "f.yaml")) == text


def test_each_document_is_read_alone_as_well_as_in_its_stream() -> None:
    for text in STREAMS.values():
        parts = read_stream(text, "f.yaml")
        assert [read(part.text) for part in parts] == [[value_of(part.root, "")] for part in parts if part.root]


def test_text_of_comments_alone_is_one_part_without_value() -> None:
    (part,) = read_stream("# nothing here\n", "f.yaml")
    assert (part.text, part.root) == ("# nothing here\n", None)
    assert read_stream("", "f.yaml") == []


def test_aliases_are_expanded_to_copies_of_their_own() -> None:
    (value,) = read("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n")
    assert value == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, {"b": [1]}]}
    value["c"]["b"].append(2)
    assert value["a"] == value["d"][0] == {"b": [1]}


def test_merge_key_adds_what_is_not_said() -> None:
    (value,) = read("base: &b {x: 1, w: 2}\nmore: &m {w: 3, z: 4}\na:\n  <<: [*b, *m]\n  x: 9\n")
    assert value["a"] == {"x": 9, "w": 2, "z": 4}


def test_core_tags_are_obeyed() -> None:
    assert read('[!!str 12, !!int "0x1F", !!float 3, !!bool "yes", !!null "", !!timestamp 2001-01-01, ! 5]') == [
        ["12", 31, 3.0, True, None, "2001-01-01", "5"]
    ]
    assert read("!!map {a: !!seq [1]}") == [{"a": [1]}]


def test_whole_numbers_written_as_floats_stay_whole_in_json() -> None:
    """Go's encoder writes 1e3 as 1000, and a field that is an integer takes no 1000.0."""
    assert repr(read("[1e3, 3.0, 1e20, -2e0, 1.5, 1e21]")) == "[[1000, 3, 100000000000000000000, -2, 1.5, 1e+21]]"


REFUSED = {
    "a: 1\n b: 2\n": r"f.yaml:2:3: mapping values are not allowed",
    "a: [1\nb: 2\n": r"f.yaml:2:2: .*expected ',' or ']'",
    "a:\n\tb: 1\n": r"f.yaml:2:1: .*; indent with spaces: YAML knows no tabs there",
    "a: {{ .Values.a }}: b\n": r"f.yaml:1:\d+: .*; this looks like a Helm template",
    "{{ .Values.a }}: b\n": r"f.yaml:1:1: a mapping as a key; .*render it first",
    "a: 1\nb: 2\na: 3\n": r"f.yaml:3:1: the key 'a' is there already, on line 1; remove one of the two",
    "a: 1\n---\nb: {c: 1, c: 2}\n": r"f.yaml:3:11: the key 'c' is there already, on line 3",
    "yes: 1\n'true': 2\n": r"f.yaml:2:1: the key 'true' is there already",
    "a: !!binary aGk=\n": r"f.yaml:1:4: the tag !!binary means nothing to Kubernetes; write the base64 text without",
    "a: !Ref b\n": r"f.yaml:1:4: the tag !Ref means nothing to Kubernetes; remove the tag",
    "a: !!set {b}\n": r"f.yaml:1:4: the tag !!set means nothing",
    "a: !!int x\n": r"f.yaml:1:4: 'x' is not what its tag !!int says",
    "a: !!python/object:os.system {}\n": r"f.yaml:1:4: the tag !!python/object:os.system means nothing",
    "a: *b\n": r"f.yaml:1:4: \*b refers to no anchor before it; write &b",
    "a: 1\n---\nb: &x [*x]\n": r"f.yaml:3:8: the anchor &x contains itself",
    "~: 1\n": r"f.yaml:1:1: the key is null, and a key must be a text; quote it",
    "[1]: 2\n": r"f.yaml:1:1: a sequence as a key; a key is a text",
    "a: .inf\n": r"f.yaml:1:4: \.inf has no place in JSON; quote it",
    "a: 1\nb: \x01\n": r"f.yaml:2:4: the character U\+0001 is not allowed in YAML; write it escaped",
    "😀: \0": r"f.yaml:1:4: the character U\+0000",
    "a: &x {b: 1}\nc: {b: 2, <<: *x}\n": r"f.yaml:2:11: << would take the place of the key 'b' above it",
    "a: &x {b: 1}\nc: {<<: *x, <<: *x}\n": r"f.yaml:2:13: a second <<; give one << a list",
    "a: &x [1]\nc: {<<: *x}\n": r"f.yaml:2:9: << with a scalar",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubernetes_would_not_take_is_refused_with_line_and_column(text: str) -> None:
    assert re.match(REFUSED[text], refusal(text)), refusal(text)


def test_bomb_of_aliases_is_refused_before_it_is_expanded() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    assert re.match(
        r"f.yaml:1:1: the aliases expand to 1\d{39,} nodes; write the document without", refusal("\n".join(levels))
    )


def test_nesting_beyond_any_object_is_refused() -> None:
    assert f"nested more than {MAX_DEPTH} levels deep" in refusal("[" * 5000)
    assert f"nested more than {MAX_DEPTH} levels deep" in refusal("- " * 5000)
    assert len(read("[" * MAX_DEPTH + "]" * MAX_DEPTH)) == 1

"""JSON documents one after the other, as kubectl reads them; what Go and Python read differently is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from webhook.unreadable import Unreadable
from webhook.yamlnodes import MAX_DEPTH

_INDENT = 4  # kubectl's own


def may_be_json(text: str) -> bool:
    """Whether a text begins as an object of JSON does, or a mapping of YAML in flow style."""
    return text.lstrip().startswith("{")


def is_json_object(text: str) -> bool:
    """Whether a text that may be JSON is meant to be: its first key stands in quotes."""
    return text.lstrip().removeprefix("{").lstrip().startswith('"')


def dump_json(value: Any) -> str:
    return json.dumps(value, indent=_INDENT, ensure_ascii=False)


def read_json(text: str, source: str) -> list[tuple[Any, str]]:
    """The values of the documents, each with its own text.

    Raises json.JSONDecodeError where the text is not JSON, Unreadable where it is but would not reach the API server.
    """

    def refuse(what: str, advice: str) -> Unreadable:
        return Unreadable(source, what, advice=advice)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise refuse(f"the key {twice!r} stands twice in one object", "remove one of the two")
        return value

    def constant(word: str) -> Any:
        raise refuse(f"{word} is not JSON", "write a number")

    def number(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise refuse(f"the number {digits} is out of range", "Kubernetes knows 64-bit numbers only")
        return value

    decoder = json.JSONDecoder(object_pairs_hook=members, parse_constant=constant, parse_float=number)
    values = []
    position = _skip_space(text, 0)
    while position < len(text):
        try:
            value, end = decoder.raw_decode(text, position)
        except RecursionError as error:
            raise refuse(f"nested more than {MAX_DEPTH} levels deep", "no Kubernetes object is that deep") from error
        _refuse_impossible(value, source)
        values.append((value, text[position:end]))
        position = _skip_space(text, end)
    return values


def _skip_space(text: str, position: int) -> int:
    return len(text) - len(text[position:].lstrip(" \t\r\n"))


def _refuse_impossible(value: Any, source: str) -> None:
    """Depth beyond any object's, and half a surrogate pair, which no output can carry."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        texts = [item for item in level if isinstance(item, str)]
        texts += [key for item in level if isinstance(item, dict) for key in item]
        for text in texts:
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                advice = r"write both halves, as \ud83d\ude00"
                raise Unreadable(source, f"{text!a} has half of a surrogate pair", advice=advice)
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise Unreadable(source, f"nested more than {MAX_DEPTH} levels deep", advice="no Kubernetes object is that deep")

"""Values as YAML in block style, in the order of their keys; sequences stand at their key's own column, as kubectl writes."""

from __future__ import annotations

from typing import Any

from webhook.cli.scalars import literal_lines, render_scalar

INDENT = 2
_SIMPLE_KEY_LIMIT = 128  # go-yaml and libyaml read a longer one only when it begins with "? "


def block_lines(value: Any, indent: int) -> list[str]:
    """The lines of a mapping, a sequence or a scalar as a node of its own, indented by `indent` spaces."""
    pad = " " * indent
    if isinstance(value, dict) and value:
        return [line for key, child in value.items() for line in entry_lines(key, child, indent)]
    if isinstance(value, list) and value:
        return [line for child in value for line in item_lines(child, indent)]
    return [pad + _inline(value)]


def entry_lines(key: str, value: Any, indent: int, sequence_indent: int = 0) -> list[str]:
    """`key: value` as lines of a block mapping at column `indent`; a sequence below it is `sequence_indent` further in."""
    pad, name = " " * indent, render_scalar(key)
    head = f"{pad}{name}:" if len(name) <= _SIMPLE_KEY_LIMIT else f"{pad}? {name}\n{pad}:"
    if isinstance(value, dict) and value:
        return [*head.split("\n"), *block_lines(value, indent + INDENT)]
    if isinstance(value, list) and value:
        return [*head.split("\n"), *block_lines(value, indent + sequence_indent)]
    return _scalar_lines(head, value, indent)


def item_lines(value: Any, indent: int) -> list[str]:
    """`- value` as lines of a block sequence at column `indent`."""
    pad = " " * indent
    if isinstance(value, (dict, list)) and value:
        first, *rest = block_lines(value, indent + INDENT)
        return [f"{pad}- {first[indent + INDENT :]}", *rest]
    return _scalar_lines(pad + "-", value, indent)


def _scalar_lines(head: str, value: Any, indent: int) -> list[str]:
    block = literal_lines(value) if isinstance(value, str) else None
    if block is None:
        return f"{head} {_inline(value)}".split("\n")
    header, lines = block
    pad = " " * (indent + INDENT)
    return [*f"{head} {header}".split("\n"), *(pad + line if line else "" for line in lines)]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return render_scalar(value)

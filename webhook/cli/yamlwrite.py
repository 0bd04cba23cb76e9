"""Values as YAML in block style, keys in their order; sequences stand at their key's column, as kubectl writes them."""

from __future__ import annotations

from typing import Any

from webhook.scalars import literal_lines, render_scalar

INDENT = 2
_SIMPLE_KEY_LIMIT = 128
"""go-yaml and libyaml read a long key only when it begins with "? "; their limit is 1024 characters of one line."""


def block_lines(value: Any, indent: int, step: int = 0) -> list[str]:
    """The lines of a value as a node of its own at column `indent`; sequences below a key stand `step` further in."""
    if isinstance(value, dict) and value:
        return [line for key, child in value.items() for line in entry_lines(key, child, indent, step)]
    if isinstance(value, list) and value:
        return [line for child in value for line in item_lines(child, indent, step)]
    return [" " * indent + _inline(value)]


def entry_lines(key: str, value: Any, indent: int, step: int = 0) -> list[str]:
    """`key: value` as lines of a block mapping at column `indent`."""
    pad, name = " " * indent, render_scalar(key)
    heads = [f"{pad}{name}:"] if len(name) <= _SIMPLE_KEY_LIMIT else [f"{pad}? {name}", f"{pad}:"]
    if isinstance(value, dict) and value:
        return [*heads, *block_lines(value, indent + INDENT, step)]
    if isinstance(value, list) and value:
        return [*heads, *block_lines(value, indent + step, step)]
    return [*heads[:-1], *_scalar_lines(heads[-1], value, indent)]


def item_lines(value: Any, indent: int, step: int = 0) -> list[str]:
    """`- value` as lines of a block sequence at column `indent`."""
    pad = " " * indent
    if isinstance(value, dict | list) and value:
        first, *rest = block_lines(value, indent + INDENT, step)
        return [f"{pad}- {first[indent + INDENT :]}", *rest]
    return _scalar_lines(pad + "-", value, indent)


def _scalar_lines(head: str, value: Any, indent: int) -> list[str]:
    block = literal_lines(value) if isinstance(value, str) else None
    if block is None:
        return [f"{head} {_inline(value)}"]
    header, lines = block
    pad = " " * (indent + INDENT)
    return [f"{head} {header}", *(pad + line if line else "" for line in lines)]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return render_scalar(value)

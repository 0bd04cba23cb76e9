"""Whether a change to a JSON document only added to it: the rule that nothing of the user's is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

OURS = frozenset({"habitat.sh/injected", "habitat.sh/peers", "habitat.sh/config-generation"})
"""Annotations that the webhook may write over."""


def losses(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where something of `before` is missing, moved or different in `after`; nothing when all of it is there.

    Members may have been added to objects and elements to arrays, anywhere, as long as those of before keep their
    order; a null may have become an object or an array.
    """
    if before is None and (after is None or isinstance(after, dict | list)):
        return
    if type(before) is not type(after):
        yield f"{path}: {before!r} became {after!r}"
    elif isinstance(before, dict):
        for key, value in before.items():
            if key in OURS:
                continue
            if key not in after:
                yield f"{path}/{key}: lost"
            else:
                yield from losses(value, after[key], f"{path}/{key}")
    elif isinstance(before, list):
        yield from _list_losses(before, after, path)
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


def _list_losses(before: list[Any], after: list[Any], path: str) -> Iterator[str]:
    """Each element must be found, unharmed, behind the one before it."""
    at = 0
    for index, value in enumerate(before):
        found = next((n for n in range(at, len(after)) if not any(losses(value, after[n]))), None)
        if found is None:
            yield f"{path}/{index}: {_named(value)} is lost, moved or changed"
            return
        at = found + 1


def _named(value: Any) -> str:
    return str(value.get("name", value)) if isinstance(value, dict) else repr(value)

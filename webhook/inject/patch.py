"""RFC 6902 operations: hand-built, only `add` and `replace`, each checked on a copy before it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jsonpatch

from webhook.inject.record import NULL

Pod = dict[str, Any]
Operation = dict[str, Any]


class Patch:
    """Operations in the order in which they apply, and the collections that they create.

    created: names of collections ("env", "labels") that the pod did not have.
    """

    __slots__ = ("created", "operations")

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.created: list[str] = []

    def add(self, path: str, value: Any) -> None:
        self.operations.append({"op": "add", "path": path, "value": value})

    def replace(self, path: str, value: Any) -> None:
        self.operations.append({"op": "replace", "path": path, "value": value})

    def append(self, parent: Any, path: str, name: str, items: list[Any]) -> None:
        """Put items at the end of the array parent[name], making it when it is absent, null or empty."""
        if not items:
            return
        if parent.get(name):
            for item in items:
                self.add(f"{path}/{name}/-", item)
        else:
            self._create(parent, path, name, items)

    def update(self, parent: Any, path: str, name: str, members: dict[str, Any]) -> None:
        """Put members into the object parent[name], made when it is absent or null; a member that is there is
        replaced.
        """
        if not members:
            return
        existing = parent.get(name)
        if existing is None:
            self._create(parent, path, name, members)
            return
        for key, value in members.items():
            write = self.replace if key in existing else self.add
            write(f"{path}/{name}/{escape(key)}", value)

    def _create(self, parent: Any, path: str, name: str, value: Any) -> None:
        if name not in parent:
            self.created.append(name)
        elif parent[name] is None:
            self.created.append(name + NULL)
        self.add(f"{path}/{name}", value)


def escape(token: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 §3)."""
    return token.replace("~", "~0").replace("/", "~1")


def covers(existing: Any, wanted: Any) -> bool:
    """Whether `existing` says everything that `wanted` says.

    More may be there: the API server fills in defaults (a probe's scheme, a fieldRef's apiVersion) between two calls of
    one admission, and equality would then see a difference where there is none.
    """
    if isinstance(wanted, dict):
        return isinstance(existing, dict) and all(k in existing and covers(existing[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(existing, list) and len(existing) == len(wanted)
        return same_length and all(map(covers, existing, wanted))
    return bool(existing == wanted)


def apply(pod: Pod, operations: Iterable[Operation]) -> Pod:
    """A new pod with the operations applied (RFC 6902, by `jsonpatch`); `pod` stays as it is.

    Only what an operation writes into is copied: the rest is shared with `pod`. Raises jsonpatch.JsonPatchException or
    jsonpointer.JsonPointerException when an operation cannot be applied.
    """
    operations = list(operations)
    copy = _copy_along(pod, [o["path"].split("/")[1:-1] for o in operations])
    patched: Pod = jsonpatch.JsonPatch(operations).apply(copy, in_place=True)
    return patched


def _copy_along(pod: Pod, parents: list[list[str]]) -> Pod:
    """A copy of the pod in which every container on these paths is new, and everything else is shared."""
    top = dict(pod)
    copied: set[tuple[str, ...]] = set()
    for tokens in parents:
        at: Any = top
        for depth, token in enumerate(tokens, start=1):
            key: Any = int(token) if isinstance(at, list) else token.replace("~1", "/").replace("~0", "~")
            if isinstance(at, dict) and key not in at:
                break  # made by an operation further up the list
            if (trail := tuple(tokens[:depth])) not in copied:
                copied.add(trail)
                at[key] = at[key].copy()
            at = at[key]
    return top

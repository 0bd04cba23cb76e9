"""Injecting into a pod that has been injected before.

Within one admission the webhook is called again when another one has changed the pod; and a template copied from a
live pod brings the parts and the record of an injection that may no longer be wanted. Both are told apart by comparing
the pod with what a fresh injection into its bare form would make:

- everything of that is there by name, and the settings are the same: nothing is done. What another webhook has made of
  our parts (a mesh rewrites probes) is its business, and stays.
- otherwise: each field that differs is written as the fresh injection has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.patch import Operation, Pod, covers
from webhook.inject.uninject import PROBES

_LISTS = ("args", "env", "ports", "volumeMounts")


def complete(present: Pod, wanted: Pod) -> bool:
    """Whether the pod has, by name, every part that a fresh injection would give it."""
    return all(_names(name, now).issuperset(_names(name, fresh)) for _, name, now, fresh in _fields(present, wanted))


def settle(present: Pod, wanted: Pod) -> list[Operation]:
    """Operations that give the pod the fields that an injection owns as `wanted` has them.

    A field that is to go is replaced by null, which the API server reads as absent; RFC 6902's `remove` is never sent.
    """
    operations = []
    for path, _, now, fresh in _fields(present, wanted):
        if now is None and fresh is not None:
            operations.append({"op": "add", "path": path, "value": fresh})
        elif now is not None and not _same(now, fresh):
            operations.append({"op": "replace", "path": path, "value": fresh})
    return operations


def _same(now: Any, fresh: Any) -> bool:
    """Equal but for what the API server has filled in; a label or a list's member too many is a difference."""
    if isinstance(now, dict) and isinstance(fresh, dict) and all(isinstance(value, str) for value in now.values()):
        return now == fresh
    return covers(now, fresh)


def _fields(present: Pod, wanted: Pod) -> Iterator[tuple[str, str, Any, Any]]:
    """(JSON Pointer, name, present value, wanted value) of each field that an injection may write."""
    now, fresh = mapping(present, "metadata"), mapping(wanted, "metadata")
    yield "/metadata/labels", "labels", now.get("labels"), fresh.get("labels")
    now, fresh = mapping(present, "spec"), mapping(wanted, "spec")
    yield "/spec/volumes", "volumes", now.get("volumes"), fresh.get("volumes")
    yield "/spec/securityContext", "securityContext", now.get("securityContext"), fresh.get("securityContext")
    for kind in ("containers", "initContainers"):
        mine, theirs = sequence(now, kind), sequence(fresh, kind)
        if [c.get("name") for c in mine] != [c.get("name") for c in theirs]:
            yield f"/spec/{kind}", kind, now.get(kind), fresh.get(kind)
            continue
        for index, (container, made) in enumerate(zip(mine, theirs, strict=True)):
            for name in (*_LISTS, *PROBES):
                yield f"/spec/{kind}/{index}/{name}", name, container.get(name), made.get(name)


def _names(name: str, value: Any) -> set[Any]:
    """What the parts of a field go by."""
    match value:
        case None:
            return set()
        case Mapping():
            return set(value.items()) if name == "labels" else {name}
        case _ if name == "ports":
            return {(port.get("containerPort"), port.get("protocol") or "TCP") for port in value}
        case _:
            key = "mountPath" if name == "volumeMounts" else "name"
            return {item.get(key) if isinstance(item, dict) else item for item in value}

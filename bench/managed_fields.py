"""metadata.managedFields as the API server writes it: the set of fields that a manager owns, as a tree (KEP-555)."""

from __future__ import annotations

import json
from typing import Any

_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
    "ownerReferences": ("uid",),
}
"""Lists of a pod that are merged by key (kubernetes/api core/v1, x-kubernetes-list-map-keys); others are one field."""

_ALWAYS_THERE = {"metadata", "spec", "containers"}
"""Members that are never absent: nobody owns their being there, so they have no "." of their own."""

_ATOMIC = {"secretKeyRef", "configMapKeyRef", "fieldRef", "ownerReferences"}
"""What is owned as a whole (x-kubernetes-map-type: atomic)."""

_UNTRACKED = {"apiVersion", "kind", "name", "namespace", "managedFields"}


def managed_fields(pod: dict[str, Any], manager: str, when: str) -> list[dict[str, Any]]:
    """One entry, for a pod that `manager` has created with all that is in it. when: RFC 3339."""
    metadata = {name: value for name, value in pod["metadata"].items() if name not in _UNTRACKED}
    fields = _members({"metadata": metadata, "spec": pod["spec"]})
    return [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": when,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    ]


def _members(value: dict[str, Any]) -> dict[str, Any]:
    return {f"f:{name}": _field(name, value[name]) for name in sorted(value)}


def _field(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value and name not in _ATOMIC:
        return _there(name) | _members(value)
    if isinstance(value, list) and name in _KEYS:
        items = {f"k:{_key(item, _KEYS[name])}": item for item in value}
        whole = name in _ATOMIC
        return _there(name) | {k: {} if whole else {".": {}} | _members(items[k]) for k in sorted(items)}
    return {}


def _there(name: str) -> dict[str, Any]:
    return {} if name in _ALWAYS_THERE else {".": {}}


def _key(item: dict[str, Any], names: tuple[str, ...]) -> str:
    return json.dumps({name: item[name] for name in names}, separators=(",", ":"))

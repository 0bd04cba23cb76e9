"""Volumes and mounts: what the spec asks for, what the user has at the same name or path, and who gives way.

Nothing of the user's is overwritten: a name or a mount path that is taken is a problem, unless it says what would be
injected anyway.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.decide import sequence
from webhook.inject.patch import Patch, covers
from webhook.problems import Findings, shown


@dataclass(slots=True)
class Storage:
    """What is to be there: volumes by name, mounts of the target by path; `users` are the user's mount paths."""

    users: frozenset[str]
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    mounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def volume(self, name: str, source: dict[str, Any]) -> None:
        self.volumes[name] = {"name": name, **source}

    def mount(self, name: str, path: str, *, read_only: bool = False) -> None:
        self.mounts[path] = {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})

    def scratch(self, name: str, path: str) -> None:
        """An emptyDir at a path, unless the user has mounted something there."""
        if path not in self.users:
            self.volume(name, {"emptyDir": {}})
            self.mount(name, path)

    def below(self, folder: str) -> bool:
        """Whether anything, the user's or ours, is mounted below a folder."""
        return any(path.startswith(folder + "/") for path in (*self.users, *self.mounts))


def users_mounts(container: Mapping[str, Any]) -> frozenset[str]:
    """The mount paths of the target, normalised."""
    paths = (m.get("mountPath") for m in sequence(container, "volumeMounts"))
    return frozenset(normal(p) for p in paths if isinstance(p, str))


def normal(path: str) -> str:
    """A mount path without what does not count; most have nothing of it, and `normpath` costs as much as ten
    look-ups.
    """
    untidy = path.endswith("/") or "//" in path or "/." in path
    return posixpath.normpath(path) if untidy else path


def write(
    patch: Patch,
    path: str,
    where: str,
    spec: Mapping[str, Any],
    container: Mapping[str, Any],
    storage: Storage,
    findings: Findings,
) -> None:
    """Operations for what is missing."""
    _write(patch, "/spec", "spec.volumes", spec, "volumes", "name", storage.volumes, findings)
    mounts = f"{where}.volumeMounts"
    _write(patch, path, mounts, container, "volumeMounts", "mountPath", storage.mounts, findings)


def _write(
    patch: Patch,
    path: str,
    where: str,
    parent: Mapping[str, Any],
    name: str,
    key: str,
    wanted: Mapping[str, dict[str, Any]],
    findings: Findings,
) -> None:
    present = {}
    for item in sequence(parent, name):
        at = item.get(key)
        present[normal(at) if key == "mountPath" and isinstance(at, str) else at] = item
    missing = []
    for label, item in wanted.items():
        if label not in present:
            missing.append(item)
            continue
        if not covers(present[label], item):
            taken = f"{shown(label)} is taken" if key == "name" else f"something else is mounted at {shown(label)}"
            findings.problem(where, taken, "the webhook needs it: use another name or path, or remove the annotation")
    patch.append(parent, path, name, missing)

"""The inverse of an injection, from its record: `uninject(apply(pod, inject(pod).operations))` is `pod` again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.files import COPIER
from webhook.inject.membership import LABELS
from webhook.inject.patch import Pod
from webhook.inject.ports import NAMES as PORT_NAMES
from webhook.inject.record import NULL, Record, read
from webhook.inject.volumes import PREFIX as OURS
from webhook.kinds import PROBE_NAMES
from webhook.options import CONFIG_GENERATION, INJECTED, PEERS


def uninject(pod: Pod) -> Pod:
    """A new pod without what the webhook put in; the same pod when it carries no record of an injection."""
    record = read(mapping(mapping(pod, "metadata"), "annotations"))
    if record is None:
        return pod
    bare = copy.deepcopy(pod)
    created = frozenset(record.created)
    spec, metadata = bare.get("spec"), bare["metadata"]
    if isinstance(spec, dict):
        _filter(spec, "initContainers", created, lambda c: c.get("name") != COPIER)
        for container in (*sequence(spec, "containers"), *sequence(spec, "initContainers")):
            if isinstance(container, dict) and container.get("name") == record.container:
                _clean(container, record, created)
        _filter(spec, "volumes", created, lambda v: not _ours(v))
        if any(name.startswith(("fsGroup", "securityContext")) for name in created):
            _drop(spec, "securityContext", created, ("fsGroup",))
    _drop(metadata, "labels", created, LABELS)
    _drop(metadata, "annotations", created, (INJECTED, PEERS, CONFIG_GENERATION))
    if "metadata" in created and not metadata:
        del bare["metadata"]
    return bare


def _clean(container: dict[str, Any], record: Record, created: frozenset[str]) -> None:
    args = sequence(container, "args")
    for text in reversed(record.args):
        if text in args:
            del args[len(args) - 1 - args[::-1].index(text)]
    _restore(container, "args", created)
    _filter(container, "env", created, lambda v: v.get("name") not in record.env)
    _filter(container, "ports", created, lambda p: p.get("name") not in PORT_NAMES)
    _filter(container, "volumeMounts", created, lambda m: not _ours(m) and m.get("mountPath") not in record.mounts)
    for name in PROBE_NAMES:
        if not created.isdisjoint((f"{name}Probe", f"{name}Probe{NULL}")):
            container[f"{name}Probe"] = {}
            _restore(container, f"{name}Probe", created)


def _ours(item: dict[str, Any]) -> bool:
    return str(item.get("name", "")).startswith(OURS)


def _filter(parent: dict[str, Any], name: str, created: frozenset[str], keep: Callable[[dict[str, Any]], bool]) -> None:
    if isinstance(parent.get(name), list):
        parent[name] = [item for item in parent[name] if not isinstance(item, dict) or keep(item)]
    _restore(parent, name, created)


def _drop(parent: dict[str, Any], name: str, created: frozenset[str], keys: Iterable[str]) -> None:
    for key in keys:
        if isinstance(parent.get(name), dict):
            parent[name].pop(key, None)
    _restore(parent, name, created)


def _restore(parent: dict[str, Any], name: str, created: frozenset[str]) -> None:
    """A collection that is empty again becomes what it was: absent, null, or empty."""
    if parent.get(name) in ([], {}):
        if name in created:
            del parent[name]
        elif name + NULL in created:
            parent[name] = None

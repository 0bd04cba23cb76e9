"""The inverse of an injection, from its record: `uninject(apply(pod, inject(pod).operations))` is `pod` again."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.patch import Pod
from webhook.inject.record import NULL, Record, read
from webhook.kinds import PROBE_NAMES
from webhook.options import CONFIG_GENERATION, INJECTED, PEERS

PROBES = tuple(f"{name}Probe" for name in PROBE_NAMES)
_KEYS = {"env": "name", "ports": "name", "volumeMounts": "mountPath", "volumes": "name", "initContainers": "name"}


def uninject(pod: Pod) -> Pod:
    """A new pod without what the webhook put in; the same pod when it carries no record of an injection."""
    record = read(mapping(mapping(pod, "metadata"), "annotations"))
    if record is None:
        return pod
    bare = copy.deepcopy(pod)
    metadata, spec = bare["metadata"], bare.get("spec")
    if isinstance(spec, dict):
        _take_out(spec, "initContainers", record)
        for container in (*sequence(spec, "containers"), *sequence(spec, "initContainers")):
            if container.get("name") == record.container:
                _clean(container, record)
        _take_out(spec, "volumes", record)
        if any(name.startswith(("fsGroup", "securityContext")) for name in record.created):
            _drop(spec, "securityContext", ("fsGroup",), record)
    _drop(metadata, "labels", record.added.get("labels", ()), record)
    _drop(metadata, "annotations", (INJECTED, PEERS, CONFIG_GENERATION), record)
    if "metadata" in record.created and not metadata:
        del bare["metadata"]
    return bare


def _clean(container: dict[str, Any], record: Record) -> None:
    args = sequence(container, "args")
    for text in reversed(record.added.get("args", ())):
        if text in args:
            del args[len(args) - 1 - args[::-1].index(text)]
    _restore(container, "args", record)
    for name in ("env", "ports", "volumeMounts"):
        _take_out(container, name, record)
    for probe in PROBES:
        if probe in record.created or probe + NULL in record.created:
            container[probe] = {}
            _restore(container, probe, record)


def _take_out(parent: dict[str, Any], name: str, record: Record) -> None:
    ours = record.added.get(name, ())
    if isinstance(parent.get(name), list):
        parent[name] = [item for item in parent[name] if item.get(_KEYS[name]) not in ours]
    _restore(parent, name, record)


def _drop(parent: dict[str, Any], name: str, keys: Iterable[str], record: Record) -> None:
    for key in keys:
        if isinstance(parent.get(name), dict):
            parent[name].pop(key, None)
    _restore(parent, name, record)


def _restore(parent: dict[str, Any], name: str, record: Record) -> None:
    """A collection that is empty again becomes what it was: absent, null, or empty."""
    if parent.get(name) in ([], {}):
        if name in record.created:
            del parent[name]
        elif name + NULL in record.created:
            parent[name] = None

"""What an injection put into a pod, as short lines for people, grouped by part.

A name that differs from workload to workload stands as `<service>`, `<group>`, `<ring>`, so that what is alike in all
of them is seen to be alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.inject import uninject

Pod = dict[str, Any]
Lines = dict[str, list[str]]

PARTS = ("args", "env", "ports", "probes", "mounts", "init container", "pod", "labels")
_VALUE_SHOWN = 60
_MOST = 0.75
"""Share of the workloads from which on a line is usual."""


def added(pod: Pod, container: str) -> Lines:
    """Part -> lines: everything that the pod has and its bare form (`uninject`) has not."""
    bare = uninject(pod)
    new, old = _target(pod, container), _target(bare, container)
    volumes = {v["name"]: v for v in pod["spec"].get("volumes", ())}
    lines = {
        "args": _without(new.get("args"), old.get("args")),
        "env": [_variable(v) for v in _without(new.get("env"), old.get("env"))],
        "ports": [_port(p) for p in _without(new.get("ports"), old.get("ports"))],
        "probes": [_probe(n, new[n + "Probe"]) for n in ("readiness", "startup", "liveness") if _gained(new, old, n)],
        "mounts": [_mount(m, volumes) for m in _without(new.get("volumeMounts"), old.get("volumeMounts"))],
        "init container": [
            f"{c['name']} ({c['image']})"
            for c in _without(pod["spec"].get("initContainers"), bare["spec"].get("initContainers"))
        ],
        "pod": _fs_group(pod, bare),
        "labels": [
            f"{k}={v}"
            for k, v in pod["metadata"].get("labels", {}).items()
            if k not in bare["metadata"].get("labels", {})
        ],
    }
    return {part: [_general(line, pod) for line in found] for part, found in lines.items()}


def usual(all_lines: list[Lines]) -> Lines:
    """The lines that most of them have, in the order of the first."""
    seen = {part: list(dict.fromkeys(x for lines in all_lines for x in lines[part])) for part in PARTS}
    most = len(all_lines) * _MOST

    def frequent(part: str, line: str) -> bool:
        return sum(line in lines[part] for lines in all_lines) >= most

    return {part: [x for x in seen[part] if frequent(part, x)] for part in PARTS}


def minus(lines: Lines, others: Lines) -> Lines:
    return {part: [x for x in lines[part] if x not in others[part]] for part in PARTS}


def _general(line: str, pod: Pod) -> str:
    labels, namespace = pod["metadata"].get("labels", {}), pod["metadata"]["namespace"]
    service, group, ring = (labels.get(f"habitat.sh/{name}") for name in ("service", "group", "ring"))
    for said, meant in (
        (f"/services/{service}/{group}/", "/services/<service>/<group>/"),
        (f"habitat-ring-{ring}.{namespace}.", "habitat-ring-<ring>.<namespace>."),
    ):
        line = line.replace(said, meant)
    whole = {
        f"HABITAT_RING={ring}": "HABITAT_RING=<ring>",
        f"habitat.sh/service={service}": "habitat.sh/service=<service>",
        f"habitat.sh/group={group}": "habitat.sh/group=<group>",
        f"habitat.sh/ring={ring}": "habitat.sh/ring=<ring>",
        f"habitat.sh/topology={labels.get('habitat.sh/topology')}": "habitat.sh/topology=<topology>",
    }
    return whole.get(line, line)


def _target(pod: Pod, name: str) -> dict[str, Any]:
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    found: dict[str, Any] = next(c for c in containers if c["name"] == name)
    return found


def _without(new: list[Any] | None, old: list[Any] | None) -> list[Any]:
    return [item for item in new or () if item not in (old or ())]


def _gained(new: Mapping[str, Any], old: Mapping[str, Any], probe: str) -> bool:
    return probe + "Probe" in new and probe + "Probe" not in old


def _variable(variable: Mapping[str, Any]) -> str:
    source = variable.get("valueFrom", {})
    if "secretKeyRef" in source:
        return f"{variable['name']} ← Secret {source['secretKeyRef']['name']}, key {source['secretKeyRef']['key']}"
    if "fieldRef" in source:
        return f"{variable['name']} ← {source['fieldRef']['fieldPath']}"
    return f"{variable['name']}={short(str(variable.get('value', '')))}"


def short(text: str) -> str:
    """A text of several lines as one, without its comments, cut where it is long."""
    line = " ⏎ ".join(x.strip() for x in text.strip().splitlines() if not x.lstrip().startswith("#"))
    return line if len(line) <= _VALUE_SHOWN else line[: _VALUE_SHOWN - 1] + "…"


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']} {port['containerPort']}/{port.get('protocol', 'TCP')}"


def _probe(name: str, probe: Mapping[str, Any]) -> str:
    every = f", every {probe['periodSeconds']} s"
    if "httpGet" in probe:
        return f"{name}: GET :{probe['httpGet']['port']}{probe['httpGet']['path']}{every}"
    return f"{name}: exec {probe['exec']['command'][-1]}{every}"


def _mount(mount: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{mount['mountPath']} ← {_source(mount['name'], volumes.get(mount['name'], {}))}"


def _source(name: str, volume: Mapping[str, Any]) -> str:
    if "downwardAPI" in volume:
        return "annotation habitat.sh/peers of this pod"
    if "secret" in volume:
        return f"Secret {volume['secret']['secretName']}"
    if "configMap" in volume:
        return f"ConfigMap {volume['configMap']['name']}"
    if "persistentVolumeClaim" in volume:
        return f"PersistentVolumeClaim {volume['persistentVolumeClaim']['claimName']}"
    return f"emptyDir {name}" if "emptyDir" in volume else f"volume {name}"


def _fs_group(pod: Pod, bare: Pod) -> list[str]:
    new = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    old = (bare["spec"].get("securityContext") or {}).get("fsGroup")
    return [f"fsGroup {new}"] if new != old else []

"""What an injection put into a pod, as short lines for people, grouped by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject import Pod, uninject

Lines = dict[str, list[str]]

PARTS = ("args", "env", "ports", "probes", "mounts", "init container", "pod", "labels")
_VALUE_SHOWN = 60


def parts(pod: Pod, container: str) -> Lines:
    """Part -> lines: everything that the pod has and its bare form (`uninject`) has not."""
    bare = uninject(pod)
    new, old = _target(pod, container), _target(bare, container)
    volumes = {v["name"]: v for v in sequence(mapping(pod, "spec"), "volumes")}
    labels, before = (mapping(mapping(p, "metadata"), "labels") for p in (pod, bare))
    return {
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
        "labels": [f"{key}={value}" for key, value in labels.items() if key not in before],
    }


def _target(pod: Pod, name: str) -> dict[str, Any]:
    containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    found: dict[str, Any] = next(c for c in containers if c["name"] == name)
    return found


def _without(new: list[Any] | None, old: list[Any] | None) -> list[Any]:
    return [item for item in new or () if item not in (old or ())]


def _gained(new: Mapping[str, Any], old: Mapping[str, Any], probe: str) -> bool:
    return new.get(probe + "Probe") is not None and old.get(probe + "Probe") is None


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

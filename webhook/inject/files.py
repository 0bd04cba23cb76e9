"""The service's configuration, files and data: annotations -> volumes, mounts and one init container.

Directories, never subPath, so that a change reaches the running Supervisor (supervisor.md §6). Files are copied, since
the Supervisor changes their owner, which a Secret's mount refuses (supervisor.md §15).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.filesystem import SERVICE_USER, Identity
from webhook.inject.patch import Patch, covers
from webhook.inject.target import Target
from webhook.inject.volumes import Storage
from webhook.options import PREFIX
from webhook.problems import Findings, shown
from webhook.spec import SupervisorSpec

COPIER = "habitat-files"
CONFIG_VOLUME = "habitat-config"
_SOURCE = "/habitat-files-source"
_USER_TOML = [{"key": "user.toml", "path": "user.toml"}]

# A mounted Secret also holds its ..data and ..<date> folders; only plain files are copied (supervisor.md §0).
_COPY = 'set -e; for file in "$1"/* "$1"/.[!.]*; do if [ -f "$file" ]; then cp -f "$file" "$2/"; fi; done'


def prepare(
    spec: SupervisorSpec, pod: Mapping[str, Any], claims: frozenset[str], storage: Storage, findings: Findings
) -> None:
    """Put the volumes and mounts for configuration, files and data into `storage`."""
    options, service = spec.options, spec.service
    if options.config_secret:
        storage.volume(CONFIG_VOLUME, {"secret": {"secretName": options.config_secret, "items": _USER_TOML}})
    elif options.config_map:
        storage.volume(CONFIG_VOLUME, {"configMap": {"name": options.config_map, "items": _USER_TOML}})
    if options.config_secret or options.config_map:
        storage.mount(CONFIG_VOLUME, f"/hab/user/{service}/config", read_only=True)
    if options.files_secret:
        storage.volume("habitat-files-source", {"secret": {"secretName": options.files_secret}})
        storage.volume(COPIER, {"emptyDir": {}})
        storage.mount(COPIER, f"/hab/svc/{service}/files")
    data = f"/hab/svc/{service}/data"
    if options.data_claim:
        storage.volume("habitat-data", {"persistentVolumeClaim": {"claimName": options.data_claim}})
        storage.mount("habitat-data", data)
    elif options.data_volume:
        names = [str(v.get("name")) for v in sequence(mapping(pod, "spec"), "volumes") if isinstance(v, dict)]
        if options.data_volume not in names and options.data_volume not in claims:
            what = f"the pod has no volume {shown(options.data_volume)}"
            allowed = ", ".join(sorted({*names, *claims})[:10]) or "none: the pod has no volumes"
            findings.problem(PREFIX + "data-volume", what, f"its volumes: {allowed}")
        storage.mount(options.data_volume, data)


def write_copier(
    patch: Patch, pod: Mapping[str, Any], target: Target, who: Identity, spec: SupervisorSpec, findings: Findings
) -> None:
    """The init container that copies the Secret's files, made to pass Pod Security `restricted`."""
    if not spec.options.files_secret:
        return
    pod_spec = mapping(pod, "spec")
    wanted = _copier(target, who)
    existing = next((c for c in sequence(pod_spec, "initContainers") if c.get("name") == COPIER), None)
    if existing is not None:
        if not covers(existing, wanted):
            findings.problem("spec.initContainers", f"{COPIER} is taken", "rename it: the webhook needs the name")
    elif target.native_sidecar:  # the files have to be there before the sidecar starts
        patch.insert(target.path, wanted)
    else:
        patch.append(pod_spec, "/spec", "initContainers", [wanted])


def _copier(target: Target, who: Identity) -> dict[str, Any]:
    """The application's own image: it is on the node already, and it has a shell and cp (supervisor.md §3)."""
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if who.root:  # the emptyDir is open to everybody, and root owns what it finds there
        security |= {"runAsUser": SERVICE_USER, "runAsGroup": SERVICE_USER}
    else:
        own = mapping(target.container, "securityContext")
        security |= {name: own[name] for name in ("runAsUser", "runAsGroup") if own.get(name) is not None}
    made: dict[str, Any] = {
        "name": COPIER,
        "image": target.container.get("image", ""),
        "command": ["/bin/sh", "-c", _COPY, "copy", _SOURCE, "/habitat-files"],
        "securityContext": security,
        "volumeMounts": [
            {"name": "habitat-files-source", "mountPath": _SOURCE, "readOnly": True},
            {"name": COPIER, "mountPath": "/habitat-files"},
        ],
    }
    # Its own resources would change the pod's QoS class, and could break a quota or a limit that the target satisfies.
    return made | {k: target.container[k] for k in ("imagePullPolicy", "resources") if target.container.get(k)}

"""Ring membership, as far as the pod goes: labels that the ring's Service selects, and the file with its peers.

The controller writes the peers into the annotation habitat.sh/peers; the kubelet carries them into a downward API file
within 5–170 ms, where a ConfigMap would take over a minute (supervisor.md §0). Mounted as a directory: a subPath is
never updated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.commandline import PEERS_DIRECTORY
from webhook.decide import mapping
from webhook.inject.patch import Patch
from webhook.inject.volumes import Storage
from webhook.options import PEERS, PREFIX
from webhook.problems import Findings, shown
from webhook.spec import SupervisorSpec

PEERS_VOLUME = "habitat-peers"
_DEFAULT_GOSSIP_PORT = 9638


def dns_peer(spec: SupervisorSpec, service: str) -> str:
    """The ring's Service as `--peer` wants it."""
    port = spec.options.gossip_port
    return service if port == _DEFAULT_GOSSIP_PORT else f"{service}:{port}"


def prepare(spec: SupervisorSpec, storage: Storage) -> None:
    """The volume with the peers file, for discovery managed."""
    if spec.options.discovery == "managed":
        item = {"path": "peers", "fieldRef": {"fieldPath": f"metadata.annotations['{PEERS}']"}}
        storage.volume(PEERS_VOLUME, {"downwardAPI": {"items": [item]}})
        storage.mount(PEERS_VOLUME, PEERS_DIRECTORY, read_only=True)


def labels(spec: SupervisorSpec) -> dict[str, str]:
    """The labels of the pod. No ring label outside a managed ring: the controller would make peers of strangers."""
    said = {
        PREFIX + "service": spec.service,
        PREFIX + "group": spec.options.group,
        PREFIX + "topology": spec.options.topology,
    }
    return {PREFIX + "ring": spec.options.ring} | said if spec.in_ring else said


def write_labels(patch: Patch, metadata: Mapping[str, Any], wanted: Mapping[str, str], findings: Findings) -> None:
    """Operations for the labels; another value of the user's under one of these names is a problem."""
    present = mapping(metadata, "labels")
    missing = {}
    for name, value in wanted.items():
        existing = present.get(name)
        if existing is None:
            missing[name] = value
        elif existing != value:
            what = f"{shown(existing)}, but the webhook has to write {shown(value)}"
            findings.problem(f"metadata.labels[{name}]", what, f"remove the label, or set the annotation {name} alike")
    patch.update(metadata, "/metadata", "labels", missing)

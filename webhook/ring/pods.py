"""The few fields of a pod that rings are made of, out of its JSON.

A pod of the API is 5 to 15 KiB and ten times that as Python objects; a Member is about one. Whatever an object looks
like, `member` reads what it understands and raises nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject import record
from webhook.inject.env import RING_KEY
from webhook.inject.files import CONFIG_VOLUME
from webhook.inject.membership import PEERS_VOLUME
from webhook.options import CONFIG_GENERATION, PEERS, PREFIX
from webhook.ring.service import GOSSIP_PORT, RING_LABEL
from webhook.rings import Ring

SELECTOR = PREFIX + "service"
"""The label that every injected pod has."""

PEERS_MANAGER = "habitat-webhook-peers"
"""The field manager of the writes to habitat.sh/peers. In managedFields it says when the list was last written, which
survives a restart of the controller."""

_GOSSIP_PORT_NAME = "hab-gossip-udp"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of a pod, as its ownerReference has it; a bare pod owns itself."""

    api_version: str
    kind: str
    name: str
    uid: str

    def reference(self, namespace: str) -> dict[str, str]:
        """As events name what they are about."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": namespace,
            "name": self.name,
            "uid": self.uid,
        }


@dataclass(frozen=True, slots=True)
class Member:
    """A pod that belongs to a ring, or says so.

    ring: None for one that is in no ring of ours (discovery external or none), or whose label is no ring's name.
    managed: it has the peers file, so that it is given peers and may be one; injected: it carries our record.
    address: the first IPv4 of its status, with ":port" unless gossip is on the usual one; "" while there is none.
    created, since: seconds since the epoch, by the API server's clock; since: when the peers were last written, 0 for
    never. running_since: when the Supervisor's container started, by the node's clock; None while it does not run.
    started: it has run once. gone: it is being deleted or has ended. peers: None where the annotation is absent.
    """

    namespace: str
    name: str
    uid: str
    ring: Ring | None
    label: str
    managed: bool
    injected: bool
    service: str
    leader: bool
    address: str
    created: float
    gone: bool
    running_since: float | None
    started: bool
    ready: bool
    node: str
    peers: tuple[str, ...] | None
    since: float
    generation: str | None
    config_map: str
    config_secret: str
    key_secret: str
    owner: Owner
    version: int = field(default=0, compare=False)
    """resourceVersion. Two projections that differ in nothing else are the same: most updates of a pod's status are."""

    @property
    def live(self) -> bool:
        """Whether it has an address that others can be told of."""
        return bool(self.address) and not self.gone

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


def member(pod: Mapping[str, Any]) -> Member:
    """The projection of a pod as the API server sends it."""
    metadata, spec, status = mapping(pod, "metadata"), mapping(pod, "spec"), mapping(pod, "status")
    labels, annotations = mapping(metadata, "labels"), mapping(metadata, "annotations")
    made = record.read(annotations)
    container = made.container if made else ""
    volumes = {v.get("name"): v for v in sequence(spec, "volumes")}
    config = volumes.get(CONFIG_VOLUME) or {}
    target = _named(sequence(spec, "containers"), container) or _named(sequence(spec, "initContainers"), container)
    running, started = _running(status, container)
    namespace = sys.intern(str(metadata.get("namespace") or ""))
    label = labels.get(RING_LABEL) or ""
    peers = annotations.get(PEERS)
    return Member(
        namespace=namespace,
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        ring=_ring(label, namespace),
        label=sys.intern(label),
        managed=PEERS_VOLUME in volumes,
        injected=made is not None,
        service=sys.intern(f"{labels.get(SELECTOR, '')}.{labels.get(PREFIX + 'group', '')}"),
        leader=labels.get(PREFIX + "topology") == "leader",
        address=_address(status, target),
        created=_time(metadata.get("creationTimestamp")) or 0.0,
        gone=metadata.get("deletionTimestamp") is not None or status.get("phase") in _ENDED,
        running_since=running,
        started=started,
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in sequence(status, "conditions")),
        node=sys.intern(str(spec.get("nodeName") or "")),
        # Blank lines stay: joined again it is the very text, which a write compares with, and they must be mended.
        peers=None if peers is None else tuple(str(peers).split("\n")) if peers else (),
        since=_written(metadata),
        generation=annotations.get(CONFIG_GENERATION),
        config_map=str(mapping(config, "configMap").get("name") or ""),
        config_secret=str(mapping(config, "secret").get("secretName") or ""),
        key_secret=_key_secret(target),
        owner=owner(metadata),
        version=int(metadata.get("resourceVersion") or 0),
    )


def _ring(label: str, namespace: str) -> Ring | None:
    try:
        return Ring.of(label, namespace)
    except ValueError:  # written by hand; the webhook writes names alone
        return None


def _named(containers: Any, name: str) -> Mapping[str, Any]:
    return next((c for c in containers if c.get("name") == name), {}) if name else {}


def _address(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """IPv4 only: the Supervisor panics on `[v6]:port` in its peers file (supervisor.md §4.3)."""
    addresses = [entry.get("ip") or "" for entry in sequence(status, "podIPs")] or [status.get("podIP") or ""]
    found = next((a for a in addresses if a and ":" not in a), "")
    ports = (p.get("containerPort") for p in sequence(container, "ports") if p.get("name") == _GOSSIP_PORT_NAME)
    port = next(ports, None) or _listen_port(container)
    return f"{found}:{port}" if found and port != GOSSIP_PORT else found


def _listen_port(container: Mapping[str, Any]) -> int:
    """The gossip port where the user declared the container port under another name."""
    for variable in sequence(container, "env"):
        if variable.get("name") == "HAB_LISTEN_GOSSIP":
            port = str(variable.get("value") or "").rpartition(":")[2]
            return int(port) if port.isascii() and port.isdigit() else GOSSIP_PORT
    return GOSSIP_PORT


def _running(status: Mapping[str, Any], container: str) -> tuple[float | None, bool]:
    """When the Supervisor's container started, and whether it has ever."""
    said = _named(sequence(status, "containerStatuses"), container)
    said = said or _named(sequence(status, "initContainerStatuses"), container)
    state = mapping(said, "state")
    since = _time(mapping(state, "running").get("startedAt"))
    started = since is not None or bool(said.get("restartCount")) or bool(mapping(said, "lastState"))
    return since, started or "terminated" in state


def _written(metadata: Mapping[str, Any]) -> float:
    for entry in sequence(metadata, "managedFields"):
        if entry.get("manager") == PEERS_MANAGER:
            return _time(entry.get("time")) or 0.0
    return 0.0


def _key_secret(container: Mapping[str, Any]) -> str:
    for variable in sequence(container, "env"):
        if variable.get("name") == RING_KEY[0]:
            return str(mapping(mapping(variable, "valueFrom"), "secretKeyRef").get("name") or "")
    return ""


def owner(metadata: Mapping[str, Any]) -> Owner:
    """Whose pod it is, by its metadata."""
    for reference in sequence(metadata, "ownerReferences"):
        if reference.get("controller"):
            parts = (str(reference.get(key) or "") for key in ("apiVersion", "kind", "name", "uid"))
            return Owner(*map(sys.intern, parts))
    return Owner("v1", "Pod", str(metadata.get("name") or ""), str(metadata.get("uid") or ""))


def _time(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None

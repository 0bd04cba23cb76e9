"""The ring's headless Service: what it has to be, what somebody has changed in it, and the object that mends it.

Pure functions of Service objects, plain dicts as the API server sends them.

Headless, because a Supervisor records the address that a message came from: behind a cluster IP that is the wrong one
(supervisor.md §4.5). publishNotReadyAddresses, because a pod that waits for peers or a quorum is not ready, and is
what the others look for (§5).

One family of addresses, IPv4, whatever the cluster prefers. `--peer` keeps the first IPv4 answer and fails on a name
that has none (§4.1), and gossip and gateway listen on 0.0.0.0. Left to itself, a dual-stack cluster whose first family
is IPv6 would answer AAAA records alone, in which no Supervisor finds a peer. A cluster without IPv4 refuses the
Service by name of the field, which is the truth: no ring can form in it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from webhook.options import PREFIX
from webhook.problems import shown
from webhook.rings import Ring

Object = dict[str, Any]

MANAGED_BY = ("app.kubernetes.io/managed-by", "habitat-webhook")
"""The label of every object that the controller makes; a Service or Secret without it is somebody else's."""
RING_LABEL = PREFIX + "ring"
KEY_REVISION = PREFIX + "ring-key-revision"
"""Annotation of the Service: the revision of the ring's managed key, which is no secret. It is how the controller,
which may not read Secrets, knows that there has been a key (webhook/ring/keys.py)."""

HEADLESS = "None"
GOSSIP_PORT = 9638
HTTP_PORT = 9631

_IPV4 = "IPv4"
_TYPE = "ClusterIP"
_NAME_PREFIX = Ring("", "").service

_WHY = {
    "type": "the name does not lead to the ring's pods",
    "clusterIP": "the name answers with one address instead of the pods' own",
    "publishNotReadyAddresses": "pods that wait for a peer or a quorum have no DNS record",
    "selector": "the name leads to other pods than the ring's",
    "ipFamilyPolicy": "Supervisors speak IPv4 only",
    "ipFamilies": "Supervisors speak IPv4 only",
}
_DEFAULTED = ("type", "ipFamilyPolicy", "ipFamilies")
"""Fields whose absence means what we want, or that an old API server does not know."""
_UNWANTED = {"externalIPs": "traffic from outside the cluster would be led to the ring's pods"}


def labels(ring_label: str) -> dict[str, str]:
    """The labels of an object that the controller makes for a ring."""
    return {MANAGED_BY[0]: MANAGED_BY[1], RING_LABEL: ring_label}


def desired(ring: Ring, gossip_port: int = GOSSIP_PORT, http_port: int = HTTP_PORT) -> Object:
    """The Service to create. It selects pods of the ring's own namespace only: a Service cannot do otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": ring.service, "namespace": ring.namespace, "labels": labels(ring.name)},
        "spec": {
            "type": _TYPE,
            "clusterIP": HEADLESS,
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": [_IPV4],
            "publishNotReadyAddresses": True,
            "selector": {RING_LABEL: ring.name},
            "ports": [
                {"name": "hab-gossip-udp", "port": gossip_port, "protocol": "UDP"},
                {"name": "hab-gossip-tcp", "port": gossip_port, "protocol": "TCP"},
                {"name": "hab-http", "port": http_port, "protocol": "TCP"},
            ],
        },
    }


def ring_of(service: Mapping[str, Any]) -> Ring | None:
    """The ring that a Service of this name belongs to, ours or not; None for any other name."""
    metadata = service["metadata"]
    name = metadata["name"]
    ring = name.removeprefix(_NAME_PREFIX)
    return Ring(metadata["namespace"], ring) if ring not in ("", name) else None


def projection(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is needed of a ring's Service, ours or not: without what would make every update a change; None for any
    other Service.
    """
    if ring_of(raw) is None:
        return None
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return {"metadata": metadata, "spec": raw.get("spec") or {}}


def is_ours(service: Mapping[str, Any]) -> bool:
    """Whether the controller made it: by its label, and a name that it would give. All others it leaves alone."""
    return _labels(service).get(MANAGED_BY[0]) == MANAGED_BY[1] and ring_of(service) is not None


def drift(service: Mapping[str, Any], wanted: Mapping[str, Any] | None = None) -> list[str]:
    """What somebody has changed, one sentence a field; empty when the Service does its job.

    wanted: what `desired` says, by default for the ring that the Service is named after. What the API server fills in
    and what has no effect on a headless Service is not looked at, nor are labels and annotations of others.
    Raises ValueError for a name that no ring's Service has.
    """
    wanted = _wanted(service, wanted)
    present, spec = _labels(service), service.get("spec") or {}
    found = []
    for name, value in wanted["metadata"]["labels"].items():
        if present.get(name) != value:
            found.append(f"the label {name} {_instead(present.get(name), value)}")
    for field, why in _WHY.items():
        value = spec.get(field)
        if value != wanted["spec"][field] and not (value is None and field in _DEFAULTED):
            found.append(f"spec.{field} {_instead(value, wanted['spec'][field])}: {why}")
    found += [f"spec.{field} is {_value(spec[field])}: {why}" for field, why in _UNWANTED.items() if spec.get(field)]
    return [*found, *_port_drift(spec.get("ports") or [], wanted["spec"]["ports"])]


def needs_recreation(service: Mapping[str, Any]) -> bool:
    """Whether no update can mend it: the cluster IP and the first family of addresses never change while a Service
    lives (Kubernetes API reference, ServiceSpec). One of type ExternalName has neither, and may be given them.

    Nobody can turn ours into such a one; it is made so by whoever deletes ours and creates another with our label.
    The remedy is to delete it, by its uid, and to create `replacement`.
    """
    spec = service.get("spec") or {}
    families = spec.get("ipFamilies") or [_IPV4]
    return bool((spec.get("clusterIP") or HEADLESS) != HEADLESS or families[0] != _IPV4)


def repair(service: Mapping[str, Any], wanted: Mapping[str, Any] | None = None) -> Object | None:
    """The object to PUT in its place, with the same uid and resourceVersion; None when nothing has drifted.

    Labels and annotations of others, owners and finalizers stay. Raises ValueError for a Service that is not ours and
    for one that `needs_recreation`.
    """
    if not is_ours(service):
        raise ValueError(f"the Service {_where(service)} is not the controller's to repair; ask is_ours first")
    if needs_recreation(service):
        raise ValueError(f"the Service {_where(service)} cannot be repaired by an update; ask needs_recreation first")
    wanted = _wanted(service, wanted)
    if not drift(service, wanted):
        return None
    mended: Object = {"apiVersion": "v1", "kind": "Service"} | copy.deepcopy(dict(service))
    mended["metadata"]["labels"] = _labels(mended) | wanted["metadata"]["labels"]
    spec = {k: v for k, v in (mended.get("spec") or {}).items() if k not in ("externalName", *_UNWANTED)}
    ports = spec.get("ports") or []
    # clusterIPs repeats clusterIP; the API server refuses two that differ, and an ExternalName has had neither.
    mended["spec"] = spec | copy.deepcopy(dict(wanted["spec"])) | {"clusterIPs": [HEADLESS]}
    if not list(_port_drift(ports, wanted["spec"]["ports"])):
        mended["spec"]["ports"] = ports
    return mended


def replacement(service: Mapping[str, Any], wanted: Mapping[str, Any] | None = None) -> Object:
    """The object to create once one that `needs_recreation` is deleted: ours, with the labels and annotations of
    others, and with the revision of the ring's key. Raises ValueError as `drift` does.
    """
    made: Object = copy.deepcopy(dict(_wanted(service, wanted)))
    made["metadata"]["labels"] = _labels(service) | made["metadata"]["labels"]
    if annotations := _annotations(service):
        made["metadata"]["annotations"] = annotations | (made["metadata"].get("annotations") or {})
    return made


def key_revision(service: Mapping[str, Any]) -> str | None:
    """The revision of the managed key that this ring has been given, None when it never had one."""
    return _annotations(service).get(KEY_REVISION) or None


def with_key_revision(service: Mapping[str, Any], revision: str) -> Object:
    """A copy of a Service, to create or to PUT, that says which managed key the ring has."""
    marked: Object = copy.deepcopy(dict(service))
    marked["metadata"]["annotations"] = _annotations(marked) | {KEY_REVISION: revision}
    return marked


def _wanted(service: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if wanted is not None:
        return wanted
    ring = ring_of(service)
    if ring is None:
        raise ValueError(f"the Service {_where(service)} is no ring's: those are named {_NAME_PREFIX}<ring>")
    return desired(ring)


def _port_drift(found: list[Mapping[str, Any]], wanted: list[Mapping[str, Any]]) -> Iterator[str]:
    """By name; the order means nothing, and a target that is the port itself is what the API server fills in."""
    present = {port.get("name") or "": _port(port) for port in found}
    expected = {port["name"]: _port(port) for port in wanted}
    for name, port in expected.items():
        if name not in present:
            yield f"spec.ports: {name} ({port}) is missing"
        elif present[name] != port:
            yield f"spec.ports: {name} is {present[name]} instead of {port}"
    for name, port in present.items():
        if name not in expected:
            yield f"spec.ports: {name or 'a port without a name'} ({port}) is not one of a ring's"


def _port(port: Mapping[str, Any]) -> str:
    """Such as "9638/UDP", or "9638/UDP to 80" where the pods' port is another one."""
    number, target = port.get("port"), port.get("targetPort")
    said = f"{number}/{port.get('protocol') or 'TCP'}"
    return said if target in (None, number) else f"{said} to {target}"


def _instead(found: object, wanted: object) -> str:
    return (
        f"is missing; it should be {_value(wanted)}" if found is None else f"is {_value(found)}, not {_value(wanted)}"
    )


def _value(value: object) -> str:
    """One word or list as it is read in YAML, shortened as `shown` does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return shown(", ".join(f"{k}={v}" for k, v in value.items()))
    return shown(", ".join(map(str, value)) if isinstance(value, list) else value)


def _labels(service: Mapping[str, Any]) -> dict[str, str]:
    return dict(service["metadata"].get("labels") or {})


def _annotations(service: Mapping[str, Any]) -> dict[str, str]:
    return dict(service["metadata"].get("annotations") or {})


def _where(service: Mapping[str, Any]) -> str:
    return f"{service['metadata'].get('namespace')}/{service['metadata'].get('name')}"

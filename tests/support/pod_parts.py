"""Hypothesis strategies for the parts of a pod: env, ports, probes, volumes, mounts, security contexts.

All of them are accepted by a real API server where nothing else is said. `Shape` says how much of the unusual is mixed
in; `tame` parts keep away from everything that is the Supervisor's.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1 << 40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""Any small JSON value."""

_INVENTED: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"futureField": {"mode": "New", "limits": [1, 2.5, None, {"deep": [[]]}]}},
    {"x-vendor": [True, "ü\u0000", {"": -1}]},
    {"alphaGate": False, "newPolicy": 1 << 40},
    {"newPolicy": {"habitat.sh/service": "not an annotation"}},
)
INVENTED: st.SearchStrategy[dict[str, Any]] = st.sampled_from(_INVENTED).map(copy.deepcopy)
"""Fields that no API server knows yet; one that is older than the pod drops them, a newer one hands them on."""

DNS_LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels['app']",
    "metadata.annotations['team']",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
    "status.podIPs",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a strategy may mix in.

    invented: fields that no API server knows. nulls: null for an absent or empty list, as a template can have it.
    habitat: the user's own HAB_* variables, Supervisor ports, mounts below /hab. known: names that exist already.
    """

    invented: bool = True
    nulls: bool = True
    habitat: bool = True


TAME = Shape(invented=True, nulls=False, habitat=False)
STRICT = Shape(invented=False, nulls=False, habitat=True)
"""What a real API server takes with strict field validation."""

_NAMES = ["LOG_LEVEL", "DB_HOST", "PORT", "GREETING", "JAVA_OPTS", "no_proxy", "my.dotted-name", "A"]
_HABITAT_NAMES = ["POD_IP", "POD_NAME", "HAB_LICENSE", "HAB_BLDR_URL", "HABITAT_RING", "HAB_AUTH_TOKEN"]
_HABITAT_VALUES = {
    "HAB_LISTEN_HTTP": "0.0.0.0:8631",
    "HAB_LISTEN_GOSSIP": "0.0.0.0:8638",
    "HAB_LICENSE": "accept-no-persist",
    "HAB_WEB": "port = 1",
    "HOME": "/tmp",
    "HAB_SUP_GATEWAY_AUTH_TOKEN": "t0ken",
}


def _reference(kind: str, key: str) -> dict[str, Any]:
    return {kind: {"name": "settings", "key": key}}


SOURCES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(FIELD_PATHS).map(lambda path: {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}),
    st.sampled_from(FIELD_PATHS).map(lambda path: {"fieldRef": {"fieldPath": path}}),
    st.sampled_from(["token", "user.name"]).map(lambda key: _reference("secretKeyRef", key)),
    st.sampled_from(["level", "a_b"]).map(lambda key: _reference("configMapKeyRef", key)),
    st.just({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}),
    st.just({"resourceFieldRef": {"resource": "requests.cpu", "divisor": "0"}}),
)


_VARIABLE_NAMES = {
    habitat: st.lists(st.sampled_from((*_NAMES, *(_HABITAT_NAMES if habitat else ()))), max_size=5, unique=True)
    for habitat in (True, False)
}
_VARIABLE_VALUES = st.sampled_from(
    ("$(POD_IP)", "$(DB_HOST):$(PORT)", "$$(PORT)", "$(NOBODY)", "$(", "a $ b", "", "plain", "10.1.2.3", "a\nb\té🐳")
)
_OF_TWO, _OF_THREE, _OF_FOUR, _OF_FIVE, _OF_SIX = (st.integers(0, n) for n in range(1, 6))


@cache
@st.composite
def envs(draw: st.DrawFn, shape: Shape) -> list[dict[str, Any]]:
    """Variables with literal values, references to earlier, later and unknown ones, and every kind of valueFrom."""
    names = draw(_VARIABLE_NAMES[shape.habitat])
    entries: list[dict[str, Any]] = []
    for name in names:
        how = draw(_OF_FOUR)
        if how == 0:
            entries.append({"name": name, "valueFrom": draw(SOURCES)})
        elif how == 1:
            entries.append({"name": name})
        else:
            entries.append({"name": name, "value": draw(_VARIABLE_VALUES)})
    if shape.habitat and draw(_OF_THREE) == 0:
        taken = {entry["name"] for entry in entries}
        name = draw(st.sampled_from(tuple(sorted(_HABITAT_VALUES.keys() - taken))))
        entries.append({"name": name, "value": _HABITAT_VALUES[name]})
    return [entry | draw(INVENTED) if shape.invented and draw(_OF_FIVE) == 0 else entry for entry in entries]


_PORT_KEYS = {
    habitat: st.lists(
        st.tuples(
            st.sampled_from((80, 443, 8080, 6379, 5432, *((9631, 9638) if habitat else ()))),
            st.sampled_from(("TCP", "UDP", "SCTP")),
        ),
        max_size=3,
        unique=True,
    )
    for habitat in (True, False)
}


@cache
@st.composite
def ports(draw: st.DrawFn, shape: Shape) -> list[dict[str, Any]]:
    """Named and unnamed ports, TCP, UDP and SCTP, the same number under several protocols."""
    keys = draw(_PORT_KEYS[shape.habitat])
    made = []
    for number, protocol in keys:
        port: dict[str, Any] = {"containerPort": number}
        if protocol != "TCP" or draw(_OF_TWO):
            port["protocol"] = protocol
        if draw(_OF_TWO):
            port["name"] = f"p{number}-{protocol.lower()}"
        made.append(port)
    return made


_COUNT = st.integers(1, 60)


@cache
@st.composite
def probes(draw: st.DrawFn, shape: Shape, numbers: tuple[int, ...]) -> dict[str, Any]:
    """A probe of any of the four kinds, on a port of the container or on another."""
    port = draw(st.sampled_from((*numbers, 8080)))
    handlers: tuple[dict[str, Any], ...] = (
        {"httpGet": {"path": "/ready", "port": port, "scheme": "HTTP"}},
        {"httpGet": {"port": port, "httpHeaders": [{"name": "X-A", "value": "b"}]}},
        {"tcpSocket": {"port": port}},
        {"exec": {"command": ["/bin/true", "$(PORT)"]}},
        {"grpc": {"port": port, "service": "web"}},
    )
    made = dict(handlers[draw(_OF_FIVE)])
    for name in ("periodSeconds", "timeoutSeconds", "failureThreshold"):
        if draw(_OF_TWO):
            made[name] = draw(_COUNT)
    return made | draw(INVENTED) if shape.invented else made


VOLUME_SOURCES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"emptyDir": {}},
        {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"configMap": {"name": "settings", "defaultMode": 420}},
        {"secret": {"secretName": "settings"}},
        {"persistentVolumeClaim": {"claimName": "data"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]}},
        {"projected": {"sources": [{"secret": {"name": "a"}}, {"configMap": {"name": "b"}}]}},
        {"hostPath": {"path": "/var/log", "type": ""}},
        {"nfs": {"server": "nfs.example", "path": "/"}},
        {"csi": {"driver": "csi.example"}},
        {"image": {"reference": "registry.example/data:1", "pullPolicy": "IfNotPresent"}},
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                }
            }
        },
    ]
)


_VOLUME_NAMES = st.lists(st.sampled_from(("data", "cache", "config", "scratch", "logs")), max_size=4, unique=True)


@cache
@st.composite
def volumes(draw: st.DrawFn, shape: Shape) -> list[dict[str, Any]]:
    names = draw(_VOLUME_NAMES)
    made = [{"name": name, **copy.deepcopy(draw(VOLUME_SOURCES))} for name in names]
    return [volume | draw(INVENTED) for volume in made] if shape.invented else made


_PATHS = ["/data", "/etc/app", "/var/log/app", "/scratch", "/opt/app/conf"]
_HABITAT_PATHS = ["/hab/user/web/config", "/hab/svc/web/data", "/hab/cache/keys", "/tmp"]


_MOUNT_PATHS = {
    habitat: st.lists(st.sampled_from((*_PATHS, *(_HABITAT_PATHS if habitat else ()))), max_size=3, unique=True)
    for habitat in (True, False)
}


@cache
@st.composite
def mounts(draw: st.DrawFn, shape: Shape, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not names:
        return []
    paths = draw(_MOUNT_PATHS[shape.habitat])
    made = []
    for path in paths:
        mount: dict[str, Any] = {"name": draw(st.sampled_from(names)), "mountPath": path}
        if draw(_OF_FOUR) == 0:
            mount["readOnly"] = True
        if draw(_OF_SIX) == 0:
            mount["subPath"] = "part"
        made.append(mount)
    return made


USERS: st.SearchStrategy[dict[str, int]] = st.sampled_from(
    [
        {},
        {},
        {"runAsUser": 0},
        {"runAsUser": 1000},
        {"runAsUser": 42},
        {"runAsUser": 1000, "runAsGroup": 0},
        {"runAsUser": 42, "runAsGroup": 42},
        {"runAsUser": 1000, "runAsGroup": 1000},
        {"runAsGroup": 1000},
    ]
)
HARDENED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@cache
@st.composite
def container_contexts(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    made: dict[str, Any] = dict(draw(USERS))
    if draw(_OF_TWO):
        made |= copy.deepcopy(HARDENED)
    if draw(_OF_THREE) == 0:
        made["readOnlyRootFilesystem"] = bool(draw(_OF_TWO))
    if draw(_OF_FIVE) == 0:
        made["runAsNonRoot"] = made.get("runAsUser") != 0
    return made | draw(INVENTED) if shape.invented else made


@cache
@st.composite
def pod_contexts(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    made: dict[str, Any] = dict(draw(USERS))
    if draw(_OF_FOUR) == 0:
        made["fsGroup"] = draw(st.sampled_from((0, 42, 1000, 2000)))
    if draw(_OF_FOUR) == 0:
        made["supplementalGroups"] = [draw(st.sampled_from((0, 3000)))]
    if draw(_OF_FOUR) == 0:
        made["seccompProfile"] = {"type": "RuntimeDefault"}
    if draw(_OF_FIVE) == 0:
        made["runAsNonRoot"] = made.get("runAsUser") != 0
    return made | draw(INVENTED) if shape.invented else made

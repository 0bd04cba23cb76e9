"""AdmissionReviews of 3, 7 and 47 KiB, as a kube-apiserver sends them.

What is in them was taken from what a kube-apiserver 1.37 sent for such pods: defaulted fields, managedFields of the
creating manager, and then what the admission plugins before the webhook add (the service account's volume in every
container, tolerations, priority). A body is filled up with environment variables to its exact size, since these are
what makes real pods large. Each size has variants that differ in names and values, so that no server can answer from a
cache.
"""

from __future__ import annotations

import bisect
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from bench.managed_fields import managed_fields

VARIANTS = 8
SIZES = {"3 KiB": 3 * 1024, "7 KiB": 7 * 1024, "47 KiB": 47 * 1024}

_WHEN = "2026-01-15T08:42:20Z"
_MOST_VARIABLES = 2000
_API_ACCESS = "kube-api-access-m7q22"

Pod = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Review:
    """content: the body as it goes over the wire. pod: `request.object` in it."""

    size: str
    content: bytes
    pod: Pod


def reviews(size: str, annotations: Mapping[str, str] | None = None) -> list[Review]:
    """VARIANTS bodies of a size of SIZES. annotations: further ones of the pod, for other injectors to act on.

    Raises BenchError when the annotations alone make the body too large.
    """
    return [_review(size, variant, annotations or {}) for variant in range(VARIANTS)]


def written_pod(size: str, variant: int = 0) -> Pod:
    """The pod that a person would create so that the API server's review has about that size."""
    return _fill(size, variant, {}).written


@dataclass(frozen=True, slots=True)
class _Filled:
    written: Pod
    content: bytes


def _review(size: str, variant: int, annotations: Mapping[str, str]) -> Review:
    filled = _fill(size, variant, annotations)
    return Review(size, filled.content, json.loads(filled.content)["request"]["object"])


def _fill(size: str, variant: int, annotations: Mapping[str, str]) -> _Filled:
    """As many environment variables as fit, and the last one's value longer by what is left."""

    def with_variables(count: int, padding: int = 0) -> _Filled:
        pod = _SHAPES[size](variant)
        pod["metadata"]["annotations"] |= annotations
        _add_variables(pod, count, padding, variant)
        return _Filled(pod, _encode(_admission_review(pod, variant)))

    limit = SIZES[size]
    count = bisect.bisect_right(range(_MOST_VARIABLES), limit, key=lambda n: len(with_variables(n).content)) - 1
    if count < 1:
        least = len(with_variables(1).content)
        raise BenchError(
            f"the {size} review would have {least} bytes, {least - limit} too many; "
            "give fewer or shorter ones with --annotation"
        )
    return with_variables(count, limit - len(with_variables(count).content))


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _add_variables(pod: Pod, count: int, padding: int, variant: int) -> None:
    """Round the containers; every fifth one of a large pod comes from a Secret. The last one takes the padding."""
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    for number in range(count):
        name = f"{_WORDS[number % len(_WORDS)]}_{_WORDS[number // len(_WORDS) % len(_WORDS)]}_{number}"
        last = number == count - 1
        if number % 5 == 4 and not last:
            source = {"secretKeyRef": {"name": f"credentials-{variant}", "key": name.lower()}}
            variable: dict[str, Any] = {"name": name, "valueFrom": source}
        else:
            value = f"{name.lower().replace('_', '-')}.shop-{variant}.svc:{5000 + number}"
            variable = {"name": name, "value": value + "x" * padding * last}
        containers[number % len(containers)].setdefault("env", []).append(variable)


_WORDS = ("BACKEND", "CACHE", "QUEUE", "SEARCH", "PAYMENT", "CATALOG", "SESSION", "METRICS", "TRACING", "STORAGE")


# shapes: a pod as written, with the API server's defaults


def _small(variant: int) -> Pod:
    """What `kubectl run` makes."""
    pod = _pod(variant, [_container("redis", "core/redis:4.0.14", []) | {"resources": {}}])
    pod["metadata"]["name"] = f"redis-{variant}"
    return pod


def _medium(variant: int) -> Pod:
    """A Deployment's pod with a second container, a probe and a mounted ConfigMap."""
    app = _container("redis", "core/redis:4.0.14", [("redis", 6379)])
    app["livenessProbe"] = _defaulted_probe({"exec": {"command": ["redis-cli", "ping"]}}) | {"initialDelaySeconds": 30}
    app["volumeMounts"] = [{"name": "settings", "mountPath": "/etc/redis-settings", "readOnly": True}]
    exporter = _container("exporter", "oliver006/redis_exporter:v1.62.0", [("metrics", 9121)])
    pod = _of_replicaset(_pod(variant, [app, exporter]), variant)
    pod["spec"]["volumes"] = [_config_volume("settings", variant)]
    return pod


def _large(variant: int) -> Pod:
    """A Deployment's pod with six containers and a native sidecar, each with many variables, mounts and probes."""
    app = _container("redis", "core/redis:4.0.14", [("redis", 6379)])
    helpers = ["exporter", "log-shipper", "config-reloader", "backup", "proxy"]
    others = [
        _container(name, f"images.shop.internal/{name}:1.{variant}.0", [(f"{name}-http"[:15], 9100 + at)])
        for at, name in enumerate(helpers)
    ]
    for at, container in enumerate([app, *others]):
        container["volumeMounts"] = [
            {"name": f"settings-{number}", "mountPath": f"/etc/settings/{number}", "readOnly": True}
            for number in range(4)
        ]
        container["readinessProbe" if at else "livenessProbe"] = _defaulted_probe(
            {"httpGet": {"path": "/healthz", "port": container["ports"][0]["name"], "scheme": "HTTP"}}
        )
    sidecar = _container("vault-agent", "images.shop.internal/agent:2.1.0", []) | {"restartPolicy": "Always"}
    pod = _of_replicaset(_pod(variant, [app, *others]), variant)
    pod["spec"]["initContainers"] = [sidecar]
    pod["spec"]["volumes"] = [_config_volume(f"settings-{number}", variant) for number in range(4)]
    return pod


_SHAPES: dict[str, Callable[[int], Pod]] = {"3 KiB": _small, "7 KiB": _medium, "47 KiB": _large}


def _pod(variant: int, containers: list[dict[str, Any]]) -> Pod:
    annotations = {
        "habitat.sh/service": "redis",
        "habitat.sh/license": "accept-no-persist",
    }
    if len(containers) > 1:
        annotations |= {"habitat.sh/container": "redis", "habitat.sh/group": f"group-{variant}"}
        annotations |= {"habitat.sh/ring": "cache", "habitat.sh/topology": "leader"}
    return {
        "metadata": {"namespace": "shop", "labels": {"app": "redis"}, "annotations": annotations},
        "spec": {
            "containers": containers,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "enableServiceLinks": True,
        },
    }


def _of_replicaset(pod: Pod, variant: int) -> Pod:
    hashed = f"85cc94b8{variant:02d}"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"redis-{hashed}", "uid": _uid(variant, 2)}
    pod["metadata"] |= {
        "generateName": f"redis-{hashed}-",
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    pod["metadata"]["labels"]["pod-template-hash"] = hashed
    return pod


def _container(name: str, image: str, ports: list[tuple[str, int]]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    if ports:
        container["ports"] = [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports]
    return container


def _defaulted_probe(handler: dict[str, Any]) -> dict[str, Any]:
    return handler | {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def _config_volume(name: str, variant: int) -> dict[str, Any]:
    return {"name": name, "configMap": {"name": f"{name}-{variant}", "defaultMode": 420}}


# what the API server makes of it


def _admission_review(written: Pod, variant: int) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    by_person = "name" in written["metadata"]
    request: dict[str, Any] = {
        "uid": _uid(variant, 1),
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": _person() if by_person else _replicaset_controller(),
        "object": _admitted(written, "kubectl-run" if by_person else "kube-controller-manager"),
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    if by_person:
        request["name"] = written["metadata"]["name"]
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _admitted(written: Pod, manager: str) -> Pod:
    """With managedFields, then as the ServiceAccount, DefaultTolerationSeconds and Priority plugins leave it."""
    pod: Pod = {"kind": "Pod", "apiVersion": "v1"} | copy.deepcopy(written)
    pod["metadata"]["managedFields"] = managed_fields(written, manager, _WHEN)
    spec = pod["spec"]
    mount = {"name": _API_ACCESS, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    for container in spec.get("initContainers", []) + spec["containers"]:
        container.setdefault("volumeMounts", []).append(mount)
    tolerated: dict[str, Any] = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    spec.setdefault("volumes", []).append(_API_VOLUME)
    spec |= {
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "tolerations": [{"key": f"node.kubernetes.io/{why}"} | tolerated for why in ("not-ready", "unreachable")],
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    return pod | {"status": {}}


_API_VOLUME = {
    "name": _API_ACCESS,
    "projected": {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 420,
    },
}


def _person() -> dict[str, Any]:
    return {"username": "admin", "groups": ["system:masters", "system:authenticated"]}


def _replicaset_controller() -> dict[str, Any]:
    return {
        "username": "system:serviceaccount:kube-system:replicaset-controller",
        "uid": _uid(0, 3),
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={_uid(0, 4)}"]},
    }


def _uid(variant: int, which: int) -> str:
    return f"3ad968b1-3c3d-42ac-bd{which:02d}-61bbf359{variant:04x}"

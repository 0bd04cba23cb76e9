"""Hypothesis strategies for whole pods.

`valid_pods` would be accepted by a real API server, as a template or as the server hands a pod to a webhook (defaults
filled in, service account volume mounted); `wild_pods` are anything that can arrive as a JSON object; `cases` are pods
with a set of annotations that goes with them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.support.annotation_sets import annotations_for
from tests.support.pod_parts import (
    DNS_LABEL,
    INVENTED,
    JSON,
    TAME,
    Shape,
    container_contexts,
    envs,
    mounts,
    pod_contexts,
    ports,
    probes,
    volumes,
)
from tests.support.supervisor import Image
from tests.support.supervisor_args import SERVICES, plain_args, supervisor_args

Pod = dict[str, Any]
_TARGETS = ["app", "web", "server"]
_SIDECARS = ["istio-proxy", "linkerd-proxy", "vault-agent", "logger", "metrics"]


@cache
@st.composite
def containers(
    draw: st.DrawFn, shape: Shape, name: str, volume_names: tuple[str, ...], ident: str = ""
) -> dict[str, Any]:
    """One container; `ident` makes it one of an exported Habitat image, with args of any Supervisor shape."""
    made: dict[str, Any] = {
        "name": name,
        "image": draw(st.sampled_from(["example/app:1", "registry.example/x@sha256:" + "0" * 64])),
    }
    lists = {
        "args": supervisor_args(ident) if ident else plain_args(),
        "env": envs(shape),
        "ports": ports(shape),
        "volumeMounts": mounts(shape, volume_names),
    }
    for key, strategy in lists.items():
        value: Any = draw(strategy)
        # An empty list is written, or left out, or null: a client may send any of the three.
        if value or (shape.nulls and draw(st.integers(0, 2)) == 0):
            made[key] = value or draw(st.sampled_from([[], None] if shape.nulls else [[]]))
    if not ident and draw(st.integers(0, 2)) == 0:
        made["command"] = ["/bin/serve", "$(PORT)"]
    numbers = tuple(port["containerPort"] for port in made.get("ports") or [])
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        if draw(st.integers(0, 3)) == 0:
            made[kind] = draw(probes(shape, numbers))
    if draw(st.booleans()):
        made["securityContext"] = draw(container_contexts(shape))
    if draw(st.booleans()):
        made["resources"] = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m"}}
    return made | draw(INVENTED) if shape.invented else made


@cache
@st.composite
def init_containers(draw: st.DrawFn, shape: Shape, volume_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Init containers and native sidecars; only the latter may have probes."""
    made = []
    for name in draw(st.lists(st.sampled_from(["setup", "migrate", "proxy-init", "agent"]), max_size=2, unique=True)):
        container = draw(containers(shape, name, volume_names))
        if draw(st.booleans()):
            container["restartPolicy"] = "Always"
        else:
            for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
                container.pop(kind, None)
        made.append(container)
    return made


@cache
@st.composite
def metadata(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    """As a controller makes it (generateName, no name), as a user does, with labels absent, empty or null."""
    made: dict[str, Any] = {"generateName": "web-7d4b-"} if draw(st.booleans()) else {"name": "web-0"}
    if draw(st.booleans()):
        made["namespace"] = draw(st.sampled_from(["default", "shop"]))
    labels = draw(st.sampled_from([{"app": "web"}, {"app": "web", "example.com/tier": "1"}, {}, "absent", None]))
    if isinstance(labels, dict) or (labels is None and shape.nulls):
        made["labels"] = copy.copy(labels)
    if draw(st.integers(0, 3)) == 0:
        made["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b", "uid": "u", "controller": True}
        ]
    return made


@cache
@st.composite
def valid_pods(draw: st.DrawFn, shape: Shape | None = None, ident: str = "core/web") -> Pod:
    """A pod without annotations of ours; its first container outside the sidecars is one of an exported image."""
    shape = shape or Shape()
    listed = draw(volumes(shape))
    names = tuple(volume["name"] for volume in listed)
    target = draw(st.sampled_from(_TARGETS))
    others = draw(st.lists(st.sampled_from(_SIDECARS), max_size=3, unique=True))
    made = [draw(containers(shape, name, names)) for name in others]
    made.insert(draw(st.integers(0, len(made))), draw(containers(shape, target, names, ident)))
    spec: dict[str, Any] = {"containers": made}
    inits = draw(init_containers(shape, names))
    for key, items in (("volumes", listed), ("initContainers", inits)):
        if items or (shape.nulls and draw(st.integers(0, 2)) == 0):
            spec[key] = items or draw(st.sampled_from([[], None]))
    context = draw(st.none() | pod_contexts(shape))
    if context is not None:
        spec["securityContext"] = context
    spec |= draw(_spec_extras(shape))
    pod: Pod = {"apiVersion": "v1", "kind": "Pod", "metadata": draw(metadata(shape)), "spec": spec}
    return as_a_webhook_sees_it(pod) if draw(st.booleans()) else pod


@cache
@st.composite
def _spec_extras(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    extras: dict[str, Any] = draw(INVENTED) if shape.invented else {}
    if draw(st.integers(0, 3)) == 0:
        extras["restartPolicy"] = draw(st.sampled_from(["Always", "OnFailure", "Never"]))
    if shape.habitat and draw(st.integers(0, 7)) == 0:
        extras["hostNetwork"] = True
    if draw(st.integers(0, 3)) == 0:
        extras["nodeSelector"] = {"kubernetes.io/os": "linux"}
    return extras


def as_a_webhook_sees_it(pod: Pod) -> Pod:
    """The pod after the API server's defaulting and the ServiceAccount plugin, which run before any webhook."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    for key, value in {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }.items():
        spec.setdefault(key, value)
    token = {"name": "kube-api-access-x7k2p", "projected": {"defaultMode": 420, "sources": []}}
    spec["volumes"] = [*(spec.get("volumes") or []), token]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        mount = {"name": token["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
    fill_in_defaults(pod)
    return pod


_PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def fill_in_defaults(pod: Pod) -> None:
    """What the API server adds to parts that may be ours: it does so again between two webhooks of one admission."""
    spec = pod["spec"]
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
            probe = container.get(kind)
            if probe:
                container[kind] = _PROBE_DEFAULTS | probe
                if "httpGet" in probe:
                    container[kind]["httpGet"] = {"path": "/", "scheme": "HTTP"} | probe["httpGet"]
        for entry in container.get("env") or []:
            if reference := (entry.get("valueFrom") or {}).get("fieldRef"):
                reference.setdefault("apiVersion", "v1")
    for volume in spec.get("volumes") or []:
        for kind in ("secret", "configMap", "downwardAPI", "projected"):
            if volume.get(kind):
                volume[kind].setdefault("defaultMode", 420)
        for item in (volume.get("downwardAPI") or {}).get("items") or []:
            item["fieldRef"].setdefault("apiVersion", "v1")


@dataclass(frozen=True)
class Case:
    """A pod with annotations, the image behind its target container, and the target's name."""

    pod: Pod
    image: Image
    target: str
    annotations: dict[str, str] = field(default_factory=dict)


def target_of(pod: Pod) -> str:
    return next(str(c["name"]) for c in pod["spec"]["containers"] if c["name"] in _TARGETS)


def annotate(pod: Pod, annotations: dict[str, str]) -> Pod:
    """A copy with habitat.sh/* annotations beside those that are there."""
    pod = copy.deepcopy(pod)
    metadata = pod.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {"team": "shop"}), **annotations}
    return pod


@st.composite
def cases(draw: st.DrawFn, shape: Shape = TAME) -> Case:
    """A valid pod with annotations that do not contradict each other; with a tame shape they also suit the pod."""
    service = draw(st.sampled_from(sorted(SERVICES)))
    ident = SERVICES[service]
    pod = draw(valid_pods(shape, ident))
    target = target_of(pod)
    annotations = draw(annotations_for(pod, target, ident, suit_args=not shape.habitat))
    return Case(annotate(pod, annotations), Image(ident=ident), target, annotations)


@st.composite
def wild_pods(draw: st.DrawFn) -> Pod:
    """Anything dict-shaped: now and then any JSON object, mostly a valid pod with parts of it exchanged for junk."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.dictionaries(st.sampled_from(["kind", "apiVersion", "metadata", "spec", "x"]), JSON, max_size=5))
    pod = annotate(draw(valid_pods()), {"habitat.sh/service": "web", "habitat.sh/license": "accept"})
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, pod)
    return pod


def _spoil(draw: st.DrawFn, pod: Pod) -> None:
    """Put junk in the place of one node below the pod's metadata or spec, every node as likely as another."""
    places = [place for key in ("metadata", "spec") for place in _places(pod, key)]
    parent, key = draw(st.sampled_from(places))
    parent[key] = draw(JSON | DNS_LABEL)


def _places(parent: Any, key: Any) -> list[tuple[Any, Any]]:
    """(parent, key) of a node and of all below it."""
    node = parent[key]
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [(parent, key), *(place for inner in keys for place in _places(node, inner))]

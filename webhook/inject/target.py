"""Which container runs the Supervisor (design.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.decide import sequence
from webhook.options import PREFIX
from webhook.problems import Problem, shown

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

SIDECARS = frozenset(
    {
        "aws-xray-daemon",
        "cilium-proxy",
        "cloud-sql-proxy",
        "cloudsql-proxy",
        "config-reloader",
        "consul-dataplane",
        "daprd",
        "datadog-agent",
        "envoy",
        "envoy-sidecar",
        "filebeat",
        "fluent-bit",
        "fluentd",
        "istio-proxy",
        "jaeger-agent",
        "kube-rbac-proxy",
        "kuma-sidecar",
        "linkerd-proxy",
        "oauth2-proxy",
        "opentelemetry-auto-instrumentation",
        "otc-container",
        "otel-agent",
        "otel-collector",
        "promtail",
        "vault-agent",
        "vector",
    }
)
"""Names that well-known injectors and charts give to containers beside the application's."""


@dataclass(frozen=True, slots=True)
class Target:
    """path: its JSON Pointer, "/spec/containers/0". field: how messages name it, "spec.containers[redis]". container:
    as in the pod, untouched.
    """

    path: str
    name: str
    field: str
    container: Mapping[str, Any]
    native_sidecar: bool = False


def _target(index: int, container: Mapping[str, Any], *, native_sidecar: bool = False) -> Target:
    kind = "initContainers" if native_sidecar else "containers"
    name = str(container.get("name", ""))
    return Target(f"/spec/{kind}/{index}", name, f"spec.{kind}[{name}]", container, native_sidecar)


def find(
    spec: Mapping[str, Any], wanted: Any, annotations: Mapping[str, Any], before: str, sidecars: frozenset[str]
) -> Target | Problem:
    """The target, or what the user must say so that there is one.

    wanted: the value of the option `container`, None when nobody set it. before: the target of an earlier injection, ""
    without one. In order: the first; the second, so that what another webhook has put in since changes nothing;
    kubectl's default-container; the only container left without the well-known sidecars.
    """
    containers = [c if isinstance(c, dict) else {} for c in sequence(spec, "containers")]
    names = [str(c.get("name", "")) for c in containers]
    if wanted is not None:
        return _named(spec, containers, wanted, names)
    if before in names:
        return _target(names.index(before), containers[names.index(before)])
    default = annotations.get(DEFAULT_CONTAINER)
    if default in names:
        index = names.index(default)
        return _target(index, containers[index])
    left = [i for i, name in enumerate(names) if name not in SIDECARS and name not in sidecars]
    if len(left) == 1:
        return _target(left[0], containers[left[0]])
    if len(containers) == 1:
        return _target(0, containers[0])
    if not containers:
        return Problem("spec.containers", "the pod has no container", "a pod needs at least one container")
    what = f"the pod has {len(names)} containers, and which one runs the Supervisor is not said"
    return Problem(PREFIX + "container", what, f"set it to one of: {_list(names)}")


def _named(
    spec: Mapping[str, Any], containers: list[dict[str, Any]], wanted: Any, names: list[str]
) -> Target | Problem:
    if wanted in names:
        index = names.index(wanted)
        return _target(index, containers[index])
    for index, container in enumerate(sequence(spec, "initContainers")):
        if isinstance(container, dict) and container.get("name") == wanted:
            if container.get("restartPolicy") == "Always":
                return _target(index, container, native_sidecar=True)
            what = f"{shown(wanted)} is an init container, which has to end before the pod starts"
            return Problem(PREFIX + "container", what, f"set it to one of: {_list(names)}")
    what = f"there is no container {shown(wanted)}"
    return Problem(PREFIX + "container", what, f"set it to one of: {_list(names)}")


_NAMES_SHOWN = 10


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(shown(n)[1:-1] for n in names[:_NAMES_SHOWN]) + more


def runs_supervisor(container: Mapping[str, Any]) -> bool:
    """Whether the container's own command starts a Supervisor: `hab sup run`, `hab-launch`, or a shell line with
    one.
    """
    words = " ".join(str(w) for w in sequence(container, "command")).split()
    names = [word.rpartition("/")[2] for word in words]
    for index, name in enumerate(names):
        if name in ("hab-launch", "hab-sup"):
            return True
        if name == "hab" and names[index + 1 : index + 2] in (["sup"], ["run"], ["start"]):
            return True
    return False


ENTRYPOINT = "/init.sh"


def keeps_entrypoint(container: Mapping[str, Any]) -> bool:
    """Whether the image's entrypoint decides, as exported images have it (supervisor.md §3)."""
    command = sequence(container, "command")
    return not command or command == [ENTRYPOINT]

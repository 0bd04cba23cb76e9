"""Small pods for tests, and the result of injecting into them."""

from __future__ import annotations

from typing import Any

from webhook.inject import Outcome, Pod, Situation, apply, inject

PEERS = "--peer-watch-file=/habitat/peers"
SYS = "--sys-ip-address=$(POD_IP)"


def a_pod(annotations: dict[str, str] | None = None, /, *, spec: dict[str, Any] | None = None, **container: Any) -> Pod:
    """A pod with one container `app`; annotations without the prefix; keyword arguments go into the container."""
    said = {"service": "redis", "license": "accept-no-persist"} if annotations is None else annotations
    marks = {name if "/" in name else f"habitat.sh/{name}": value for name, value in said.items()}
    app = {"name": "app", "image": "core/redis:7", **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": marks},
        "spec": {"containers": [app]} | (spec or {}),
    }


def with_redis(**annotations: str) -> dict[str, str]:
    """The annotations of a working pod, and more; underscores stand for dashes."""
    more = {name.replace("_", "-"): value for name, value in annotations.items()}
    return {"service": "redis", "license": "accept-no-persist"} | more


def injected(pod: Pod, situation: Situation | None = None) -> tuple[dict[str, Any], Outcome]:
    """The target container after injection, and the outcome; fails when the pod was not injected."""
    outcome = inject(pod, situation)
    assert outcome.reason.code == "Injected", (outcome.reason, outcome.message())
    after = apply(pod, outcome.operations)
    every = [*after["spec"]["containers"], *after["spec"].get("initContainers", [])]
    return next(c for c in every if c["name"] == outcome.container), outcome


def problems(pod: Pod) -> list[str]:
    """The problems that an invalid pod has, as text."""
    outcome = inject(pod)
    assert outcome.reason.code == "Invalid", outcome.reason
    assert not outcome.operations
    return [str(p) for p in outcome.problems]


def env(container: dict[str, Any]) -> dict[str, Any]:
    """Variables by name: the value, or the valueFrom object."""
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container.get("env", [])}


def mounts(container: dict[str, Any]) -> dict[str, str]:
    """Mount path -> volume name."""
    return {m["mountPath"]: m["name"] for m in container.get("volumeMounts", [])}

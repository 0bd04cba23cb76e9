"""Workloads for tests: one of every kind, all with the same annotated pod template."""

from __future__ import annotations

from typing import Any

ANNOTATIONS = {"habitat.sh/service": "web", "habitat.sh/license": "accept-no-persist"}
LABELS = {
    "habitat.sh/ring": "default",
    "habitat.sh/service": "web",
    "habitat.sh/group": "default",
    "habitat.sh/topology": "standalone",
}


def template(annotations: dict[str, str] | None = None, *, restart: str = "Always", **container: Any) -> dict[str, Any]:
    """A pod template; keyword arguments go into its container."""
    app = {"name": "web", "image": "registry.example.com/acme/web:1.0", **container}
    marks = ANNOTATIONS if annotations is None else annotations
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": dict(marks)},
        "spec": {"restartPolicy": restart, "containers": [app]},
    }


def annotated_pod(annotations: dict[str, str] | None = None, **container: Any) -> dict[str, Any]:
    """A pod as a controller makes it, named by the API server."""
    pod = template(annotations, **container)
    pod["metadata"]["generateName"] = "web-"
    return pod


_SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}
_JOB = {"template": template(restart="Never")}

PODS: dict[str, tuple[dict[str, Any], int]] = {
    "Deployment": (
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": _SELECTOR | {"replicas": 3, "template": template()}},
        3,
    ),
    "StatefulSet": (
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "spec": _SELECTOR | {"serviceName": "web", "template": template()},
        },
        1,
    ),
    "DaemonSet": ({"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": _SELECTOR | {"template": template()}}, 2),
    "ReplicaSet": ({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": _SELECTOR | {"template": template()}}, 1),
    "Job": ({"apiVersion": "batch/v1", "kind": "Job", "spec": _JOB}, 1),
    "CronJob": (
        {"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": _JOB}}},
        1,
    ),
}
"""Kind -> a workload without metadata, and how many pods it makes on two nodes."""

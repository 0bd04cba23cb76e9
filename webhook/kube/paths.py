"""Paths of the Kubernetes API."""

from __future__ import annotations

_OF_A_NAMESPACE = frozenset({"status", "finalize"})
"""The namespace's own subresources: what else follows it is a resource inside it."""


def resource_of(path: str) -> str:
    """The resource that a path is about, as RBAC calls it, so of bounded number.

    "/api/v1/namespaces/shop/pods/web-0" -> "pods", "/apis/apps/v1/deployments" -> "deployments",
    "/api/v1/namespaces/shop/pods/web-0/status" -> "pods/status", "/version" -> "version".
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        rest = parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        rest = parts[3:]
    else:
        return parts[0]
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_A_NAMESPACE:
        rest = rest[2:]
    return f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]

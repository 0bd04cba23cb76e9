"""What surrounds the Supervisor in its pod and works otherwise than a user might expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.problems import Findings


def surroundings(spec: Mapping[str, Any], findings: Findings) -> None:
    """Cautions about fields of the pod that are the user's and stay as they are."""
    if spec.get("hostNetwork"):
        findings.warn("hostNetwork: the Supervisor's ports are the node's, so two such pods collide on one node")
    if spec.get("restartPolicy", "Always") != "Always":
        findings.warn(f"restartPolicy {spec['restartPolicy']}: a Supervisor does not exit when its service has ended")
    if spec.get("shareProcessNamespace") or spec.get("hostPID"):
        findings.warn("shared process namespace: the launcher is not process 1 and cannot reap orphans")

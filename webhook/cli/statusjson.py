"""A report on rings as JSON, for programs. docs/ring-status.md describes the shape; what is in it stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from webhook.ring.findings import Finding, Severity
from webhook.ring.report import Peer, PodStatus, Report, RingStatus, Seeded, full_name

VERSION = 1
"""Raised when something that is there changes its meaning or goes; not when something is added."""


def as_json(report: Report, now: float) -> dict[str, Any]:
    """The report as JSON values. now: seconds since the epoch."""
    return {
        "version": VERSION,
        "time": _time(now),
        "namespace": report.scope.namespace or None,
        "ok": report.count(Severity.ERROR) == 0,
        "rings": [_ring(ring) for ring in report.rings],
        "outside": [_pod(pod, in_part=False) for pod in report.outside],
        "findings": [_finding(f) for f in report.findings],
    }


def _ring(status: RingStatus) -> dict[str, Any]:
    return {
        "namespace": status.ring.namespace,
        "name": status.ring.name,
        "inPart": status.in_part,
        "service": {
            "name": status.ring.service,
            "state": status.service.presence.value,
            "drift": list(status.service.drift),
        },
        "keys": [
            {"namespace": k.namespace, "secret": k.secret, "managed": k.managed, "state": k.presence.value}
            for k in status.keys
        ],
        "pods": [_pod(pod, in_part=status.in_part) for pod in status.pods],
        "findings": [_finding(f) for f in status.findings],
    }


def _pod(pod: PodStatus, *, in_part: bool) -> dict[str, Any]:
    m = pod.member
    owned = m.owner.uid != m.uid
    return {
        "namespace": m.namespace,
        "name": m.name,
        "uid": m.uid,
        "state": pod.state.value,
        "ready": m.ready,
        "seeded": None if pod.seeded is Seeded.NONE else pod.seeded.value,
        "created": _time(m.created),
        "address": m.address or None,
        "peers": [_peer(p, in_part=in_part) for p in pod.peers],
        "generation": m.generation,
        "group": m.service if m.injected else None,
        "owner": {"apiVersion": m.owner.api_version, "kind": m.owner.kind, "name": m.owner.name} if owned else None,
        "node": m.node or None,
    }


def _peer(peer: Peer, *, in_part: bool) -> dict[str, Any]:
    """alive: null where the address may be a pod's that was not looked at."""
    if peer.pod is None:
        return {"address": peer.address, "pod": None, "alive": None if in_part else False}
    return {"address": peer.address, "pod": full_name(peer.pod), "alive": True}


def _finding(finding: Finding) -> dict[str, Any]:
    code = finding.code
    return {
        "code": code.code,
        "severity": code.severity.value,
        "message": finding.message,
        "advice": code.advice,
        "pods": list(finding.pods),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

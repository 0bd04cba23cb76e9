"""The container ports of the Supervisor: gossip in UDP and TCP, the gateway in TCP (supervisor.md §4.5, §15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.inject.patch import Patch
from webhook.problems import Findings
from webhook.spec import SupervisorSpec

NAMES = ("hab-gossip-udp", "hab-gossip-tcp", "hab-http")


def write(
    patch: Patch, path: str, field: str, container: Mapping[str, Any], spec: SupervisorSpec, findings: Findings
) -> None:
    """Each port unless its number and protocol are there; a port of the user's under one of our names is a problem."""
    options = spec.options
    wanted = []
    if options.discovery != "none":
        wanted += [(NAMES[0], options.gossip_port, "UDP"), (NAMES[1], options.gossip_port, "TCP")]
    if "--http-disable" not in spec.command.flags:
        wanted.append((NAMES[2], options.http_port, "TCP"))
    ports = [p for p in container.get("ports") or () if isinstance(p, dict)]
    there = {(p.get("containerPort"), p.get("protocol") or "TCP") for p in ports}
    names = {p.get("name") for p in ports}
    missing = []
    for name, number, protocol in wanted:
        if (number, protocol) in there:
            continue
        if name in names:
            what = f"a port named {name} has another number than {number}/{protocol}"
            findings.problem(f"{field}.ports", what, "rename it: names that begin with hab- are the webhook's")
        else:
            missing.append({"name": name, "containerPort": number, "protocol": protocol})
    patch.append(container, path, "ports", missing)

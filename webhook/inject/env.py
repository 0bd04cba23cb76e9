"""The container's environment (supervisor.md §1.6): never an empty value, never one that the user has set already."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from webhook.commandline import escape
from webhook.consistency import config_variable
from webhook.inject.patch import Patch, covers
from webhook.options import SECRETS
from webhook.problems import Findings
from webhook.spec import SupervisorSpec

_ADDRESS = ("POD_IP", "status.podIP")
RING_KEY = ("HAB_RING_KEY", "ring-key")

Variable = dict[str, Any]


def variables(spec: SupervisorSpec, ring_service: str, key_secret: str, home: str | None) -> list[Variable]:
    """What the Supervisor is told through its environment.

    ring_service: DNS name of the ring's headless Service. key_secret: the Secret of its managed key. home: the value of
    HOME, None to leave it alone.
    """
    options, flags = spec.options, spec.command.flags
    wanted = [_field(*_ADDRESS), _field("POD_NAME", "metadata.name")]
    # A loopback gossip address excludes a listen address, even one from the environment (supervisor.md §1.3).
    if options.discovery != "none" and "--listen-gossip" not in flags:
        wanted.append(_literal("HAB_LISTEN_GOSSIP", f"0.0.0.0:{options.gossip_port}"))
    if "--listen-http" not in flags:
        wanted.append(_literal("HAB_LISTEN_HTTP", f"0.0.0.0:{options.http_port}"))
    if "--listen-ctl" not in flags:
        wanted.append(_literal("HAB_LISTEN_CTL", f"127.0.0.1:{options.ctl_port}"))
    if spec.in_ring:
        wanted += [_literal("HABITAT_RING", options.ring), _literal("HABITAT_RING_SERVICE", ring_service)]
    if options.license:
        wanted.append(_literal("HAB_LICENSE", options.license))
    if options.config:
        wanted.append(_literal(config_variable(spec.service), escape(options.config)))
    if options.ring_key and "--ring-key" not in flags:
        secret = key_secret if options.ring_key == "managed" else options.ring_key
        wanted.append(_secret(*RING_KEY, secret))
    for option, env in SECRETS:
        secret = getattr(options, option.field)
        if secret:
            wanted.append(_secret(env.name, env.key, secret))
    if home:
        wanted.append(_literal("HOME", home))
    return wanted


def knows_address(container: Mapping[str, Any], findings: Findings) -> bool:
    """Whether POD_IP will be the pod's address: ours, or the user's own that says so.

    `--sys-ip-address` takes a bare address and nothing else (supervisor.md §0), so it is left out where POD_IP is the
    name of something else.
    """
    for variable in container.get("env") or ():
        if variable.get("name") != "POD_IP" or covers(variable, _field(*_ADDRESS)):
            continue
        try:
            ip_address(variable.get("value") or "")
        except ValueError:
            findings.warn("env POD_IP of the container is not the pod's address, so --sys-ip-address is not set")
            return False
    return True


def write(patch: Patch, path: str, container: Mapping[str, Any], wanted: list[Variable], findings: Findings) -> None:
    """Operations for what is missing, behind the user's own variables, which all stay."""
    present = {v.get("name"): v for v in container.get("env") or ()}
    missing = []
    for variable in wanted:
        name = variable["name"]
        existing = present.get(name)
        if existing is None:
            missing.append(variable)
        elif covers(existing, variable):
            continue
        elif existing.get("valueFrom") is not None:
            findings.warn(f"env {name} of the container comes from valueFrom; it stays, and ours is not set")
        else:
            findings.warn(f"env {name} is set by the container; it stays as it is")
    patch.append(container, path, "env", missing)


def _literal(name: str, value: str) -> Variable:
    return {"name": name, "value": value}


def _field(name: str, path: str) -> Variable:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _secret(name: str, key: str, secret: str) -> Variable:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}

"""Probes on the Supervisor's HTTP gateway (supervisor.md §5).

Readiness asks for the service's health. Startup and liveness ask only whether the Supervisor answers: service health is
500 while a service waits for quorum or binds, and a liveness probe on it would kill pods that are only waiting. `host`
is never set: Pod Security's baseline forbids it since 1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.patch import Patch
from webhook.problems import Findings
from webhook.spec import SupervisorSpec

TOKEN = "HAB_SUP_GATEWAY_AUTH_TOKEN"  # noqa: S105 -- the name of a variable

_TIMING: Mapping[str, dict[str, Any]] = {
    "readiness": {"periodSeconds": 3, "timeoutSeconds": 5, "failureThreshold": 3},
    # Five minutes: a version that is not in the image is downloaded before the gateway listens.
    "startup": {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 300},
    "liveness": {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
}


def write(
    patch: Patch,
    path: str,
    container: Mapping[str, Any],
    spec: SupervisorSpec,
    findings: Findings,
) -> None:
    """Each wanted probe unless the container has one."""
    names = _possible(spec, findings)
    if not names:
        return
    env = (v.get("name") for v in container.get("env") or () if isinstance(v, dict))
    token = bool(spec.options.gateway_auth_secret) or TOKEN in env
    for name in names:
        field = f"{name}Probe"
        route = f"/services/{spec.group_path}/health" if name == "readiness" else "/"
        wanted = _action(spec, route, token=token) | _TIMING[name]
        present = container.get(field)
        if present is None:
            patch.member(container, path, field, wanted)
        elif token and _asks_without_token(present, spec.options.http_port):
            findings.warn(f"{field} of the container asks the gateway without its token, which answers 401")


def _asks_without_token(probe: Any, port: int) -> bool:
    http = mapping(probe, "httpGet") if isinstance(probe, dict) else {}
    headers = {str(h.get("name")).lower() for h in sequence(http, "httpHeaders")}
    return http.get("port") in (port, "hab-http") and "authorization" not in headers


def _possible(spec: SupervisorSpec, findings: Findings) -> tuple[str, ...]:
    flags = spec.command.flags
    if "--http-disable" in flags or "--ca-certs" in flags:
        if spec.options.probes:
            why = "switches the gateway off" if "--http-disable" in flags else "demands client certificates"
            flag = "--http-disable" if "--http-disable" in flags else "--ca-certs"
            findings.warn(f"{flag} in args {why}: no probe is injected")
        return ()
    return spec.options.probes


def _action(spec: SupervisorSpec, route: str, *, token: bool) -> dict[str, Any]:
    """An httpGet from the kubelet; exec inside the container where the kubelet cannot reach or may not know a token."""
    port = spec.options.http_port
    secure = "--certs" in spec.command.flags
    loopback = spec.http_host in ("localhost", "::1") or spec.http_host.startswith("127.")
    if not token and not loopback:
        return {"httpGet": {"path": route, "port": port, "scheme": "HTTPS" if secure else "HTTP"}}
    host = "127.0.0.1" if loopback or not spec.http_host else spec.http_host
    host = "$POD_IP" if "$(" in host else host
    url = f"http{'s' if secure else ''}://{host}:{port}{route}"
    # No -T: some busybox builds crash on it; timeoutSeconds bounds the call (supervisor.md §0).
    header = f'--header "Authorization: Bearer ${TOKEN}" ' if token else ""
    insecure = "--no-check-certificate " if secure else ""
    return {"exec": {"command": ["/bin/sh", "-c", f'exec wget -q -O /dev/null {insecure}{header}"{url}"']}}

"""Which request the Supervisor's HTTP gateway answers with what, and what a kubelet's probe makes of it
(supervisor.md §0 "Gateway", §5).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.support.supervisor.verdict import Running
from tests.support.supervisor.world import World

State = Literal["starting", "ok", "warning", "critical", "unknown", "not loaded"]
"""starting: the gateway does not listen yet. unknown: waiting for binds, quorum, the init hook or the first check."""

POD_IP = World().pod_ip
STATUS: Mapping[State, int] = {"ok": 200, "warning": 200, "critical": 503, "unknown": 500, "not loaded": 404}
TOKEN = "HAB_SUP_GATEWAY_AUTH_TOKEN"


@dataclass(frozen=True, slots=True)
class Request:
    """port None: the scheme's own. from_outside: to the pod's address, as a kubelet asks; else from the container."""

    path: str
    port: int
    scheme: str = "HTTP"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    from_outside: bool = True


def answer(supervisor: Running, request: Request, state: State = "ok", pod_ip: str = POD_IP) -> int | None:
    """The status code, or None where no HTTP answer comes: refused, wrong scheme, a client certificate asked for."""
    host = supervisor.flags["listen-http"][0]
    reachable = {"0.0.0.0", "::", pod_ip} if request.from_outside else {"0.0.0.0", "::", "127.0.0.1"}
    if state == "starting" or request.port != supervisor.http_port or host not in reachable:
        return None
    if supervisor.flags["certs"] is not None:
        if supervisor.flags["ca-certs"] is not None or request.scheme != "HTTPS":
            return None
    elif request.scheme != "HTTP":
        return None
    token = supervisor.env.get(TOKEN)
    if token and request.headers.get("Authorization") != f"Bearer {token}":
        return 401
    if request.method != "GET":
        return 404
    return _route(supervisor, request.path, state)


def _route(supervisor: Running, path: str, state: State) -> int:
    if path in {"/", "/services", "/butterfly", "/census", "/metrics"}:
        return 200
    parts = path.split("/")[1:]
    if parts[:1] != ["services"] or len(parts) < 3:
        return 404
    tail = parts.pop() if parts[-1] in {"health", "config"} else ""
    wanted = [supervisor.package, supervisor.group, *([supervisor.org] if supervisor.org else [])]
    if parts[1:] != wanted or not supervisor.package:
        return 404
    if tail == "health":
        return STATUS[state]
    return 404 if state == "not loaded" else 200


def probe_passes(
    probe: Mapping[str, Any], supervisor: Running, container: Mapping[str, Any], state: State = "ok"
) -> bool | None:
    """Whether a kubelet's probe succeeds; None for one that does not ask this Supervisor's gateway.

    A kubelet asks the pod's address and expands no `$(VAR)` in a probe; a status from 200 to 399 is success.
    """
    if http := probe.get("httpGet"):
        return _http_passes(http, supervisor, container, state)
    if tcp := probe.get("tcpSocket"):
        port = port_number(tcp.get("port"), container)
        return answer(supervisor, Request("/", port), state) is not None if port == supervisor.http_port else None
    if execute := probe.get("exec"):
        return _exec_passes(execute.get("command") or [], supervisor, state)
    return None


def port_number(port: object, container: Mapping[str, Any]) -> int:
    """A probe's port: a number, or the name of one of the container's own; 0 where that name is unknown."""
    if isinstance(port, int):
        return port
    named = (p.get("containerPort", 0) for p in container.get("ports") or () if p.get("name") == port)
    return int(next(named, 0))


def _http_passes(
    http: Mapping[str, Any], supervisor: Running, container: Mapping[str, Any], state: State
) -> bool | None:
    port = port_number(http.get("port"), container)
    if http.get("host") or (port != supervisor.http_port and port != 0):
        return None
    headers = {header["name"]: header["value"] for header in http.get("httpHeaders") or ()}
    request = Request(http.get("path") or "/", port, http.get("scheme") or "HTTP", headers=headers)
    status = answer(supervisor, request, state)
    return status is not None and 200 <= status < 400


def _exec_passes(command: list[str], supervisor: Running, state: State) -> bool | None:
    """Busybox wget, bare or through `/bin/sh -c`; the shell knows the container's variables."""
    if command[:2] in (["/bin/sh", "-c"], ["sh", "-c"]) and len(command) == 3:
        words = [_shell_expand(word, supervisor.env) for word in shlex.split(command[2].removeprefix("exec "))]
    else:
        words = list(command)
    if not words or words[0].rpartition("/")[2] != "wget":
        return None
    return _wget(words[1:], supervisor, state)


def _shell_expand(word: str, env: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` in one word of a shell's line; longest names first, as a shell reads them."""
    for name in sorted(env, key=len, reverse=True):
        word = word.replace("${" + name + "}", env[name]).replace("$" + name, env[name])
    return word


def _wget(words: list[str], supervisor: Running, state: State) -> bool | None:
    """Busybox wget's exit status, as a boolean; only options that are known to work in it."""
    headers: dict[str, str] = {}
    url = ""
    rest = iter(words)
    for word in rest:
        if word == "--header":
            name, _, value = next(rest, "").partition(": ")
            headers[name] = value
        elif word == "-O":
            next(rest, "")
        elif word.startswith("-") and word not in {"-q", "-S", "--no-check-certificate"}:
            return False
        elif not word.startswith("-"):
            url = word
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    inside = parts.hostname in {"127.0.0.1", "localhost"}
    if not inside and parts.hostname != POD_IP:
        return None
    port = parts.port or default
    if port != supervisor.http_port:
        return None
    status = answer(
        supervisor,
        Request(parts.path or "/", port, parts.scheme.upper(), headers=headers, from_outside=not inside),
        state,
    )
    return status is not None and 200 <= status < 400

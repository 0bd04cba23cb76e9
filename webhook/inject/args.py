"""The container's args: the user's, then ours, only as `--flag=value`.

`--flag value` is never written: a flag that takes several values would swallow the ident behind it (supervisor.md
§1.3). `command` is never touched. Flags stand first when the container has no args, since the image's entrypoint then
puts its own ident before them; an explicit ident is always `run <ident> flags…` (supervisor.md §0, §3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.commandline import PEERS_FILE, escape
from webhook.decide import ARGS, sequence
from webhook.inject.patch import Patch
from webhook.options import FLAGGED, PREFIX
from webhook.problems import Problem
from webhook.spec import SupervisorSpec


def flags(spec: SupervisorSpec, dns_peer: str, *, address: bool) -> list[str]:
    """The flags that the user has not given, in the registry's order.

    dns_peer: `host:port` of the ring's headless Service, for discovery dns. address: whether POD_IP is the pod's
    address.
    """
    own: Mapping[str, tuple[str, ...]] = spec.command.flags
    said = spec.options.__dict__
    texts = []
    for option, flag in FLAGGED:
        value = said.get(option.field)
        if value is None:
            continue
        if flag.repeat:
            texts += [f"{flag.name}={escape(v)}" for v in value if v not in own.get(flag.name, ())]
        elif flag.name in own:
            continue
        elif flag.switch is None:
            texts.append(f"{flag.name}={escape(str(value))}")
        elif value == flag.switch:
            texts.append(flag.name)
    texts += _discovery(spec, dns_peer)
    if address and "--sys-ip-address" not in own and spec.command.word != "start":  # newer than the images of `start`
        texts.append("--sys-ip-address=$(POD_IP)")
    return texts


def _discovery(spec: SupervisorSpec, dns_peer: str) -> list[str]:
    if spec.sources.get("discovery") == ARGS:
        return []
    match spec.options.discovery:
        case "managed":
            return [] if "--peer-watch-file" in spec.command.flags else [f"--peer-watch-file={PEERS_FILE}"]
        case "dns":
            return [f"--peer={dns_peer}"]
        case "none":
            return ["--local-gossip-mode"]
        case _:
            return []  # external: the peers are an option of their own


def compose(spec: SupervisorSpec, users: list[str], ours: list[str]) -> list[str] | Problem:
    """All args: the user's with the ident where one has to be, ours behind them (before a lone `--`)."""
    command = spec.command
    package = spec.options.package if spec.sources.get("package") != ARGS else None
    end = command.flags_end
    composed = users[:end] + ours + users[end:]
    if package is not None:
        if not command.word and users and not users[0].startswith("-"):
            what = "the container's own command gets args that begin otherwise than with run, start or a flag"
            return Problem(PREFIX + "package", what, "remove it, and put run <package> where the args want it")
        at = users.index(command.word) + 1 if command.word in users else 0
        head = [] if command.word else ["run"]
        composed = composed[:at] + head + [package] + composed[at:]
    elif command.word and command.ident is None and spec.options.probes:
        what = f"`{command.word}` without a package starts a Supervisor that runs no service, so the pod is never ready"
        return Problem(
            PREFIX + "package", what, "set it, or put origin/name into the args, or set habitat.sh/probes: none"
        )
    return composed


def write(patch: Patch, path: str, container: Mapping[str, Any], wanted: list[str]) -> None:
    """Operations that turn the container's args into the wanted ones, one by one: nothing of the user's is written."""
    present = sequence(container, "args")
    if not present:
        patch.append(container, path, "args", wanted)
        return
    for index, text in _insertions(present, wanted):
        patch.added.setdefault("args", []).append(text)
        patch.add(f"{path}/args/{index}", text)


def _insertions(present: list[str], wanted: list[str]) -> list[tuple[int, str]]:
    """Where to insert what, ascending; `present` is a subsequence of `wanted`."""
    added = []
    at = 0
    for index, text in enumerate(wanted):
        if at < len(present) and present[at] == text:
            at += 1
        else:
            added.append((index, text))
    return added

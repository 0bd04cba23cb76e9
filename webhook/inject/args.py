"""The container's args: the user's, then ours, only as `--flag=value`.

`--flag value` is never written: a flag that takes several values would swallow the ident behind it (supervisor.md
§1.3). `command` is never touched. Flags stand first when the container has no args, since the image's entrypoint then
puts its own ident before them; an explicit ident is always `run <ident> flags…` (supervisor.md §0, §3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.commandline import escape
from webhook.decide import sequence
from webhook.inject.patch import Patch
from webhook.options import FLAGGED, PREFIX
from webhook.problems import Problem
from webhook.spec import ARGS, SupervisorSpec

PEERS_DIRECTORY = "/habitat"
PEERS_FILE = "/habitat/peers"


def flags(spec: SupervisorSpec, dns_peer: str) -> list[str]:
    """The flags that the user has not given, in the registry's order.

    dns_peer: `host:port` of the ring's headless Service, for discovery dns.
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
    if "--sys-ip-address" not in own:
        texts.append("--sys-ip-address=$(POD_IP)")
    return texts


def _discovery(spec: SupervisorSpec, dns_peer: str) -> list[str]:
    if spec.sources.get("discovery") == ARGS:
        return []
    match spec.options.discovery:
        case "managed":
            return [f"--peer-watch-file={PEERS_FILE}"]
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
        at = users.index(command.word) + 1 if command.word else 0
        head = [] if command.word else ["run"]
        composed = composed[:at] + head + [package] + composed[at:]
    elif command.word and command.ident is None and spec.options.probes:
        what = f"`{command.word}` without a package starts a Supervisor that runs no service, so the pod is never ready"
        return Problem(
            PREFIX + "package", what, "set it, or put origin/name into the args, or set habitat.sh/probes: none"
        )
    return composed


def write(patch: Patch, path: str, container: Mapping[str, Any], wanted: list[str]) -> list[str]:
    """Operations that turn the container's args into the wanted ones; returns what was added.

    Elements are added one by one, so that nothing of the user's is written again. Only where an earlier injection left
    something that is no longer wanted is the whole array replaced.
    """
    present = sequence(container, "args")
    if present == wanted:
        return []
    if not present:
        patch.append(container, path, "args", list(wanted))
        return wanted
    added = _insertions(present, wanted)
    if added is None:
        patch.replace(f"{path}/args", wanted)
        return [text for text in wanted if text not in present]
    for index, text in added:
        patch.add(f"{path}/args/{index}", text)
    return [text for _, text in added]


def _insertions(present: list[str], wanted: list[str]) -> list[tuple[int, str]] | None:
    """Where to insert what, ascending; None when `present` is no subsequence of `wanted`."""
    added = []
    at = 0
    for index, text in enumerate(wanted):
        if at < len(present) and present[at] == text:
            at += 1
        else:
            added.append((index, text))
    return added if at == len(present) else None

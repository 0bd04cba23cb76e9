"""What a Supervisor makes of the file that `--peer-watch-file` names (supervisor.md §0, first table, and §4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.support.supervisor.values import BadValueError
from tests.support.supervisor.values import _port as port_number
from tests.support.supervisor.world import World

GOSSIP_PORT = 9638
Fate = Literal["waits", "seeks", "island", "exit 86", "zombie", "stalls then exit 86"]


@dataclass(frozen=True, slots=True)
class Peers:
    """fate: what becomes of the Supervisor. addresses: whom it pings, (host, port).

    waits: runs and keeps looking at the file. seeks: runs and pings. island: pings itself, and never reads again.
    zombie: the gossip thread has panicked while the health endpoint says 200.
    """

    fate: Fate
    addresses: tuple[tuple[str, int], ...] = ()
    why: str = ""


def read_peers(
    content: str | None, *, own: str = "", alive: frozenset[str] | None = None, world: World | None = None
) -> Peers:
    """Read the file as a Supervisor that knows nobody does.

    content: None for a missing file or a directory. own: the pod's address. alive: the addresses that answer, None for
    all but the pod's own.
    """
    world = world or World()
    if not content:
        return Peers("waits")
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    addresses: list[tuple[str, int]] = []
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\r")
        if line.startswith("[") and "]:" in line:
            return Peers("zombie", why=f"line {number}: {line!r} is IPv6")
        host, colon, port = line.partition(":")
        try:
            addresses.append((host, port_number(port) if colon else GOSSIP_PORT))
        except BadValueError:
            return Peers("exit 86", why=f"line {number}: {line!r} has a bad port")
        if host in world.dead_names:
            return Peers("stalls then exit 86", why=f"line {number}: {host!r} does not resolve")
        if not world.resolves(host):
            return Peers("exit 86", why=f"line {number}: {line!r} is no address")
    others = {host for host, _ in addresses if host != own}
    answering = others if alive is None else others & alive
    if any(host == own for host, _ in addresses) and not answering:
        return Peers("island", tuple(addresses), "only itself and dead ones")
    return Peers("seeks", tuple(addresses))

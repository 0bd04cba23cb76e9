"""What a Supervisor makes of its peers file, line by line (supervisor.md §0 and §4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

GOSSIP_PORT = 9638
Resolver = Callable[[str], "str | None"]

_LINE = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>\d{1,5}))?")
_V6 = re.compile(r"\[[0-9A-Fa-f:.]+\]:\d{1,5}")
_V4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


class UnusableLineError(Exception):
    """A line that can be no peer: the Supervisor exits with 86 at once. A blank line is one."""


class UnknownHostError(Exception):
    """A name that does not resolve: the main loop waits for the answer, then the Supervisor exits with 86."""


@dataclass(frozen=True, slots=True)
class Peers:
    """addresses: IPv4, with `:port` unless it is the usual one. has_v6: a line was `[v6]:port`."""

    addresses: tuple[str, ...] = ()
    has_v6: bool = False


def nowhere(name: str) -> str | None:
    """A resolver that knows no name."""


def parse(text: str | None, resolve: Resolver = nowhere) -> Peers:
    """The peers of a file. None is a missing one or a directory; it and an empty one have none.

    Raises UnusableLineError and UnknownHostError, which of them as the first bad line says.
    """
    if not text:
        return Peers()
    addresses, has_v6 = [], False
    for raw in text.removesuffix("\n").split("\n"):
        line = raw.removesuffix("\r")
        if _V6.fullmatch(line):
            has_v6 = True
            continue
        found = _LINE.fullmatch(line)
        if found is None or int(found["port"] or 1) > 65535:
            raise UnusableLineError(line)
        host = found["host"] if _is_v4(found["host"]) else resolve(found["host"])
        if host is None:
            raise UnknownHostError(line)
        addresses.append(host if int(found["port"] or GOSSIP_PORT) == GOSSIP_PORT else f"{host}:{found['port']}")
    return Peers(tuple(addresses), has_v6)


def _is_v4(host: str) -> bool:
    return _V4.fullmatch(host) is not None and all(int(part) < 256 for part in host.split("."))

"""Which texts the Supervisor's flags and bound variables take (supervisor.md §0 "Command line", §1, §4.1, §9, §10).

Each function gives the parsed value or raises `BadValueError`; for clap that is a usage error, exit 2.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.support.supervisor.world import World

Parser = Callable[[str, World], object]


class BadValueError(ValueError):
    """A text that a value parser does not take."""


def text(value: str, world: World) -> str:
    return value


def filled(value: str, world: World) -> str:
    if not value:
        raise BadValueError("a value is required")
    return value


def integer(bits: int) -> Parser:
    """An unsigned integer as Rust reads it: digits, a leading + allowed, no space."""

    def parse(value: str, world: World) -> int:
        if not re.fullmatch(r"\+?[0-9]+", value) or int(value) >= 1 << bits:
            raise BadValueError(f"invalid digit found in string, or too large: {value!r}")
        return int(value)

    return parse


def one_of(*allowed: str) -> Parser:
    """A value enum; case-sensitive."""

    def parse(value: str, world: World) -> str:
        if value not in allowed:
            raise BadValueError(f"invalid value {value!r} [possible values: {', '.join(allowed)}]")
        return value

    return parse


def address(value: str, world: World) -> str:
    """A bare IPv4 or IPv6 literal."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise BadValueError(f"invalid IP address syntax: {value!r}") from None


def _port(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", value) or int(value) > 65535:
        raise BadValueError(f"invalid port value: {value!r}")
    return int(value)


def listen(value: str, world: World) -> tuple[str, int]:
    """`IP:PORT`; no host name, and the port is not optional (§0, which holds over §1.1)."""
    host, colon, port = value.rpartition(":")
    if not colon:
        raise BadValueError(f"invalid socket address syntax: {value!r}")
    bracketed = host.startswith("[") and host.endswith("]")
    literal = address(host[1:-1] if bracketed else host, world)
    if bracketed != (":" in literal):
        raise BadValueError(f"invalid socket address syntax: {value!r}")
    return literal, _port(port)


def resolved(default_port: int) -> Parser:
    """`host[:port]`, resolved while parsing; only an IPv4 answer will do, so a colon always begins the port."""

    def parse(value: str, world: World) -> tuple[str, int]:
        host, colon, port = value.partition(":")
        if ":" in port or not world.resolves(host):
            raise BadValueError(f"{value!r} did not resolve to an ipv4 socket address")
        return host, _port(port) if colon else default_port

    return parse


def bind(value: str, world: World) -> str:
    """`name:service.group[@org]` with exactly one colon."""
    parts = value.split(":")
    group = r"([^#@]+\.[^#@]+#)?[^#@.]+\.[^#@.]+(@[^#@.]+)?"
    if len(parts) != 2 or not re.fullmatch(group, parts[1], re.DOTALL):
        raise BadValueError(f"invalid binding {value!r}, must be of the form <NAME>:<SERVICE_GROUP>")
    return value


def pair(value: str, world: World) -> str:
    """`key=value`, one equals sign, both sides filled."""
    parts = value.split("=")
    if len(parts) != 2 or not all(parts):
        raise BadValueError(f"invalid key-value pair {value!r}")
    return value


def url(value: str, world: World) -> str:
    """An absolute URL; http and https need a host."""
    try:
        parts = urlsplit(value)
        usable = bool(parts.scheme) and (parts.scheme not in {"http", "https"} or bool(parts.hostname))
    except ValueError:
        usable = False
    if not usable:
        raise BadValueError(f"relative URL without a base: {value!r}")
    return value


def event_address(value: str, world: World) -> str:
    """A NATS address: `[nats://][user:password@]host[:port]`."""
    if not re.fullmatch(r"(nats://)?([^@\s/]+@)?[^@:\s/]+(:[0-9]{1,5})?", value):
        raise BadValueError(f"invalid NATS address {value!r}")
    return value


def toml_file(value: str, world: World) -> str:
    """A file that must exist and must end in .toml; the model takes the name's word for the first."""
    if not value.endswith(".toml"):
        raise BadValueError(f"File: '{value}' cannot be found")
    return value


def identifier(value: str, world: World) -> str:
    """A package ident (two to four parts) or a .hart file, which a pod never has."""
    parts = value.split("/")
    if value.endswith(".hart") or not 2 <= len(parts) <= 4 or not all(parts):
        raise BadValueError(f"invalid package identifier: {value!r}")
    return value

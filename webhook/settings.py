"""What the settings of every long-running command share: how one is declared, named, and refused.

A command's settings are one frozen dataclass whose fields are made by `setting`. `webhook/cli/options.py` makes the
command line of it: `tls_cert` is the flag `--tls-cert`, and `HABITAT_WEBHOOK_TLS_CERT` in the environment; a flag beats
its variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

ENVIRONMENT_PREFIX = "HABITAT_WEBHOOK_"
LOG_LEVELS = ("debug", "info", "warning", "error")

Bounds = Mapping[str, tuple[float, float]]
"""Field name -> least and most that is allowed."""

_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class SettingError(ValueError):
    """A setting that cannot be used; the text names it, says what is allowed and what to do."""


def setting(default: Any, doc: str, *, choices: tuple[str, ...] = ()) -> Any:
    """Declare one setting as a dataclass field; returns Any because the field's own annotation is its type.

    default: a str, int, float, bool or Path, which decides how the text is read; a bool is a flag without value.
    doc: its line in the help. choices: the only texts that are allowed, () for any.
    """
    return field(default=default, metadata={"doc": doc, "choices": choices})


def flag(name: str) -> str:
    """The command-line flag of a field: "tls_cert" -> "--tls-cert"."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a field: "tls_cert" -> "HABITAT_WEBHOOK_TLS_CERT"."""
    return ENVIRONMENT_PREFIX + name.upper()


def address(text: str, where: str) -> tuple[str, int]:
    """("host", port) of "host:port" or "[v6]:port". Raises SettingError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if (
        not colon
        or not host
        or (":" in host) != bracketed
        or not port.isascii()
        or not port.isdigit()
        or int(port) > 65535
    ):
        raise SettingError(f"{where} is {text!r}; allowed: host:port, such as 127.0.0.1:8443 or [::]:8443")
    return host, int(port)


def check_bounds(settings: object, bounds: Bounds) -> None:
    """Raise SettingError for the first number that is out of its bounds."""
    for name, (least, most) in bounds.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise SettingError(f"{flag(name)} is {value:g}; allowed: {least:g} to {most:g}")


def check_log_level(level: str) -> None:
    """Raise SettingError unless it is one of LOG_LEVELS."""
    if level not in LOG_LEVELS:
        raise SettingError(f"--log-level is {level!r}; allowed: {', '.join(LOG_LEVELS)}")


def check_namespace(name: str, where: str) -> None:
    """Raise SettingError unless it is the name of a namespace."""
    if not _DNS_LABEL.fullmatch(name):
        raise SettingError(f"{where} is {name!r}; allowed: the name of a namespace")


def check_object_name(name: str, field_name: str) -> None:
    """Raise SettingError unless it can be the name of a Service, and so of most other objects."""
    if not _DNS_LABEL.fullmatch(name):
        raise SettingError(
            f"{flag(field_name)} is {name!r}; allowed: at most 63 characters of a-z, 0-9 and -, not beginning or "
            "ending with -"
        )


def check_cluster_domain(domain: str) -> None:
    """Raise SettingError unless it is a DNS name."""
    if not all(_DNS_LABEL.fullmatch(label) for label in domain.split(".")):
        raise SettingError(f"--cluster-domain is {domain!r}; allowed: a DNS name like cluster.local")

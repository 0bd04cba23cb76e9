"""Every setting of `habitat-webhook serve`, declared once: its flag, its variable, its default and its help.

`--tls-cert` is `HABITAT_WEBHOOK_TLS_CERT` in the environment; a flag beats its variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webhook.decide import DOCS_URL
from webhook.decide import Settings as EngineSettings

ENVIRONMENT_PREFIX = "HABITAT_WEBHOOK_"
LOG_LEVELS = ("debug", "info", "warning", "error")

API_SERVER_IDLE_SECONDS = 90
"""How long the API server keeps an idle connection (`admission.md §0.7`)."""

_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class SettingError(ValueError):
    """A setting that cannot be used; the text names it, says what is allowed and what to do."""


_TLS_CERT = Path("/etc/habitat-webhook/tls/tls.crt")
_TLS_KEY = Path("/etc/habitat-webhook/tls/tls.key")


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of one server; `validate` says whether they can work together."""

    listen: str = field(
        default="0.0.0.0:8443", metadata=_doc("Address for the API server, host:port; port 0 takes a free one.")
    )
    metrics_listen: str = field(
        default="0.0.0.0:8080",
        metadata=_doc("Address of /livez, /readyz and /metrics in plain HTTP, host:port; port 0 takes a free one."),
    )
    tls_cert: Path = field(
        default=_TLS_CERT, metadata=_doc("Certificate chain in PEM; read again whenever the file is replaced.")
    )
    tls_key: Path = field(default=_TLS_KEY, metadata=_doc("Key of the certificate, in PEM."))
    own_namespace: str = field(default="", metadata=_doc("Namespace the webhook runs in; its pods are never injected."))
    cluster_domain: str = field(
        default="cluster.local", metadata=_doc("DNS domain of the cluster, for the name of a ring's Service.")
    )
    docs_url: str = field(default=DOCS_URL, metadata=_doc("Address of the documentation that error messages link to."))
    log_level: str = field(default="info", metadata=_doc(f"Least level that is logged: {', '.join(LOG_LEVELS)}."))
    threads: int = field(
        default=2,
        metadata=_doc("Threads for reviews over 64 KiB; smaller ones are answered at once, without a thread."),
    )
    max_connections: int = field(
        default=1000, metadata=_doc("Connections at the same time; beyond, the longest idle one is closed.")
    )
    keep_alive: float = field(
        default=120.0,
        metadata=_doc(
            "Seconds an idle connection stays open; more than the API server's own 90, or calls meet a closing one."
        ),
    )
    client_timeout: float = field(
        default=10.0, metadata=_doc("Seconds a client has for its TLS handshake, and for sending one request.")
    )
    shutdown_delay: float = field(
        default=0.0,
        metadata=_doc(
            "Seconds to go on answering after SIGTERM, not ready, while the endpoint is taken out of the Service."
        ),
    )
    drain_timeout: float = field(
        default=10.0, metadata=_doc("Seconds that requests under way have to end in, after that delay.")
    )

    def validate(self) -> None:
        """Raise SettingError for the first setting that cannot work."""
        address(self.listen, "--listen")
        address(self.metrics_listen, "--metrics-listen")
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise SettingError(f"{flag(name)} is {getattr(self, name):g}; allowed: {least:g} to {most:g}")
        if self.log_level not in LOG_LEVELS:
            raise SettingError(f"--log-level is {self.log_level!r}; allowed: {', '.join(LOG_LEVELS)}")
        if self.own_namespace and not _DNS_LABEL.fullmatch(self.own_namespace):
            raise SettingError(f"--own-namespace is {self.own_namespace!r}; allowed: the name of a namespace")
        if not all(_DNS_LABEL.fullmatch(label) for label in self.cluster_domain.split(".")):
            raise SettingError(f"--cluster-domain is {self.cluster_domain!r}; allowed: a DNS name like cluster.local")

    def engine(self) -> EngineSettings:
        """What of this the engine needs."""
        return EngineSettings(
            own_namespace=self.own_namespace,
            cluster_domain=self.cluster_domain,
            docs_url=self.docs_url.rstrip("/"),
        )


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "threads": (1, 64),
    "max_connections": (10, 100_000),
    "keep_alive": (1, 3600),
    "client_timeout": (0.1, 300),
    "shutdown_delay": (0, 3600),
    "drain_timeout": (0.1, 3600),
}


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

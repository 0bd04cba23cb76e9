"""Every setting of `habitat-webhook serve`, declared once: its flag, its variable, its default and its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from webhook.decide import DOCS_URL
from webhook.decide import Settings as EngineSettings
from webhook.rings import shared_rings
from webhook.settings import (
    LOG_LEVELS,
    Bounds,
    SettingError,
    address,
    check_bounds,
    check_cluster_domain,
    check_log_level,
    check_namespace,
    setting,
)

API_SERVER_IDLE_SECONDS = 90
"""How long the API server keeps an idle connection (`admission.md §0.7`)."""

NAMESPACES = ("watch", "none")

_TLS_CERT = Path("/etc/habitat-webhook/tls/tls.crt")
_TLS_KEY = Path("/etc/habitat-webhook/tls/tls.key")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of one server; `validate` says whether they can work together."""

    listen: str = setting("0.0.0.0:8443", "Address for the API server, host:port; port 0 takes a free one.")
    metrics_listen: str = setting(
        "0.0.0.0:8080",
        "Address of /livez, /readyz and /metrics in plain HTTP, host:port; port 0 takes a free one.",
    )
    tls_cert: Path = setting(_TLS_CERT, "Certificate chain in PEM; read again whenever the file is replaced.")
    tls_key: Path = setting(_TLS_KEY, "Key of the certificate, in PEM.")
    namespaces: str = setting(
        "watch",
        "watch: read namespaces, with their labels and defaults, from the API server. none: make no call to it; "
        "namespaces have no defaults then.",
        choices=NAMESPACES,
    )
    kubeconfig: Path = setting(Path(), "Kubeconfig to use; without one the pod's ServiceAccount, else $KUBECONFIG.")
    events: bool = setting(
        default=False,
        doc="Also write Events on the owners of pods whose warnings nobody reads; needs the right to write Events.",
    )
    own_namespace: str = setting("", "Namespace the webhook runs in; its pods are never injected.")
    cluster_domain: str = setting("cluster.local", "DNS domain of the cluster, for the name of a ring's Service.")
    shared_rings: str = setting(
        "", "Rings that pods of other namespaces may join, name.namespace of each, with commas between."
    )
    policy: str = setting(
        "", "File with the cluster-wide policy; read again whenever it is replaced. Without it there is none."
    )
    policy_config_map: str = setting(
        "",
        "ConfigMap, of --own-namespace, that the policy is mounted from: an Event on it says when it cannot be used.",
    )
    docs_url: str = setting(DOCS_URL, "Address of the documentation that error messages link to.")
    log_level: str = setting("info", f"Least level that is logged: {', '.join(LOG_LEVELS)}.", choices=LOG_LEVELS)
    threads: int = setting(
        2,
        "Threads for reviews over 64 KiB; smaller ones are answered at once, without a thread.",
    )
    max_connections: int = setting(1000, "Connections at the same time; beyond, the longest idle one is closed.")
    keep_alive: float = setting(
        120.0,
        "Seconds an idle connection stays open; more than the API server's own 90, or calls meet a closing one.",
    )
    client_timeout: float = setting(10.0, "Seconds a client has for its TLS handshake, and for sending one request.")
    shutdown_delay: float = setting(
        0.0,
        "Seconds to go on answering after SIGTERM, not ready, while the endpoint is taken out of the Service.",
    )
    drain_timeout: float = setting(10.0, "Seconds that requests under way have to end in, after that delay.")

    def validate(self) -> None:
        """Raise SettingError for the first setting that cannot work."""
        address(self.listen, "--listen")
        address(self.metrics_listen, "--metrics-listen")
        check_bounds(self, _BOUNDS)
        check_log_level(self.log_level)
        if self.own_namespace:
            check_namespace(self.own_namespace, "--own-namespace")
        check_cluster_domain(self.cluster_domain)
        self._shared_rings()

    def engine(self) -> EngineSettings:
        """What of this the engine needs."""
        return EngineSettings(
            own_namespace=self.own_namespace,
            cluster_domain=self.cluster_domain,
            docs_url=self.docs_url.rstrip("/"),
            shared_rings=self._shared_rings(),
        )

    def _shared_rings(self) -> frozenset[str]:
        try:
            return shared_rings(self.shared_rings)
        except ValueError as error:
            raise SettingError(f"--shared-rings: {error}") from None


_BOUNDS: Bounds = {
    "threads": (1, 64),
    "max_connections": (10, 100_000),
    "keep_alive": (1, 3600),
    "client_timeout": (0.1, 300),
    "shutdown_delay": (0, 3600),
    "drain_timeout": (0.1, 3600),
}

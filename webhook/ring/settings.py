"""Every setting of `habitat-webhook controller`, declared once: its flag, its variable, its default and its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from webhook.ring.rollout import Pace
from webhook.rings import shared_rings
from webhook.settings import LOG_LEVELS, Bounds, SettingError, address, check_bounds, check_log_level, check_namespace
from webhook.settings import setting as _setting


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """The settings of one controller; `validate` says whether they can work together."""

    kubeconfig: Path = _setting(Path(), "Kubeconfig to use; without one the pod's ServiceAccount, else $KUBECONFIG.")
    namespace: str = _setting("", "Namespace of the Lease; by default the ServiceAccount's, or the context's.")
    lease: str = _setting("habitat-webhook-controller", "Name of the Lease by which controllers agree who acts.")
    lease_duration: float = _setting(15.0, "Seconds that a leader who is silent is waited for.")
    lease_renew: float = _setting(10.0, "Seconds that a renewal is good for; less than the duration.")
    lease_retry: float = _setting(2.0, "Seconds between two attempts to get or to renew the Lease.")
    metrics_listen: str = _setting(
        "0.0.0.0:8080",
        "Address of /livez, /readyz and /metrics in plain HTTP, host:port; port 0 takes a free one.",
    )
    shared_rings: str = _setting(
        "", "Rings that pods of other namespaces may join, name.namespace of each, with commas between."
    )
    watch_secrets: bool = _setting(
        default=False, doc="Also bring changed Secrets to running Supervisors; needs the right to read Secrets."
    )
    ring_linger: float = _setting(300.0, "Seconds that the Service of an empty ring stays.")
    wave_parts: int = _setting(4, "How many waves a changed configuration takes to go over a ring.")
    wave_seconds: float = _setting(3.0, "Seconds from one such wave to the next.")
    wave_patience: float = _setting(30.0, "Seconds that a wave waits for the pods of the last one to be ready again.")
    resync: float = _setting(600.0, "Seconds after which every ring is looked at again though nothing has happened.")
    key_check: float = _setting(60.0, "Seconds after which it is checked that a ring's managed key still exists.")
    injection_check: float = _setting(
        300.0, "Seconds between two looks for pods that ask for an injection and run without one; 0 for never."
    )
    workers: int = _setting(16, "Writes to pods of one ring at the same time.")
    log_level: str = _setting("info", f"Least level that is logged: {', '.join(LOG_LEVELS)}.", choices=LOG_LEVELS)

    def validate(self) -> None:
        """Raise SettingError for the first setting that cannot work."""
        address(self.metrics_listen, "--metrics-listen")
        check_bounds(self, _BOUNDS)
        check_log_level(self.log_level)
        if self.namespace:
            check_namespace(self.namespace, "--namespace")
        if not self.lease_retry < self.lease_renew < self.lease_duration:
            raise SettingError(
                f"--lease-retry {self.lease_retry:g}, --lease-renew {self.lease_renew:g} and --lease-duration "
                f"{self.lease_duration:g}: each has to be less than the next"
            )
        self.shared()
        try:
            self.pace()
        except ValueError as error:
            raise SettingError(f"--wave-parts, --wave-seconds, --wave-patience: {error}") from None

    def shared(self) -> frozenset[str]:
        """The shared rings. Raises SettingError."""
        try:
            return shared_rings(self.shared_rings)
        except ValueError as error:
            raise SettingError(f"--shared-rings: {error}") from None

    def pace(self) -> Pace:
        """How fast a changed configuration goes over a ring. Raises ValueError."""
        return Pace(self.wave_parts, self.wave_seconds, self.wave_patience)


_BOUNDS: Bounds = {
    "lease_duration": (1, 3600),
    "lease_renew": (0.5, 3600),
    "lease_retry": (0.1, 3600),
    "ring_linger": (0, 86_400),
    "wave_parts": (1, 100),
    "wave_seconds": (0.1, 3600),
    "wave_patience": (0.1, 3600),
    "resync": (1, 86_400),
    "key_check": (1, 86_400),
    "injection_check": (0, 86_400),
    "workers": (1, 64),
}

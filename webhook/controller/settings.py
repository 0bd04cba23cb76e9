"""The settings of `habitat-webhook controller`: those of the rings and the Lease, and those of the certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from certs.authority import CertificateError, subject_alternative_names
from certs.rotation import Policy
from webhook.ring.settings import ControllerSettings
from webhook.settings import Bounds, SettingError, check_bounds, check_cluster_domain, check_object_name
from webhook.settings import setting as _setting

CERTIFICATES = ("managed", "none")


@dataclass(frozen=True, slots=True)
class Settings(ControllerSettings):
    """Everything; `validate` says whether it can work together."""

    certificates: str = _setting(
        "managed",
        "managed: keep the CA, the webhook's certificate and the caBundle of webhook configurations labelled "
        "habitat.sh/ca-bundle=managed. none: something else does, such as cert-manager.",
        choices=CERTIFICATES,
    )
    service: str = _setting("habitat-webhook", "Name of the webhook's Service; its certificate is for that.")
    cluster_domain: str = _setting("cluster.local", "DNS domain of the cluster, for the full name of that Service.")
    tls_names: str = _setting(
        "", "Further DNS names and IP addresses of the webhook's certificate, with commas between."
    )
    ca_secret: str = _setting("habitat-webhook-ca", "Secret of the CA, in the Lease's namespace; made when missing.")
    tls_secret: str = _setting("habitat-webhook-tls", "Secret of the webhook's certificate, beside the CA's.")
    ca_days: int = _setting(365, "Days that a CA lives; the next one is published after two thirds of them.")
    leaf_days: int = _setting(30, "Days that the webhook's certificate lives; renewed after two thirds of them.")
    ca_settle: float = _setting(60.0, "Seconds that every caBundle holds a new CA before that signs.")

    def validate(self) -> None:
        """Raise SettingError for the first setting that cannot work."""
        ControllerSettings.validate(self)
        check_bounds(self, _BOUNDS)
        check_cluster_domain(self.cluster_domain)
        for name in ("service", "ca_secret", "tls_secret"):
            check_object_name(getattr(self, name), name)
        if self.ca_secret == self.tls_secret:
            raise SettingError(f"--ca-secret and --tls-secret are both {self.ca_secret!r}; two Secrets are needed")
        if self.ca_days < 3 * self.leaf_days:
            raise SettingError(
                f"--ca-days {self.ca_days} and --leaf-days {self.leaf_days}: a CA has to live three times as long as "
                "what it signs, since it signs for two thirds of its life"
            )
        try:
            subject_alternative_names(self.names("namespace"))
        except CertificateError as error:
            raise SettingError(f"--service, --tls-names: {error}") from None

    def names(self, namespace: str) -> list[str]:
        """What the webhook's certificate is for, when it runs in that namespace."""
        full = f"{self.service}.{namespace}.svc"
        further = [name.strip() for name in self.tls_names.split(",") if name.strip()]
        return [full, f"{full}.{self.cluster_domain}", *further]

    def policy(self, namespace: str) -> Policy:
        """By what the CA and the certificate are kept."""
        return Policy(
            self.names(namespace),
            timedelta(days=self.ca_days),
            timedelta(days=self.leaf_days),
            timedelta(seconds=self.ca_settle),
        )


_BOUNDS: Bounds = {"ca_days": (3, 3650), "leaf_days": (1, 90), "ca_settle": (1, 3600)}

"""The leaf that the webhook serves, as it is kept: tls.crt, tls.key, and ca.crt, the bundle that verifies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from certs import bundle
from certs.authority import CertificateError, subject_alternative_names
from certs.authority import Leaf as Issued

CERTIFICATE, KEY, BUNDLE = "tls.crt", "tls.key", "ca.crt"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key in PEM, and the bundle beside it."""

    certificate: x509.Certificate
    pem: bytes
    key: bytes = field(repr=False)
    bundle: bytes

    def trusted(self) -> tuple[x509.Certificate, ...]:
        """The bundle's certificates, none where it cannot be read."""
        return bundle.readable(self.bundle)

    def encode(self, authorities: bytes) -> dict[str, bytes]:
        """What is kept, with this bundle beside it. The key first: who reads in between sees no pair, and waits."""
        return {BUNDLE: authorities, KEY: self.key, CERTIFICATE: self.pem}


def made(issued: Issued) -> Leaf:
    """A leaf that was issued just now."""
    return Leaf(bundle.parse(issued.certificate)[0], issued.certificate, issued.key, b"")


def decode(data: Mapping[str, bytes]) -> Leaf:
    """What is kept. Raises CertificateError when it is no pair; the message quotes nothing."""
    missing = [key for key in (CERTIFICATE, KEY) if not data.get(key, b"").strip()]
    if missing:
        raise CertificateError(f"{' and '.join(missing)}: not there, or empty")
    try:
        certificate = bundle.parse(data[CERTIFICATE])[0]
    except CertificateError as error:
        raise CertificateError(f"{CERTIFICATE}: {error}") from None
    try:
        key = serialization.load_pem_private_key(data[KEY], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{KEY} is no PEM private key without a password") from None
    if key.public_key() != certificate.public_key():
        raise CertificateError(f"{KEY} does not belong to {CERTIFICATE}")
    return Leaf(certificate, data[CERTIFICATE], data[KEY], data.get(BUNDLE, b""))


def due(certificate: x509.Certificate) -> datetime:
    """When a certificate is renewed: after two thirds of its life, by wall clock."""
    begins = certificate.not_valid_before_utc
    return begins + (certificate.not_valid_after_utc - begins) * 2 / 3


def names_differ(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether it is for other names than these, in whatever order."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return True
    return set(extension.value) != set(subject_alternative_names(names))


def remaining(certificate: x509.Certificate, now: datetime) -> timedelta:
    """How long it is still valid; negative when it has expired."""
    return certificate.not_valid_after_utc - now

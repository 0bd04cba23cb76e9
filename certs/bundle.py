"""Bundles: the certificates that a client trusts, in PEM, one after the other.

The API server verifies a webhook's certificate against the caBundle of its configuration, and makes a new client, with
new connections, whenever one byte of that changes (admission.md §0.7). So a bundle is always written in the same order
and the same form: oldest first, so that a CA which changes its role changes no byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from certs.authority import UNREADABLE, CertificateError

_BEGIN = b"-----BEGIN "
_BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def parse(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate of a bundle, as they stand there; text between them is allowed.

    Raises CertificateError when there is none, when one is cut off or damaged, and for anything else in PEM, such as a
    key. The message quotes nothing.
    """
    begun = pem.count(_BEGIN)
    if not begun:
        raise CertificateError("there is no certificate in PEM" if pem.strip() else "it is empty")
    if begun != pem.count(_BEGIN_CERTIFICATE):
        raise CertificateError("it holds something else than certificates")
    try:
        found = x509.load_pem_x509_certificates(pem)
        for certificate in found:
            _read(certificate)
    except UNREADABLE:
        # Without its text, which may quote what it could not read.
        raise CertificateError("a certificate is cut off or damaged") from None
    if len(found) != begun:
        raise CertificateError("a certificate is cut off")
    return tuple(found)


def _read(certificate: x509.Certificate) -> None:
    """Raises one of UNREADABLE now for what would raise it later: these parts are read when they are asked for."""
    for part in ("subject", "issuer", "extensions"):
        getattr(certificate, part)
    certificate.public_key()


def join(certificates: Iterable[x509.Certificate]) -> bytes:
    """The bundle of these certificates, each once: always the same bytes for the same certificates."""
    different = {fingerprint(c): c for c in certificates}
    ordered = sorted(different.items(), key=lambda item: (item[1].not_valid_before_utc, item[0]))
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for _, c in ordered)


def readable(pem: bytes) -> tuple[x509.Certificate, ...]:
    """What `parse` gives; of a bundle that cannot be read as a whole: nothing, which is on the safe side."""
    try:
        return parse(pem)
    except CertificateError:
        return ()


def held(pem: bytes) -> frozenset[str]:
    """The fingerprints of what a bundle holds, as far as it is readable."""
    return frozenset(fingerprint(c) for c in readable(pem))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def issuer(
    leaf: x509.Certificate, trusted: Iterable[x509.Certificate], now: datetime | None = None
) -> x509.Certificate | None:
    """Which of the CAs has signed the leaf; None when none has. now: only one that is valid then counts."""
    for ca in trusted:
        try:
            leaf.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if now is None or valid(ca, now):
            return ca
    return None


def valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it has begun and not ended."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def verifies(leaf: x509.Certificate, trusted: Iterable[x509.Certificate], now: datetime) -> bool:
    """Whether a client that trusts these accepts the leaf at `now`, as far as signature and dates go."""
    return valid(leaf, now) and issuer(leaf, trusted, now) is not None

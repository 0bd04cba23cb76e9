"""A certificate authority for one TLS server: pure functions of keys, names and a clock that the caller gives.

EC P-256 throughout (admission.md (c) 26). The API server verifies the name `<service>.<namespace>.svc` against the
subject alternative names and ignores the common name (admission.md §0.7).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(minutes=5)
"""Certificates begin this long ago, so that a client whose clock runs behind accepts them."""

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a damaged certificate, some of it only when the part is asked for."""

AUTHORITY_NAME = "habitat-webhook CA"
_COMMON_NAME_LIMIT = 64  # X.520 ub-common-name
_DNS_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"(?:\*\.)?{_DNS_LABEL}(?:\.{_DNS_LABEL})*", re.ASCII)
_DNS_NAME_LIMIT = 253


class CertificateError(ValueError):
    """A name that cannot be certified, a lifetime that makes no sense, or PEM that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's certificate and its key, in PEM; the key is PKCS #8 without a password."""

    certificate: bytes
    key: bytes = field(repr=False)
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, *, now: datetime, lifetime: timedelta, name: str = AUTHORITY_NAME) -> Self:
        """A new self-signed CA that may sign leaves only (path length 0)."""
        _check_clock(now, lifetime)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject=subject, issuer=subject, key=key.public_key(), begins=now, ends=now + lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Self:
        """The CA from its two PEM texts.

        Raises CertificateError when one of them is not PEM, is no CA, is not EC, or the two do not belong together.
        """
        try:
            loaded = x509.load_pem_x509_certificate(certificate)
            public, may_sign = loaded.public_key(), _is_authority(loaded)
        except UNREADABLE as error:
            raise CertificateError(f"the CA certificate is not a PEM certificate: {error}") from error
        try:
            private = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(f"the CA key is not a PEM private key without a password: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise CertificateError("the CA key is not an elliptic curve key")
        if private.public_key() != public:
            raise CertificateError("the CA key does not belong to the CA certificate")
        if not may_sign:
            raise CertificateError("the certificate is not a CA: it may not sign others")
        return cls(loaded, private)

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return _key_pem(self.key)

    def issue(self, names: Sequence[str], *, now: datetime, lifetime: timedelta) -> Leaf:
        """A server certificate for DNS names and IP addresses, with a key of its own; it never outlives the CA.

        Raises CertificateError for a name that is neither, for none at all, and when the CA is not valid at `now`.
        """
        _check_clock(now, lifetime)
        if not self.certificate.not_valid_before_utc <= now < self.not_after:
            raise CertificateError(
                f"the CA is valid from {self.certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
                f"{self.not_after:%Y-%m-%d %H:%M} UTC, and it is {now:%Y-%m-%d %H:%M} now"
            )
        alternatives = subject_alternative_names(names)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_COMMON_NAME_LIMIT])])
        ends = min(now + lifetime, self.not_after)
        builder = (
            _builder(subject=subject, issuer=self.certificate.subject, key=key.public_key(), begins=now, ends=ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        return Leaf(
            certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key), certificate.not_valid_after_utc
        )


def subject_alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """DNS names (a wildcard as the first label is allowed) and IP addresses, in the order given, each once.

    Raises CertificateError that lists every name which is neither.
    """
    if not names:
        raise CertificateError("no names: a server certificate needs a DNS name or an IP address at least")
    alternatives: dict[x509.GeneralName, None] = {}
    wrong = []
    for name in names:
        alternative = _general_name(name)
        if alternative is None:
            wrong.append(repr(name))
        else:
            alternatives[alternative] = None
    if wrong:
        raise CertificateError(
            f"neither a DNS name nor an IP address: {', '.join(wrong)}; a DNS name has labels of letters, digits and "
            "hyphens, at most 63 characters each, and * only as its first label"
        )
    return list(alternatives)


def _general_name(name: str) -> x509.GeneralName | None:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if len(name) <= _DNS_NAME_LIMIT and _DNS_NAME.fullmatch(name) and not _looks_like_address(name):
            return x509.DNSName(name.lower())
        return None


def _looks_like_address(name: str) -> bool:
    """A mistyped address such as 10.0.0.256: no top-level domain is a number (RFC 3696 §2)."""
    return name.rpartition(".")[2].isdigit()


def _check_clock(now: datetime, lifetime: timedelta) -> None:
    if now.tzinfo is None:
        raise CertificateError("the clock has no time zone: give an aware datetime")
    if lifetime <= timedelta(0):
        raise CertificateError(f"a lifetime of {lifetime} ends before it begins")


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """A CA signs certificates and lists; a leaf only signs: all that ECDHE with ECDSA needs (RFC 8422 §5.3)."""
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

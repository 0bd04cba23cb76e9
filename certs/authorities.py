"""The CAs of an installation at one moment, and how they are kept: the content of the CA's Secret.

key of the Secret     what
ca.crt, ca.key        the current CA: it signs the leaf
next.crt, next.key    the next one, while a rotation is under way: published in every caBundle, signs nothing yet
old.crt               those before, without keys: kept in every caBundle until the last leaf they signed has died
until.json            fingerprint -> when that is, RFC 3339; one that is missing stays until it expires
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from certs import bundle
from certs.authority import AUTHORITY_NAME, Authority, CertificateError

CURRENT = ("ca.crt", "ca.key")
NEXT = ("next.crt", "next.key")
OLD, UNTIL = "old.crt", "until.json"


@dataclass(frozen=True, slots=True)
class Old:
    """A CA that signs no more. until: when the last leaf that it can have signed is dead."""

    certificate: x509.Certificate
    until: datetime

    @property
    def fingerprint(self) -> str:
        return bundle.fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class Authorities:
    """The current CA, the next one while there is one, and those before."""

    current: Authority
    next: Authority | None = None
    old: tuple[Old, ...] = ()

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All that a client has to trust."""
        following = (self.next.certificate,) if self.next else ()
        return (self.current.certificate, *following, *(old.certificate for old in self.old))

    def bundle(self) -> bytes:
        """What belongs into every caBundle."""
        return bundle.join(self.certificates)

    def kept_until(self, certificate: x509.Certificate) -> datetime | None:
        """How long clients are told to trust a CA; None for one that is not among these."""
        print_ = bundle.fingerprint(certificate)
        for old in self.old:
            if old.fingerprint == print_:
                return old.until
        kept = {bundle.fingerprint(c): c.not_valid_after_utc for c in self.certificates}
        return kept.get(print_)

    def keeping(self, certificate: x509.Certificate, until: datetime) -> Authorities:
        """With a CA among the old ones, kept until then at least."""
        print_ = bundle.fingerprint(certificate)
        latest = max([until, *(old.until for old in self.old if old.fingerprint == print_)])
        others = tuple(old for old in self.old if old.fingerprint != print_)
        return replace(self, old=(*others, Old(certificate, latest)))


def encode(authorities: Authorities) -> dict[str, bytes]:
    """What is kept of them; it holds private keys."""
    data = {CURRENT[0]: authorities.current.certificate_pem(), CURRENT[1]: authorities.current.key_pem()}
    if authorities.next:
        data |= {NEXT[0]: authorities.next.certificate_pem(), NEXT[1]: authorities.next.key_pem()}
    if authorities.old:
        data[OLD] = bundle.join(old.certificate for old in authorities.old)
        times = {old.fingerprint: old.until.astimezone(UTC).isoformat() for old in authorities.old}
        data[UNTIL] = json.dumps(times, sort_keys=True).encode()
    return data


def decode(data: Mapping[str, bytes]) -> Authorities:
    """What `encode` has made. Raises CertificateError, which says which key of it is wrong and quotes nothing."""
    current = _authority(data, CURRENT)
    if current is None:
        raise CertificateError(f"{' and '.join(CURRENT)} are not there")
    return Authorities(current, _authority(data, NEXT), _old(data))


def _authority(data: Mapping[str, bytes], keys: tuple[str, str]) -> Authority | None:
    present = [key for key in keys if data.get(key, b"").strip()]
    if not present:
        return None
    if len(present) == 1:
        raise CertificateError(f"{present[0]} is there without {' or '.join(k for k in keys if k not in present)}")
    certificate, key = (data[k] for k in keys)
    try:
        if len(bundle.parse(certificate)) != 1:
            raise CertificateError("it holds more than one certificate")
        authority = Authority.load(certificate, key)
    except CertificateError as error:
        # The texts of what it comes from may quote what was read.
        raise CertificateError(f"{keys[0]} and {keys[1]}: {_sayable(error)}") from None
    _check_ours(authority.certificate, keys[0])
    return authority


def _sayable(error: CertificateError) -> str:
    return str(error).partition(":")[0]


def _old(data: Mapping[str, bytes]) -> tuple[Old, ...]:
    if not data.get(OLD, b"").strip():
        return ()
    try:
        certificates = bundle.parse(data[OLD])
    except CertificateError as error:
        raise CertificateError(f"{OLD}: {error}") from None
    for certificate in certificates:
        _check_ours(certificate, OLD)
    times = _times(data.get(UNTIL, b""))
    return tuple(Old(c, times.get(bundle.fingerprint(c), c.not_valid_after_utc)) for c in certificates)


def _times(text: bytes) -> dict[str, datetime]:
    if not text.strip():
        return {}
    try:
        times = {str(key): datetime.fromisoformat(value) for key, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise CertificateError(f"{UNTIL} is no JSON object of fingerprints and times") from None
    if any(time.tzinfo is None for time in times.values()):
        raise CertificateError(f"{UNTIL} has a time without time zone")
    return times


def _check_ours(certificate: x509.Certificate, key: str) -> None:
    if not is_ours(certificate):
        raise CertificateError(f"{key} is somebody else's CA: its subject is not CN={AUTHORITY_NAME}")


def is_ours(certificate: x509.Certificate) -> bool:
    """Whether it looks like a CA of this program: signed by itself, under its name."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return [name.value for name in names] == [AUTHORITY_NAME] and certificate.issuer == certificate.subject

"""CAs and leaves for tests, at times of their own."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certs import leaf
from certs.authorities import Authorities
from certs.authority import Authority
from certs.leaf import Leaf
from certs.rotation import Policy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("webhook.habitat.svc", "webhook.habitat.svc.cluster.local")
POLICY = Policy(NAMES, authority=360 * DAY, leaf=30 * DAY)


def authority(*, now: datetime = NOW, days: float = 360, name: str | None = None) -> Authority:
    named = {"name": name} if name else {}
    return Authority.create(now=now, lifetime=days * DAY, **named)


def authorities(*, now: datetime = NOW, days: float = 360) -> Authorities:
    return Authorities(authority(now=now, days=days))


def serving(
    by: Authority, *, now: datetime = NOW, days: float = 30, names: tuple[str, ...] = NAMES, beside: bytes | None = None
) -> Leaf:
    """A leaf with the bundle beside it, by default that of its CA alone."""
    made = leaf.made(by.issue(names, now=now, lifetime=days * DAY))
    return leaf.decode(made.encode(by.certificate_pem() if beside is None else beside))


def damaged(certificate: x509.Certificate) -> Iterator[bytes]:
    """The certificate in PEM with one byte changed, each of its bytes in turn."""
    whole = certificate.public_bytes(serialization.Encoding.DER)
    for place, byte in enumerate(whole):
        der = whole[:place] + bytes([byte ^ 0x15]) + whole[place + 1 :]
        yield b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"

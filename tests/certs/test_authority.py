"""The CA and its leaves, as an X.509 reader sees them."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from certs.authority import Authority, CertificateError, subject_alternative_names
from tests.certs.making import damaged

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
YEARS = timedelta(days=3650)

Extension = TypeVar("Extension", bound=x509.ExtensionType)


@pytest.fixture
def authority() -> Authority:
    return Authority.create(now=NOW, lifetime=YEARS)


def leaf_of(authority: Authority, *names: str, now: datetime = NOW, lifetime: timedelta = MONTH) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue(names, now=now, lifetime=lifetime).certificate)


def extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension:
    return certificate.extensions.get_extension_for_class(kind).value


def test_leaf_verifies_for_its_dns_name_under_the_ca(authority: Authority) -> None:
    leaf = leaf_of(authority, "webhook.habitat.svc")
    verifier = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    chain = verifier.build_server_verifier(x509.DNSName("webhook.habitat.svc")).verify(leaf, [])
    assert chain == [leaf, authority.certificate]
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("other.habitat.svc")).verify(leaf, [])


def test_leaf_of_another_ca_does_not_verify(authority: Authority) -> None:
    stranger = Authority.create(now=NOW, lifetime=YEARS)
    verifier = PolicyBuilder().store(Store([authority.certificate])).time(NOW)
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(x509.DNSName("a.svc")).verify(leaf_of(stranger, "a.svc"), [])


def test_all_keys_are_on_the_curve_p256(authority: Authority) -> None:
    leaf = authority.issue(["a.svc"], now=NOW, lifetime=MONTH)
    key = serialization.load_pem_private_key(leaf.key, password=None)
    for found in (authority.key, key):
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        assert found.curve.name == "secp256r1"


def test_names_become_alternatives_in_their_order_each_once(authority: Authority) -> None:
    leaf = leaf_of(authority, "webhook.habitat.svc", "127.0.0.1", "::1", "*.Example.com", "127.0.0.1")
    assert list(extension(leaf, x509.SubjectAlternativeName)) == [
        x509.DNSName("webhook.habitat.svc"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.DNSName("*.example.com"),
    ]


def test_ca_may_sign_leaves_only_and_leaf_may_serve_only(authority: Authority) -> None:
    leaf = leaf_of(authority, "a.svc")
    basic = extension(authority.certificate, x509.BasicConstraints)
    assert (basic.ca, basic.path_length) == (True, 0)
    assert extension(authority.certificate, x509.KeyUsage).key_cert_sign
    assert not extension(authority.certificate, x509.KeyUsage).digital_signature
    assert not extension(leaf, x509.BasicConstraints).ca
    assert extension(leaf, x509.KeyUsage).digital_signature
    assert not extension(leaf, x509.KeyUsage).key_cert_sign
    assert list(extension(leaf, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_leaf_names_the_key_that_signed_it(authority: Authority) -> None:
    signed_by = extension(leaf_of(authority, "a.svc"), x509.AuthorityKeyIdentifier).key_identifier
    assert signed_by == extension(authority.certificate, x509.SubjectKeyIdentifier).digest


def test_certificates_begin_five_minutes_before_the_given_clock(authority: Authority) -> None:
    leaf = leaf_of(authority, "a.svc", now=NOW + timedelta(days=1))
    assert leaf.not_valid_before_utc == NOW + timedelta(days=1) - timedelta(minutes=5)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=31)
    assert authority.certificate.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_leaf_never_outlives_its_ca() -> None:
    authority = Authority.create(now=NOW, lifetime=timedelta(days=7))
    issued = authority.issue(["a.svc"], now=NOW, lifetime=MONTH)
    assert issued.not_after == authority.not_after == NOW + timedelta(days=7)


def test_every_serial_number_is_new(authority: Authority) -> None:
    serials = {leaf_of(authority, "a.svc").serial_number for _ in range(20)} | {authority.certificate.serial_number}
    assert len(serials) == 21
    assert all(0 < serial < 2**159 for serial in serials)


def test_long_first_name_is_cut_in_the_common_name_alone(authority: Authority) -> None:
    name = ".".join(["a" * 60] * 4)
    leaf = leaf_of(authority, name)
    assert leaf.subject.rfc4514_string() == f"CN={name[:64]}"
    assert extension(leaf, x509.SubjectAlternativeName).get_values_for_type(x509.DNSName) == [name]


@pytest.mark.parametrize("when", [NOW - timedelta(days=1), NOW + timedelta(days=8)])
def test_ca_outside_its_time_refuses_to_sign(when: datetime) -> None:
    authority = Authority.create(now=NOW, lifetime=timedelta(days=7))
    with pytest.raises(CertificateError, match=r"valid from 2026-03-01 11:55 to 2026-03-08 12:00 UTC, and it is"):
        authority.issue(["a.svc"], now=when, lifetime=MONTH)


def test_ca_survives_its_pem_text(authority: Authority) -> None:
    again = Authority.load(authority.certificate_pem(), authority.key_pem())
    assert again.certificate == authority.certificate
    assert leaf_of(again, "a.svc").issuer == authority.certificate.subject


def rsa_key() -> bytes:
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_pem_that_makes_no_ca_is_refused_with_its_reason(authority: Authority) -> None:
    leaf = authority.issue(["a.svc"], now=NOW, lifetime=MONTH)
    stranger = Authority.create(now=NOW, lifetime=YEARS)
    for certificate, key, reason in (
        (b"nothing", authority.key_pem(), "not a PEM certificate"),
        (authority.certificate_pem(), b"nothing", "not a PEM private key"),
        (authority.certificate_pem(), rsa_key(), "not an elliptic curve key"),
        (authority.certificate_pem(), stranger.key_pem(), "does not belong to the CA certificate"),
        (leaf.certificate, leaf.key, "is not a CA"),
    ):
        with pytest.raises(CertificateError, match=reason):
            Authority.load(certificate, key)


def test_ca_with_any_byte_damaged_is_refused_or_as_before(authority: Authority) -> None:
    refused = 0
    for pem in damaged(authority.certificate):
        try:
            found = Authority.load(pem, authority.key_pem())
        except CertificateError:
            refused += 1
        else:
            assert found.certificate.public_key() == authority.key.public_key()
    assert refused > 100


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "-a.svc",
        "a..svc",
        "a.*.svc",
        "*",
        "münchen.de",
        "10.0.0.256",
        "1.2.3",
        "x" * 64,
        "a." * 127 + "aa",
    ],
)
def test_what_is_neither_name_nor_address_is_refused(name: str) -> None:
    with pytest.raises(CertificateError, match="neither a DNS name nor an IP address"):
        subject_alternative_names([name])


def test_all_bad_names_are_said_at_once() -> None:
    with pytest.raises(CertificateError, match=r"'a b', 'c_d'; a DNS name has labels"):
        subject_alternative_names(["good.svc", "a b", "c_d"])


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(CertificateError, match="no names"):
        subject_alternative_names([])


def test_naive_clock_and_empty_lifetime_are_refused() -> None:
    with pytest.raises(CertificateError, match="no time zone"):
        Authority.create(now=NOW.replace(tzinfo=None), lifetime=YEARS)
    with pytest.raises(CertificateError, match="ends before it begins"):
        Authority.create(now=NOW, lifetime=timedelta(0))

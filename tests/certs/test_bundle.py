"""Bundles: read strictly, written always in the same form."""

from __future__ import annotations

import ssl

import pytest

from certs import bundle
from certs.authorities import is_ours
from certs.authority import CertificateError
from tests.certs.making import DAY, NOW, authority, damaged, serving

OLDER, NEWER = authority(now=NOW - DAY), authority()
BOTH = bundle.join([OLDER.certificate, NEWER.certificate])


def test_bundle_is_the_same_bytes_whatever_order_it_is_made_from() -> None:
    assert bundle.join([NEWER.certificate, OLDER.certificate, NEWER.certificate]) == BOTH
    assert OLDER.certificate_pem() + NEWER.certificate_pem() == BOTH


def test_what_was_joined_is_read_again_oldest_first() -> None:
    assert bundle.parse(BOTH) == (OLDER.certificate, NEWER.certificate)


def test_text_between_certificates_is_allowed() -> None:
    assert len(bundle.parse(b"# ours\n" + BOTH.replace(b"-----BEGIN", b"\nnext:\n-----BEGIN"))) == 2


@pytest.mark.parametrize(
    ("pem", "complaint"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"Cg==", "there is no certificate in PEM"),
        (BOTH[: len(BOTH) // 4], "cut off"),
        (BOTH[:-40], "cut off"),
        (BOTH.replace(b"MII", b"AAA", 1), "cut off or damaged"),
        (BOTH + NEWER.key_pem(), "something else than certificates"),
        (NEWER.key_pem(), "something else than certificates"),
    ],
    ids=["nothing", "blank", "text", "first cut off", "last cut off", "damaged", "with a key", "a key alone"],
)
def test_what_is_no_bundle_is_refused_and_counts_as_holding_nothing(pem: bytes, complaint: str) -> None:
    with pytest.raises(CertificateError, match=complaint) as caught:
        bundle.parse(pem)
    assert "MII" not in str(caught.value)
    assert bundle.held(pem) == frozenset()


def test_certificate_with_any_byte_damaged_is_refused_or_can_be_used_without_a_surprise() -> None:
    """Many parts of a certificate are read only when somebody asks for them."""
    leaf, refused = serving(NEWER).certificate, 0
    for pem in damaged(NEWER.certificate):
        found = bundle.readable(pem)
        refused += not found
        assert bundle.issuer(leaf, found) is None or bundle.held(pem)
        assert all(isinstance(is_ours(ca), bool) for ca in found)
    assert refused > 100


def test_bundle_verifies_the_leaves_of_each_of_its_cas_by_dates_too() -> None:
    leaf = serving(NEWER).certificate
    assert bundle.verifies(leaf, bundle.parse(BOTH), NOW)
    assert bundle.issuer(leaf, bundle.parse(BOTH)) == NEWER.certificate
    assert not bundle.verifies(leaf, [OLDER.certificate], NOW)
    assert not bundle.verifies(leaf, bundle.parse(BOTH), NOW + 30 * DAY)
    assert not bundle.verifies(leaf, bundle.parse(BOTH), NOW - DAY)
    assert bundle.issuer(leaf, bundle.parse(BOTH), NOW + 400 * DAY) is None


def test_openssl_takes_the_bundle_though_all_cas_have_one_name() -> None:
    context = ssl.create_default_context(cadata=BOTH.decode())
    assert len(context.get_ca_certs()) == 2

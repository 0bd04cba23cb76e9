"""The leaf as it is kept: what is no pair, when it is due, and for which names it is."""

from __future__ import annotations

import pytest

from certs import leaf
from certs.authority import CertificateError
from tests.certs.making import DAY, NAMES, NOW, authority, damaged, serving

CA = authority()
LEAF = serving(CA)
DATA = LEAF.encode(CA.certificate_pem())


def test_what_is_kept_comes_back() -> None:
    assert leaf.decode(DATA) == LEAF
    assert LEAF.trusted() == (CA.certificate,)
    assert "PRIVATE" not in repr(LEAF)


def test_certificate_is_the_last_that_is_written() -> None:
    assert list(DATA) == ["ca.crt", "tls.key", "tls.crt"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tls.crt": b""}, "tls.crt: not there, or empty"),
        ({"tls.crt": b" ", "tls.key": b""}, "tls.crt and tls.key: not there, or empty"),
        ({"tls.crt": DATA["tls.crt"][:300]}, "tls.crt: a certificate is cut off"),
        ({"tls.key": DATA["tls.key"][:100]}, "tls.key is no PEM private key"),
        ({"tls.key": serving(CA).key}, "tls.key does not belong to tls.crt"),
    ],
    ids=["no certificate", "nothing", "cut off", "key cut off", "another key"],
)
def test_what_is_no_pair_is_refused_and_not_quoted(change: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(CertificateError, match=complaint) as caught:
        leaf.decode(DATA | change)
    assert caught.value.__cause__ is None


def test_leaf_with_any_byte_damaged_is_refused_or_can_be_used_without_a_surprise() -> None:
    refused = 0
    for pem in damaged(LEAF.certificate):
        try:
            found = leaf.decode(DATA | {"tls.crt": pem})
        except CertificateError:
            refused += 1
        else:
            assert leaf.names_differ(found.certificate, NAMES) in (True, False)
    assert refused > 100


def test_bundle_that_cannot_be_read_trusts_nobody() -> None:
    assert leaf.decode(DATA | {"ca.crt": b"x"}).trusted() == ()


def test_leaf_is_due_after_two_thirds_of_its_life() -> None:
    begins = LEAF.certificate.not_valid_before_utc
    assert leaf.due(LEAF.certificate) - begins == (LEAF.certificate.not_valid_after_utc - begins) * 2 / 3
    assert leaf.remaining(LEAF.certificate, NOW + 31 * DAY) == -DAY


def test_names_are_compared_as_a_set() -> None:
    assert not leaf.names_differ(LEAF.certificate, NAMES[::-1])
    assert not leaf.names_differ(LEAF.certificate, [NAMES[0].upper(), NAMES[1]])
    assert leaf.names_differ(LEAF.certificate, NAMES[:1])
    assert leaf.names_differ(LEAF.certificate, (*NAMES, "127.0.0.1"))
    assert leaf.names_differ(CA.certificate, NAMES)

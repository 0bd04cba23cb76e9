"""What is kept of the CAs, and what is refused as somebody else's or damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from certs import authorities as cas
from certs import bundle
from certs.authorities import Authorities
from certs.authority import CertificateError
from tests.certs.making import DAY, NOW, authority

CURRENT, NEXT, OLD = authority(), authority(now=NOW + DAY), authority(now=NOW - DAY)
WHOLE = Authorities(CURRENT, NEXT).keeping(OLD.certificate, NOW + 30 * DAY)
DATA = cas.encode(WHOLE)


def test_what_is_kept_comes_back() -> None:
    again = cas.decode(DATA)
    assert again.certificates == WHOLE.certificates
    assert again.old == WHOLE.old
    assert (again.current.key_pem(), again.next and again.next.key_pem()) == (CURRENT.key_pem(), NEXT.key_pem())
    assert cas.encode(again) == DATA


def test_old_cas_are_kept_without_their_keys() -> None:
    assert sum(value.count(b"PRIVATE KEY") for value in DATA.values()) == 2 * 2
    assert OLD.key_pem() not in DATA.values()


def test_bundle_is_all_of_them_and_does_not_change_when_the_next_takes_over() -> None:
    assert bundle.parse(WHOLE.bundle()) == (OLD.certificate, CURRENT.certificate, NEXT.certificate)
    after = Authorities(NEXT, None, WHOLE.old).keeping(CURRENT.certificate, NOW + 30 * DAY)
    assert after.bundle() == WHOLE.bundle()


def test_keeping_twice_keeps_the_later_time() -> None:
    later = WHOLE.keeping(OLD.certificate, NOW + 40 * DAY)
    assert later.kept_until(OLD.certificate) == NOW + 40 * DAY
    assert later.keeping(OLD.certificate, NOW) == later
    assert WHOLE.kept_until(CURRENT.certificate) == CURRENT.not_after
    assert WHOLE.kept_until(authority().certificate) is None


def test_old_ca_whose_time_is_not_noted_stays_until_it_expires() -> None:
    data = {key: value for key, value in DATA.items() if key != "until.json"}
    assert [old.until for old in cas.decode(data).old] == [OLD.not_after]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ca.crt": b"", "ca.key": b""}, "ca.crt and ca.key are not there"),
        ({"ca.key": b" "}, "ca.crt is there without ca.key"),
        ({"ca.crt": b""}, "ca.key is there without ca.crt"),
        ({"ca.crt": DATA["ca.crt"][:200]}, "ca.crt and ca.key: a certificate is cut off"),
        ({"ca.key": DATA["ca.key"][:100]}, "ca.crt and ca.key: the CA key is not a PEM private key"),
        ({"ca.key": DATA["next.key"]}, "the CA key does not belong to the CA certificate"),
        ({"ca.crt": DATA["ca.crt"] * 2}, "more than one certificate"),
        ({"next.key": b"x"}, "next.crt and next.key: the CA key is not"),
        ({"old.crt": b"x"}, "old.crt: there is no certificate"),
        ({"until.json": b"{"}, "until.json is no JSON object"),
        ({"until.json": b"[]"}, "until.json is no JSON object"),
        ({"until.json": json.dumps({"a": "2026-01-01T00:00:00"}).encode()}, "without time zone"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_is_damaged_is_refused_by_the_key_that_is_wrong(change: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(CertificateError, match=complaint) as caught:
        cas.decode(DATA | change)
    assert "MI" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_ca_of_somebody_else_is_refused() -> None:
    foreign = authority(name="Acme CA")
    for keys in (("ca.crt", "ca.key"), ("next.crt", "next.key")):
        data = DATA | dict(zip(keys, (foreign.certificate_pem(), foreign.key_pem()), strict=True))
        with pytest.raises(CertificateError, match=f"{keys[0]} is somebody else's CA"):
            cas.decode(data)
    with pytest.raises(CertificateError, match=r"old\.crt is somebody else's CA"):
        cas.decode(DATA | {"old.crt": foreign.certificate_pem()})


def test_no_representation_shows_a_key() -> None:
    secrets = [CURRENT.key_pem(), NEXT.key_pem()]
    for text in (
        repr(WHOLE),
        repr(replace(WHOLE, next=None)),
        repr(CURRENT.issue(["a.svc"], now=NOW, lifetime=timedelta(1))),
    ):
        assert "PRIVATE" not in text
        assert not any(key.decode().splitlines()[1] in text for key in secrets)

"""`habitat-webhook certs dev`: files made, renewed, and mistakes explained."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certs.dev import issue, write
from tests.cli.running import run


def names(path: Path) -> list[object]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [name.value for name in alternatives]


def test_first_run_makes_a_ca_and_the_second_renews_under_it(tmp_path: Path) -> None:
    first = run("certs", "dev", "--dns", "a.svc", "--ip", "127.0.0.1", "--out", tmp_path / "tls")
    assert first.exit_code == 0, first.stderr
    assert "ca.crt: a new CA, valid until " in first.stdout
    assert names(tmp_path / "tls" / "tls.crt") == ["a.svc", ipaddress.ip_address("127.0.0.1")]
    ca = (tmp_path / "tls" / "ca.crt").read_bytes()
    second = run("certs", "dev", "--dns", "b.svc", "--dns", "c.svc", "--days", "1", "--out", tmp_path / "tls")
    assert "ca.crt: the CA that was there, valid until " in second.stdout
    assert names(tmp_path / "tls" / "tls.crt") == ["b.svc", "c.svc"]
    assert (tmp_path / "tls" / "ca.crt").read_bytes() == ca


def test_certificate_is_valid_for_the_days_asked_for(tmp_path: Path) -> None:
    run("certs", "dev", "--dns", "a.svc", "--days", "3", "--out", tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "tls.crt").read_bytes())
    whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert whole == timedelta(days=3, minutes=5)


def test_mistakes_are_said_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments, expected in (
        (("--out", tmp_path), "give the names of the server: --dns NAME or --ip ADDRESS, one at least"),
        (
            ("--dns", "a b", "--ip", "1.2.3", "--out", tmp_path / "x"),
            "neither a DNS name nor an IP address: 'a b', '1.2.3'",
        ),
        (("--dns", "a.svc"), "Missing option '--out'"),
        (("--dns", "a.svc", "--out", tmp_path, "--days", "0"), "0 is not in the range 1<=x<=3650"),
        (("--dns", "a.svc", "--out", tmp_path / "file"), "is a file"),
        (("--dns", "a.svc", "--out", tmp_path / "file" / "x"), f"cannot use {tmp_path}/file/x: Not a directory"),
    ):
        result = run("certs", "dev", *arguments)
        assert result.exit_code == 2
        assert expected in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt"])
def test_half_a_ca_is_not_replaced(tmp_path: Path, lost: str) -> None:
    run("certs", "dev", "--dns", "a.svc", "--out", tmp_path)
    (tmp_path / lost).unlink()
    result = run("certs", "dev", "--dns", "a.svc", "--out", tmp_path)
    assert result.exit_code == 2
    assert "restore the file, or remove both to begin with a new CA" in result.stderr
    assert not (tmp_path / lost).exists()


def test_expired_ca_is_said(tmp_path: Path) -> None:
    write(issue(["a.svc"], now=datetime.now(UTC) - timedelta(days=4000)), tmp_path)
    result = run("certs", "dev", "--dns", "a.svc", "--out", tmp_path)
    assert result.exit_code == 2
    assert "the CA is valid from " in result.stderr

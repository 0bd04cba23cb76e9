"""The files of `certs dev`, used by a TLS client and server, and renewed."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certs.authority import Authority, CertificateError
from certs.dev import issue, load_authority, write

NAMES = ["webhook.habitat.svc", "127.0.0.1"]


def now() -> datetime:
    return datetime.now(UTC)


def written(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def handshake(directory: Path, name: str, ca: Path | None = None) -> str | None:
    """The TLS version that a strict client of `name` and a server with the directory's pair agree on, in memory."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    client_context = ssl.create_default_context(cafile=ca or directory / "ca.crt")
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return client.version()


@pytest.mark.parametrize("name", NAMES)
def test_tls_client_that_trusts_the_ca_accepts_every_name(tmp_path: Path, name: str) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    assert handshake(tmp_path, name) == "TLSv1.3"


def test_tls_client_refuses_a_name_that_is_not_in_the_certificate(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(tmp_path, "other.habitat.svc")


def test_renewed_leaf_is_accepted_by_a_client_that_trusts_the_first_ca(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    before = written(tmp_path)
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(before["ca.crt"])
    write(issue(NAMES, now=now(), ca=load_authority(tmp_path)), tmp_path)
    after = written(tmp_path)
    assert (after["ca.crt"], after["ca.key"]) == (before["ca.crt"], before["ca.key"])
    assert after["tls.crt"] != before["tls.crt"]
    assert after["tls.key"] != before["tls.key"]
    assert handshake(tmp_path, NAMES[0], trusted) == "TLSv1.3"


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path / "made" / "here")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made" / "here").iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "tls.crt": 0o644, "tls.key": 0o600}


def test_every_file_is_replaced_never_written_into(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    with (tmp_path / "tls.crt").open("rb") as held:
        old = held.read()
        write(issue(NAMES, now=now()), tmp_path)
        held.seek(0)
        assert held.read() == old
    after = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert after["tls.crt"] != before["tls.crt"]


def test_failed_write_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    before = written(tmp_path)
    (tmp_path / "tls.key").unlink()
    (tmp_path / "tls.key").mkdir()
    (tmp_path / "tls.key" / "in the way").touch()
    with pytest.raises(OSError, match=r"tls\.key"):
        write(issue(NAMES, now=now(), ca=load_authority(tmp_path)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)
    assert (tmp_path / "tls.crt").read_bytes() == before["tls.crt"]


def test_days_are_the_lifetime_of_the_leaf() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert issue(NAMES, now=begin, days=7).not_after == begin + timedelta(days=7)


def test_bundle_is_signed_by_the_ca_it_carries() -> None:
    bundle = issue(NAMES, now=now())
    leaf = x509.load_pem_x509_certificate(bundle.certificate)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(bundle.ca))
    assert bundle.ca == bundle.authority.certificate_pem()


def test_empty_directory_has_no_authority(tmp_path: Path) -> None:
    assert load_authority(tmp_path) is None
    assert load_authority(tmp_path / "not there") is None


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt"])
def test_half_a_ca_is_refused_by_the_names_of_both_files(tmp_path: Path, lost: str) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(CertificateError, match=rf"{lost} is not, so this CA cannot sign; restore the file"):
        load_authority(tmp_path)


def test_key_of_another_ca_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write(issue(NAMES, now=now()), tmp_path)
    (tmp_path / "ca.key").write_bytes(Authority.create(now=now(), lifetime=timedelta(days=1)).key_pem())
    with pytest.raises(CertificateError, match=r"does not belong to the CA certificate; remove both"):
        load_authority(tmp_path)

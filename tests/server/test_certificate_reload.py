"""The serving certificate is replaced while the server runs; nobody notices but new handshakes."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.reviews import encoded, review
from tests.support.server import WebhookServer, wait_for, webhook_server
from tests.support.tls import Files, serial


def served(server: WebhookServer) -> int:
    with server.connect() as connection:
        return serial(connection)


def test_renewed_certificate_is_served_to_the_next_handshake(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        first = served(server)
        second = server.files.issue()
        assert served(server) == second != first
        assert server.metric("certificate_loads_total", result="loaded") == 2
        assert server.wait_for_line("certificate loaded")["path"] == str(server.files.certificate)


def test_swaps_under_load_cost_no_request_and_no_connection(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        enough, failures, answered, connected = threading.Event(), [], [], []

        def keep_posting() -> None:
            try:
                with contextlib.closing(server.client()) as client:
                    client.connect()
                    connected.append(1)
                    first = client.sock
                    while not enough.is_set():
                        client.request("POST", "/mutate", encoded(review()), {"Content-Type": "application/json"})
                        response = client.getresponse()
                        response.read()
                        assert (response.status, client.sock) == (200, first)
                        answered.append(1)
            except Exception as error:  # noqa: BLE001 - reported by the test below
                failures.append(error)

        clients = [threading.Thread(target=keep_posting) for _ in range(4)]
        for client in clients:
            client.start()
        # A handshake between the writes of the two files would meet half a pair, which is refused, and rightly.
        wait_for("all connections", lambda: 1 if len(connected) == len(clients) or failures else None)
        for _ in range(10):
            expected = server.files.issue()
            assert served(server) == expected
            count = len(answered)
            wait_for("answers after the swap", lambda c=count: 1 if len(answered) > c + 8 or failures else None)
        enough.set()
        for client in clients:
            client.join()
        assert failures == []
        assert server.metric("certificate_loads_total", result="refused") == 0


def _foreign_key(files: Files) -> None:
    certificate = files.certificate.read_bytes()
    files.issue()
    files.certificate.write_bytes(certificate)


def _damaged(files: Files) -> None:
    """In the byte that tells the version, which no X.509 reader expects to be another."""
    der = ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    files.certificate.write_text(ssl.DER_cert_to_PEM_cert(der.replace(VERSION_3, VERSION_10, 1)))


VERSION_3, VERSION_10 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"
SPOILED: dict[str, Callable[[Files], object]] = {
    "certificate cut short": lambda f: f.certificate.write_bytes(f.certificate.read_bytes()[:100]),
    "certificate empty": lambda f: f.certificate.write_bytes(b""),
    "certificate damaged in one byte": _damaged,
    "certificate is something else": lambda f: f.certificate.write_bytes(b"\0\xff" * 100),
    "key cut short": lambda f: f.key.write_bytes(f.key.read_bytes()[:100]),
    "key of another certificate": _foreign_key,
    "key gone": lambda f: f.key.unlink(),
    "key is encrypted": lambda f: f.key.write_bytes(_encrypted_key()),
}


def _encrypted_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


def test_unusable_pair_is_ignored_counted_and_logged_once(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        for number, (what, spoil) in enumerate(SPOILED.items(), start=1):
            good = served(server)
            spoil(server.files)
            assert served(server) == good, what
            assert served(server) == good, what
            assert server.metric("certificate_loads_total", result="refused") >= number, what
            assert server.get("/readyz") == (200, "ok\n"), what
            assert server.post(encoded(review()))[0] == 200, what
            renewed = server.files.issue()
            assert served(server) == renewed != good, what
        refusals = [line for line in server.lines() if line["message"].startswith("certificate not loaded")]
        assert len(refusals) == server.metric("certificate_loads_total", result="refused")
        assert all("the previous certificate is served on" in line["message"] for line in refusals)


def test_pair_behind_turned_symlinks_is_read_again(tmp_path: Path) -> None:
    """A Secret's volume: tls.crt -> ..data/tls.crt, and ..data is a symlink that is replaced by a rename."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Files(tmp_path / "one"), Files(tmp_path / "two")
    one.issue()
    two.authority = one.authority
    expected = two.issue()
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "..data").symlink_to(tmp_path / "one")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (volume / name).symlink_to(Path("..data") / name)
    with webhook_server(tmp_path, files=Files(volume)) as server:
        first = served(server)
        (volume / "..new").symlink_to(tmp_path / "two")
        (volume / "..new").rename(volume / "..data")
        assert served(server) == expected != first


def test_server_without_certificate_starts_and_becomes_ready_with_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with webhook_server(tmp_path, files=files) as server:
        status, text = server.get("/readyz")
        assert status == 503
        assert "certificate" in text
        assert str(files.certificate) in text
        assert server.get("/livez")[0] == 200
        with server.connect_plain() as connection:
            assert connection.recv(1) == b""
        assert server.errors("tls") == 1
        files.issue()
        server.trust = files.client()
        assert server.get("/readyz") == (200, "ok\n")
        assert server.post(encoded(review()))[0] == 200


@pytest.mark.parametrize(("age", "valid"), [(timedelta(0), True), (timedelta(days=31), False)])
def test_time_until_expiry_is_a_metric(tmp_path: Path, age: timedelta, valid: bool) -> None:
    files = Files(tmp_path)
    files.issue(days=30, ago=age)
    with webhook_server(tmp_path, files=files) as server:
        seconds = server.metric("certificate_expires_in_seconds")
        assert (seconds > 0) == valid
        assert abs(seconds - (timedelta(days=30) - age).total_seconds()) < 3600

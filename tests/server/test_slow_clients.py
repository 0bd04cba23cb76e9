"""Clients that send slowly, or nothing, or do not read: others are answered meanwhile, and each is ended in time."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.reviews import encoded, pod, review
from tests.support.server import WebhookServer, read_response, request_bytes, wait_for, webhook_server

CROWD = 40
"""More than any number of threads the server has."""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """A server that gives its clients longer than any test lasts."""
    with webhook_server(tmp_path_factory.mktemp("patient"), "--client-timeout", "300", "--threads", "1") as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path_factory.mktemp("strict"), "--client-timeout", "0.2", "--keep-alive", "300") as running:
        yield running


def silent(server: WebhookServer) -> socket.socket:
    """Connects, and never begins its handshake."""
    return server.connect_plain()


def half_a_handshake(server: WebhookServer) -> socket.socket:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    assert server.trust is not None
    client = server.trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    sock = server.connect_plain()
    sock.sendall(outgoing.read()[:100])
    return sock


def idle(server: WebhookServer) -> socket.socket:
    return server.connect()


def half_a_head(server: WebhookServer) -> socket.socket:
    connection = server.connect()
    connection.sendall(b"POST /mutate HTTP/1.1\r\nHost: local")
    return connection


def half_a_body(server: WebhookServer) -> socket.socket:
    connection = server.connect()
    connection.sendall(request_bytes(encoded(review())[:500], length=5000))
    return connection


def half_a_large_body(server: WebhookServer) -> socket.socket:
    connection = server.connect()
    connection.sendall(request_bytes(encoded(review())[:500], length=100 * 1024))
    return connection


PHASES = [silent, half_a_handshake, idle, half_a_head, half_a_body, half_a_large_body]


@pytest.mark.parametrize("slow", PHASES)
def test_crowd_of_slow_clients_holds_up_nobody(
    patient: WebhookServer, slow: Callable[[WebhookServer], socket.socket]
) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(CROWD):
            crowd.enter_context(slow(patient))
        for number in range(10):
            assert patient.post(encoded(review(uid=f"r{number}")))[1]["response"]["uid"] == f"r{number}"
        assert patient.post(encoded(large_review()))[0] == 200, "a large one, which goes through the threads"
        assert patient.get("/livez")[0] == 200
        assert patient.metric("connections") > CROWD


def large_review() -> dict[str, object]:
    return review(pod({"habitat.sh/service": "redis", "example.com/large": "x" * 100_000}))


def test_review_that_comes_byte_by_byte_is_answered(patient: WebhookServer) -> None:
    with patient.connect() as connection:
        for byte in request_bytes(encoded(review(uid="dripping"))):
            connection.sendall(bytes([byte]))
        status, _, body = read_response(connection)
    assert status == 200
    assert json.loads(body)["response"]["uid"] == "dripping"


@pytest.mark.parametrize("slow", [silent, half_a_handshake])
def test_handshake_that_takes_too_long_is_ended_and_counted(
    strict: WebhookServer, slow: Callable[[WebhookServer], socket.socket]
) -> None:
    before = strict.errors("timeout")
    with slow(strict) as connection:
        while connection.recv(10_000):
            pass  # what the server had to say of the handshake; then it closes
    assert strict.errors("timeout") == before + 1
    strict.wait_for_line("connection failed during its handshake: the client is too slow")


@pytest.mark.parametrize("slow", [half_a_head, half_a_body, half_a_large_body])
def test_request_that_takes_too_long_is_answered_with_408(
    strict: WebhookServer, slow: Callable[[WebhookServer], socket.socket]
) -> None:
    before = strict.errors("timeout")
    with slow(strict) as connection:
        status, headers, body = read_response(connection)
    assert (status, headers["connection"]) == (408, "close")
    assert "0.2 s" in json.loads(body)["message"]
    assert strict.errors("timeout") == before + 1


def test_idle_connection_outlives_the_time_a_request_may_take(strict: WebhookServer) -> None:
    with strict.connect() as connection, half_a_head(strict) as slower:
        assert read_response(slower)[0] == 408, "the time for a request is over"
        connection.sendall(request_bytes(encoded(review())))
        assert read_response(connection)[0] == 200


def test_idle_connection_is_closed_when_its_time_is_over(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--keep-alive", "1") as server, server.connect() as connection:
        connection.sendall(request_bytes(encoded(review())))
        assert read_response(connection)[0] == 200
        assert connection.recv(1) == b""
        server.wait_for_line("--keep-alive is 1; the API server keeps idle connections for 90 s")


def narrow(server: WebhookServer) -> ssl.SSLSocket:
    """A connection that takes in little: the rest of a large answer waits in the server."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", server.port))
    assert server.trust is not None
    return server.trust.wrap_socket(sock, server_hostname="localhost")


def test_client_that_does_not_read_its_answers_holds_up_nobody(strict: WebhookServer) -> None:
    before = strict.errors("timeout")
    config = "".join(f'key{n} = "{"x" * 90}"\n' for n in range(1200))
    body = request_bytes(encoded(review(pod({"habitat.sh/service": "redis", "habitat.sh/config": config}))))
    with narrow(strict) as connection:
        with contextlib.suppress(OSError):  # until the server has had enough and closes
            for _ in range(100):
                connection.sendall(body)
        assert strict.post(encoded(review()))[0] == 200
    assert strict.errors("timeout") == before + 1


def test_answer_larger_than_the_socket_holds_arrives_whole(patient: WebhookServer) -> None:
    made = pod({"habitat.sh/service": "redis", "habitat.sh/files-secret": "files"})
    made["spec"]["containers"][0]["image"] = (
        "x" * 2_000_000
    )  # the answer has it again, in the container that copies files
    before = patient.metric("reviews_total", reason="Injected")
    with narrow(patient) as connection:
        connection.sendall(request_bytes(encoded(review(made, uid="large"))))
        wait_for("the answer", lambda: 1 if patient.metric("reviews_total", reason="Injected") > before else None)
        status, _, body = read_response(connection)
    assert status == 200
    assert len(body) > 2_000_000
    assert json.loads(body)["response"]["uid"] == "large"


def test_longest_idle_connection_makes_room_for_a_new_one(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--max-connections", "10") as server, contextlib.ExitStack() as crowd:
        idle_ones = [crowd.enter_context(server.connect()) for _ in range(10)]
        for connection in idle_ones[1:]:
            connection.sendall(request_bytes(encoded(review())))
            assert read_response(connection)[0] == 200
        assert server.post(encoded(review()))[0] == 200
        assert idle_ones[0].recv(1) == b"", "the first has been idle longest"
        idle_ones[-1].sendall(request_bytes(encoded(review())))
        assert read_response(idle_ones[-1])[0] == 200
        assert server.errors("overloaded") >= 1


def test_flood_of_connections_ends_its_own_and_not_the_idle_ones(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--max-connections", "10") as server, server.connect() as kept:
        kept.sendall(request_bytes(encoded(review())))
        assert read_response(kept)[0] == 200
        with contextlib.ExitStack() as flood:
            for _ in range(50):
                flood.enter_context(silent(server))
            assert server.post(encoded(review()))[0] == 200
            kept.sendall(request_bytes(encoded(review())))
            assert read_response(kept)[0] == 200


def test_server_out_of_file_descriptors_goes_on_answering(tmp_path: Path) -> None:
    with webhook_server(tmp_path, files_limit=40) as server, contextlib.ExitStack() as flood:
        for _ in range(100):
            flood.enter_context(silent(server))
        for number in range(5):
            assert server.post(encoded(review(uid=f"r{number}")))[1]["response"]["uid"] == f"r{number}"


def test_large_bodies_together_are_bounded(patient: WebhookServer) -> None:
    before = patient.errors("overloaded")
    with contextlib.ExitStack() as crowd:
        for _ in range(9):
            connection = crowd.enter_context(patient.connect())
            connection.sendall(request_bytes(b"{", length=7 * 1024 * 1024))
        with crowd.enter_context(patient.connect()) as one_more:
            wait_for("nine bodies", lambda: 1 if patient.metric("in_flight_requests") == 9 else None)
            one_more.sendall(request_bytes(b"{", length=7 * 1024 * 1024))
            assert read_response(one_more)[0] == 503
        assert patient.errors("overloaded") == before + 1
        assert patient.post(encoded(review()))[0] == 200, "small ones do not count"


def test_http_on_the_tls_port_is_counted_as_a_failed_handshake(server: WebhookServer) -> None:
    before = server.errors("tls")
    with server.connect_plain() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    server.wait_for_line("connection failed during its handshake: HTTP_REQUEST")
    assert server.errors("tls") == before + 1


def test_client_that_does_not_trust_the_certificate_is_counted_and_logged(server: WebhookServer) -> None:
    before = server.errors("tls")
    with pytest.raises(ssl.SSLCertVerificationError), server.connect_plain() as connection:
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    server.wait_for_line("connection failed during its handshake: TLSV1_ALERT_UNKNOWN_CA")
    assert server.errors("tls") == before + 1


def test_port_checks_that_only_connect_are_neither_logged_nor_counted(server: WebhookServer) -> None:
    before = server.lines(), server.errors("tls"), server.errors("timeout")
    for _ in range(5):
        server.connect_plain().close()
    wait_for("the checks to be over", lambda: 1 if server.metric("connections") <= 1 else None)
    assert before == (server.lines(), server.errors("tls"), server.errors("timeout"))


def test_tls_below_1_2_is_refused(server: WebhookServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server.files.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), server.connect_plain() as connection:
        context.wrap_socket(connection, server_hostname="localhost")

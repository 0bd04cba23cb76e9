"""SIGTERM: not ready, the requests under way answered with `Connection: close`, an end in bounded time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.support.reviews import encoded, pod, review
from tests.support.server import read_response, request_bytes, wait_for, webhook_server


def test_request_half_sent_at_sigterm_is_answered_with_connection_close(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server, server.connect() as connection:
        whole = request_bytes(encoded(review(uid="late")))
        connection.sendall(whole[:700])
        wait_for("the request to begin", lambda: 1 if server.metric("in_flight_requests") == 1 else None)
        server.terminate()
        server.wait_for_line("draining")
        connection.sendall(whole[700:])
        status, headers, body = read_response(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert json.loads(body)["response"]["uid"] == "late"
        assert connection.recv(1) == b""
        assert server.wait() == 0


def test_review_in_a_thread_at_sigterm_is_answered(tmp_path: Path) -> None:
    with webhook_server(tmp_path, faulty=True) as server, server.connect() as connection:
        large = pod({"habitat.sh/service": "redis", "example.com/large": "x" * 100_000})
        connection.sendall(request_bytes(encoded(review(large, uid="slow"))))
        wait_for("the review to begin", lambda: 1 if server.metric("in_flight_requests") == 1 else None)
        server.terminate()
        status, headers, _ = read_response(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert server.wait() == 0


def test_kept_connection_gets_one_more_answer_and_then_its_end(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server, server.connect() as connection:
        connection.sendall(request_bytes(encoded(review())))
        assert read_response(connection)[1]["connection"] == "keep-alive"
        server.terminate()
        server.wait_for_line("draining")
        connection.sendall(request_bytes(encoded(review())))
        status, headers, _ = read_response(connection)
        assert (status, headers["connection"]) == (200, "close")
        connection.close()
        assert server.wait() == 0


def test_idle_connections_do_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server, server.connect() as connection, server.connect_plain():
        server.terminate()
        assert server.wait() == 0
        assert connection.recv(1) == b""
        server.wait_for_line("stopped")


def test_client_that_never_ends_its_request_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    flags = ("--client-timeout", "300", "--drain-timeout", "0.5")
    with webhook_server(tmp_path, *flags) as server, server.connect() as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\n")
        wait_for("the request to begin", lambda: 1 if server.metric("in_flight_requests") == 1 else None)
        server.terminate()
        assert server.wait() == 0


def test_during_the_shutdown_delay_it_answers_new_clients_and_is_not_ready(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--shutdown-delay", "3") as server, server.connect() as kept:
        server.terminate()
        text = wait_for("not being ready", lambda: t if (t := server.get("/readyz"))[0] == 503 else None)
        assert "stopping" in text[1]
        assert server.get("/livez")[0] == 200
        assert server.post(encoded(review()))[0] == 200
        kept.sendall(request_bytes(encoded(review())))
        status, headers, _ = read_response(kept)
        assert (status, headers["connection"]) == (200, "close"), "so that the client goes elsewhere"
        assert not [line for line in server.lines() if line["message"] == "draining"]
        assert server.wait() == 0


def test_stopped_server_refuses_connections(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            server.connect_plain()


def test_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--shutdown-delay", "300") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0


def test_worker_whose_arbiter_was_killed_ends_too(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        server.process.kill()
        server.process.wait()
        server.wait_for_line("stopped")
        wait_for("the worker's end", lambda: None if Path(f"/proc/{server.worker}").exists() else 1)


def test_worker_that_died_is_replaced_on_the_same_ports(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        os.kill(server.worker, signal.SIGKILL)
        wait_for("a second worker", lambda: 1 if sum(x["message"] == "serving" for x in server.lines()) == 2 else None)
        assert server.post(encoded(review()))[0] == 200
        assert server.get("/readyz")[0] == 200
        server.worker = next(x["pid"] for x in reversed(server.lines()) if x["message"] == "serving")


def test_no_request_that_was_sent_is_lost_when_the_server_stops_under_load(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--shutdown-delay", "1") as server:
        lost: list[Exception] = []
        counts = [0, 0, 0, 0]

        def keep_posting(number: int) -> None:
            while True:
                with contextlib.closing(server.client()) as client:
                    try:
                        client.connect()
                    except OSError:
                        return  # nothing was sent: the API server would go to the next pod
                    close = None
                    while close != "close":
                        uid = f"c{number}-{counts[number]}"
                        try:
                            client.request("POST", "/mutate", encoded(review(uid=uid)), headers)
                            response = client.getresponse()
                            assert json.loads(response.read())["response"]["uid"] == uid
                        except Exception as error:  # noqa: BLE001 - judged below
                            lost.append(error)
                            return
                        counts[number] += 1
                        close = response.getheader("Connection")

        headers = {"Content-Type": "application/json"}
        clients = [threading.Thread(target=keep_posting, args=(number,)) for number in range(len(counts))]
        for client in clients:
            client.start()
        wait_for("load", lambda: 1 if min(counts) > 20 else None)
        server.terminate()
        assert server.wait() == 0
        for client in clients:
            client.join()
        assert lost == []

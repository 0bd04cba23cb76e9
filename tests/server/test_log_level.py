"""SIGHUP: everything is logged, and again what was, while connections go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.reviews import encoded, review
from tests.support.server import WebhookServer, read_response, request_bytes, wait_for, webhook_server


def switch(server: WebhookServer, pid: int) -> str:
    """The level that the log says it has after the signal."""
    before = levels(server)
    os.kill(pid, signal.SIGHUP)
    return wait_for("the log's new level", lambda: (levels(server)[len(before) :] or [None])[0])


def levels(server: WebhookServer) -> list[str]:
    return [line["log_level"] for line in server.lines() if line["message"] == "log level"]


def logged(server: WebhookServer) -> list[str]:
    return [line["uid"] for line in server.lines() if line["message"] == "review"]


@pytest.mark.parametrize("whom", ["arbiter", "worker"])
def test_sighup_brings_all_lines_and_takes_them_away_again_and_no_connection_ends(tmp_path: Path, whom: str) -> None:
    with webhook_server(tmp_path, "--log-level", "warning") as server, server.connect() as connection:
        pid = server.process.pid if whom == "arbiter" else server.worker

        def post(uid: str) -> None:
            connection.sendall(request_bytes(encoded(review(uid=uid))))
            status, headers, _ = read_response(connection)
            assert (status, headers["connection"]) == (200, "keep-alive")

        post("quiet")
        assert switch(server, pid) == "debug"
        post("loud")
        assert switch(server, pid) == "warning"
        post("quiet again")
        assert logged(server) == ["loud"]
        assert len([line for line in server.lines() if line["message"] == "serving"]) == 1, "the worker is the same"


def test_worker_that_comes_later_has_the_level_too(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--log-level", "error") as server:
        assert switch(server, server.process.pid) == "debug"
        os.kill(server.worker, signal.SIGKILL)
        second = wait_for(
            "another worker",
            lambda: (
                next((x["pid"] for x in server.lines() if x["message"] == "serving" and x["pid"] != server.worker), 0)
                or None
            ),
        )
        server.worker = second
        server.post(encoded(review(uid="loud")))
        assert logged(server) == ["loud"]

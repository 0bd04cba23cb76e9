"""A `habitat-webhook serve` process on loopback, and clients for it: whole requests, and raw bytes over TLS."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.controlplane.processes import spawn, tail
from tests.support.reviews import encoded, review
from tests.support.tls import Files

ROOT = Path(__file__).resolve().parents[2]
REAL = ("-c", "from webhook.cli.main import main; main()", "serve")
FAULTY = ("-m", "tests.support.serve")
PATIENCE = 20.0
"""Seconds to wait for what will come; long, since machines under test are busy, and never waited for in full."""

T = TypeVar("T")


def wait_for(what: str, find: Callable[[], T | None]) -> T:
    """The first result that is not None, asked for again and again."""
    end = time.monotonic() + PATIENCE
    while (found := find()) is None:
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE:g} s in vain for {what}")
        time.sleep(0.02)
    return found


class WebhookServer:
    """Runs until `stop`; every log line is kept. It calls an API server only when a flag names a kubeconfig.

    faulty: with the engine of tests/support/serve.py. files_limit: how many file descriptors it may have. program: what
    starts `serve` instead of this interpreter.
    """

    def __init__(
        self,
        directory: Path,
        *flags: str,
        files: Files | None = None,
        faulty: bool = False,
        files_limit: int | None = None,
        program: Sequence[str] = (),
    ) -> None:
        self.files = files or Files(directory)
        if files is None:
            self.files.issue()
        self.output = directory / "log"
        where = ("--tls-cert", str(self.files.certificate), "--tls-key", str(self.files.key))
        listen = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HABITAT_WEBHOOK_")}
        environment["PYTHONPATH"] = str(ROOT)
        if not any(flag.startswith("--kubeconfig") for flag in flags):
            flags = ("--namespaces=none", *flags)
        limit = ("sh", "-c", f'ulimit -n {files_limit}; exec "$@"', "sh") if files_limit else ()
        program = program or (sys.executable, *(FAULTY if faulty else REAL))
        self.process = spawn(
            [*limit, *program, *listen, *where, *flags],
            log=self.output,
            environment=environment,
            cwd=directory,
        )
        try:
            serving = self.wait_for_line("serving")
        except AssertionError:
            self.kill()
            raise AssertionError(f"the server did not start:\n{tail(self.output)}") from None
        self.port = int(serving["listen"].rsplit(":", 1)[1])
        self.metrics_port = int(serving["metrics_listen"].rsplit(":", 1)[1])
        self.worker = int(serving["pid"])
        self.trust = self.files.client() if self.files.ca.exists() else None

    # the process

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; fails when a line is not one JSON object."""
        if not self.output.exists():
            return []
        whole = self.output.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def wait_for_line(self, message: str, **fields: Any) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            if self.process.poll() is not None and not self.lines():
                raise AssertionError(f"the server has ended: {tail(self.output)}")
            wanted = (
                line for line in self.lines() if line["message"].startswith(message) and fields.items() <= line.items()
            )
            return next(wanted, None)

        return wait_for(f"the log line {message!r} {fields or ''}", find)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """SIGTERM and the exit code; SIGKILL for one that does not end."""
        try:
            if self.process.poll() is None:
                self.terminate()
            return self.wait()
        finally:
            self.kill()

    def kill(self) -> None:
        """End what still runs, the arbiter and then the worker that it leaves behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            if hasattr(self, "worker"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.worker, signal.SIGKILL)

    # clients

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection; whoever opens it closes it."""
        assert self.trust is not None
        return self.trust.wrap_socket(self.connect_plain(), server_hostname="localhost")

    def connect_plain(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=PATIENCE)

    def client(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=self.trust)

    def post(
        self, body: bytes, *, path: str = "/mutate", content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of one POST on a connection of its own."""
        with contextlib.closing(self.client()) as client:
            client.request("POST", path, body, {"Content-Type": content_type})
            response = client.getresponse()
            return response.status, json.loads(response.read())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def review(self, pod: dict[str, Any], *, namespace: str) -> dict[str, Any]:
        """The `response` to the review of a pod that is being created."""
        asked = review(pod, namespace=namespace)
        status, answer = self.post(encoded(asked))
        assert (status, answer["response"]["uid"]) == (200, asked["request"]["uid"]), answer
        response: dict[str, Any] = answer["response"]
        return response

    def reviews_seen(self) -> int:
        """How many reviews the server has answered, by its own metrics."""
        samples = re.findall(r"^habitat_webhook_reviews_total\{\S+ (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(int(float(sample)) for sample in samples)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text from the plain port."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=PATIENCE)) as client:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample; 0 when there is none."""
        text = ",".join(f'{k}="{v}"' for k, v in labels.items())
        sample = re.escape(f"habitat_webhook_{name}" + (f"{{{text}}}" if text else ""))
        found = re.search(rf"^{sample} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def errors(self, kind: str) -> float:
        return self.metric("errors_total", kind=kind)


@contextlib.contextmanager
def webhook_server(
    directory: Path, *flags: str, files: Files | None = None, faulty: bool = False, files_limit: int | None = None
) -> Iterator[WebhookServer]:
    server = WebhookServer(directory, *flags, files=files, faulty=faulty, files_limit=files_limit)
    try:
        yield server
    finally:
        server.stop()


def request_bytes(body: bytes, *, length: int | None = None, extra: str = "") -> bytes:
    """One POST as bytes; `length` lies about the body's."""
    head = (
        "POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n{extra}\r\n"
    )
    return head.encode() + body


def read_response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the next response on a raw connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

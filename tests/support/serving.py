"""A real `habitat-webhook serve` on loopback: its own process, real TLS, ended with its `with` block."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30
STOP_SECONDS = 20


@dataclass(slots=True)
class Served:
    """host, port: of /mutate. metrics_port: plain HTTP. ca: PEM file that verifies the server. log: lines so far."""

    host: str
    port: int
    metrics_port: int
    ca: Path
    pid: int
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}/mutate"

    def connection(self, *, timeout: float = 10) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)

    def post(self, body: bytes, *, content_type: str = "application/json") -> tuple[int, bytes]:
        with contextlib.closing(self.connection()) as connection:
            connection.request("POST", "/mutate", body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def review(self, pod: dict[str, Any], *, namespace: str = "default", **request: Any) -> dict[str, Any]:
        """The `response` for the creation of a pod; further keyword arguments go into the request."""
        review = admission_review(pod, namespace=namespace, **request)
        status, body = self.post(json.dumps(review).encode())
        assert status == 200, (status, body)
        answer = json.loads(body)
        assert (answer["apiVersion"], answer["kind"]) == (review["apiVersion"], review["kind"])
        assert answer["response"]["uid"] == review["request"]["uid"]
        response: dict[str, Any] = answer["response"]
        return response

    def get(self, path: str) -> tuple[int, str]:
        """From the plain port: /livez, /readyz, /metrics."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.metrics_port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def reviews_seen(self) -> int:
        """How many reviews the server has decided, by its own metrics."""
        _, text = self.get("/metrics")
        lines = (line for line in text.splitlines() if line.startswith("habitat_webhook_reviews_total{"))
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def admission_review(pod: dict[str, Any], *, namespace: str = "default", **request: Any) -> dict[str, Any]:
    """An AdmissionReview of admission.k8s.io/v1 for a pod that is being created."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    asked = {"uid": str(uuid.uuid4()), "kind": kind, "resource": resource, "operation": "CREATE"}
    asked |= {"namespace": namespace, "object": pod, "dryRun": False} | request
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def make_certificates(directory: Path) -> Path:
    """ca.crt, tls.crt and tls.key for loopback, as a user makes them; returns the CA's path."""
    command = [sys.executable, "-m", "webhook", "certs", "dev", "--out", str(directory)]
    command += ["--dns", "localhost", "--ip", "127.0.0.1"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return directory / "ca.crt"


@contextlib.contextmanager
def serve(*flags: str) -> Iterator[Served]:
    """A running server with further flags; ended, and checked to have ended, at the end of the block."""
    with TemporaryDirectory(prefix="habitat-webhook-") as name:
        ca = make_certificates(Path(name))
        command = [sys.executable, "-m", "webhook", "serve"]
        command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
        command += ["--tls-cert", f"{name}/tls.crt", "--tls-key", f"{name}/tls.key", *flags]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        reader: threading.Thread | None = None
        try:
            served, reader = _started(process, ca)
            yield served
        finally:
            _stop(process, reader)


def _started(process: subprocess.Popen[str], ca: Path) -> tuple[Served, threading.Thread]:
    log: list[dict[str, Any]] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            log.append(json.loads(line))
            if log[-1].get("message") == "serving":
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert ready.wait(START_SECONDS), log
    assert process.poll() is None, log
    said = next(line for line in log if line.get("message") == "serving")
    host, _, port = said["listen"].rpartition(":")
    metrics_port = said["metrics_listen"].rpartition(":")[2]
    return Served(host, int(port), int(metrics_port), ca, said["pid"], log), reader


def _stop(process: subprocess.Popen[str], reader: threading.Thread | None) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if reader is not None:
            reader.join(STOP_SECONDS)
        if process.stdout is not None:
            process.stdout.close()

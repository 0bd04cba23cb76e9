"""The webhook as a process of its own: `habitat-webhook serve`, its log and its metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.controlplane.client import wait_for
from tests.controlplane.ports import LOOPBACK
from tests.controlplane.processes import Process
from tests.demo.commands import HABITAT_WEBHOOK

ALL_ADDRESSES = "0.0.0.0"
START_SECONDS = 30
STOP_SECONDS = 15
_REVIEWS = re.compile(r'^habitat_webhook_reviews_total\{reason="(\w+)"\} ([0-9.e+]+)$', re.MULTILINE)


def development_certificates(directory: Path, address: str) -> Path:
    """A new directory with a certificate for an IP address, and with the CA that verifies it: `certs dev`."""
    made = directory / "certificates"
    command = [str(HABITAT_WEBHOOK), "certs", "dev", "--ip", address, "--out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


class Webhook:
    """Started by `start`, ended by `stop`, and by the kernel when this process dies. Without a `kubeconfig` it gets no
    way to an API server.

    directory: for its log. address: where the API server reaches it; for anything but loopback it listens on all
    addresses of this machine, on a free port. certificates: the directory with tls.crt and tls.key. flags: further ones
    of `habitat-webhook serve`; what is said here wins over them.
    """

    def __init__(
        self, directory: Path, address: str, *flags: str, certificates: Path, kubeconfig: Path | None = None
    ) -> None:
        self.address = address
        self.certificates = certificates
        host = LOOPBACK if address == LOOPBACK else ALL_ADDRESSES
        tls = (f"--tls-cert={certificates / 'tls.crt'}", f"--tls-key={certificates / 'tls.key'}")
        # Nobody has to learn that it ends before it does.
        listen = (f"--listen={host}:0", f"--metrics-listen={LOOPBACK}:0", "--shutdown-delay=0")
        way = f"--kubeconfig={kubeconfig}" if kubeconfig else "--namespaces=none"  # the last word counts
        command = [str(HABITAT_WEBHOOK), "serve", *flags, *listen, *tls, way]
        environment = {
            k: v for k, v in os.environ.items() if k != "KUBECONFIG" and not k.startswith("HABITAT_WEBHOOK_")
        }
        self.process = Process("habitat-webhook", command, directory=directory, environment=environment)
        self._metrics = ""
        self.url = ""

    def start(self, while_waiting: Callable[[], None]) -> None:
        """Until it listens, at `url`, which takes no certificate. Raises ProcessError with what the program said when
        it ends instead."""
        self.process.start()

        def listens() -> bool:
            while_waiting()
            self.process.check()
            return self._find_ports()

        wait_for("the webhook to listen", listens, seconds=START_SECONDS)

    def wait_ready(self, while_waiting: Callable[[], None]) -> None:
        """Until it has a certificate, and knows the namespaces. Raises as `start`."""

        def is_ready() -> bool:
            while_waiting()
            self.process.check()
            return self._get("/readyz").startswith("ok")

        wait_for("the webhook's /readyz", is_ready, seconds=START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, so that gunicorn ends its worker too; SIGKILL only when that does not help."""
        if self.process.running:
            os.kill(self.process.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self.process.running and time.monotonic() < deadline:
                time.sleep(0.05)
        self.process.stop()

    @property
    def ca(self) -> bytes:
        """The CA that verifies its certificate, in PEM."""
        return (self.certificates / "ca.crt").read_bytes()

    def reviews(self) -> list[dict[str, Any]]:
        """The log's lines about reviews, oldest first."""
        return [line for line in self._log() if line["message"] == "review"]

    def counts(self) -> dict[str, int]:
        """Reviews by reason, from /metrics."""
        return {reason: int(float(count)) for reason, count in _REVIEWS.findall(self._get("/metrics"))}

    def _find_ports(self) -> bool:
        for line in self._log():
            if line["message"] == "serving":
                self.url = f"https://{self.address}:{line['listen'].rpartition(':')[2]}"
                self._metrics = f"http://{line['metrics_listen']}"
        return bool(self.url)

    def _log(self) -> list[dict[str, Any]]:
        text = self.process.log.read_text() if self.process.log.exists() else ""
        # What is not JSON (a traceback at start) is shown by Process.check; a line without end is still being written.
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(self._metrics + path, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            return error.read().decode()

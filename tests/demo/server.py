"""The webhook as a process of its own: certificates, `habitat-webhook serve`, its log and its metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.controlplane.client import wait_for
from tests.controlplane.ports import LOOPBACK
from tests.controlplane.processes import Process

HABITAT_WEBHOOK = Path(sys.executable).with_name("habitat-webhook")
ALL_ADDRESSES = "0.0.0.0"
START_SECONDS = 30
STOP_SECONDS = 15
_REVIEWS = re.compile(r'^habitat_webhook_reviews_total\{reason="(\w+)"\} ([0-9.e+]+)$', re.MULTILINE)


class Webhook:
    """Started by `start`, ended by `stop`, and by the kernel when this process dies.

    directory: for certificates and log. address: where the API server reaches it; for anything but loopback it listens
    on all addresses of this machine, on a free port. flags: further ones of `habitat-webhook serve`.
    """

    def __init__(self, directory: Path, address: str, *flags: str) -> None:
        self.address = address
        self.certificates = directory / "certificates"
        host = LOOPBACK if address == LOOPBACK else ALL_ADDRESSES
        tls = (f"--tls-cert={self.certificates / 'tls.crt'}", f"--tls-key={self.certificates / 'tls.key'}")
        listen = (f"--listen={host}:0", f"--metrics-listen={LOOPBACK}:0")
        command = [str(HABITAT_WEBHOOK), "serve", *listen, *tls, *flags]
        self.process = Process("habitat-webhook", command, directory=directory)
        self._metrics = ""
        self.url = ""

    def start(self, while_waiting: Callable[[], None]) -> None:
        """Until it is ready, then at `url`. Raises ProcessError with what the program said when it ends instead."""
        command = [str(HABITAT_WEBHOOK), "certs", "dev", "--ip", self.address, "--out", str(self.certificates)]
        subprocess.run(command, check=True, capture_output=True)
        self.process.start()

        def is_ready() -> bool:
            while_waiting()
            self.process.check()
            return self._find_ports() and self._get("/readyz").startswith("ok")

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
                self.url = f"https://{self.address}:{line['listen'].rpartition(':')[2]}/mutate"
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

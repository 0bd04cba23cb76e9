"""A `habitat-webhook controller` process on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.controlplane.client import wait_for
from tests.controlplane.processes import spawn, tail

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
QUICK = ("--lease-duration=3", "--lease-renew=2", "--lease-retry=0.3")
"""Hand-overs in seconds; everything else as shipped."""


REAL = ("-c", "from webhook.cli.main import main; main()")


class ControllerProcess:
    """Runs until `stop`; every log line is kept. kubeconfig: whose rights it has. prefix: a command that runs it.
    program: what the interpreter is given instead of the command line's own entry. variables: of its environment.

    It leaves certificates alone unless a flag says otherwise: most installations of tests have their own.
    """

    def __init__(
        self,
        directory: Path,
        kubeconfig: Path,
        *flags: str,
        prefix: Sequence[str] = (),
        program: Sequence[str] = REAL,
        **variables: str,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.output = directory / "controller.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HABITAT_WEBHOOK_")}
        environment |= {"PYTHONPATH": str(ROOT), **variables}
        self.process = spawn(
            [
                *prefix,
                *(sys.executable, *program, "controller"),
                *(f"--kubeconfig={kubeconfig}", "--metrics-listen=127.0.0.1:0", "--namespace=habitat-webhook"),
                "--certificates=none",
                *flags,
            ],
            log=self.output,
            environment=environment,
            cwd=directory,
        )
        try:
            said = wait_for("the controller's first line", lambda: self.line("controlling"), seconds=START_SECONDS)
        except AssertionError:
            self.kill()
            raise AssertionError(f"the controller did not start:\n{tail(self.output)}") from None
        self.metrics_port = int(said["metrics_listen"].rpartition(":")[2])
        self.identity = str(said["identity"])

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; fails when a line is not one JSON object."""
        whole = self.output.read_text().rpartition("\n")[0] if self.output.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def line(self, message: str) -> dict[str, Any] | None:
        """The first line that begins so."""
        if self.process.poll() is not None:
            raise AssertionError(f"the controller has ended: {tail(self.output)}")
        return next((line for line in self.lines() if line["message"].startswith(message)), None)

    def get(self, path: str) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)) as client:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `habitat_webhook_<name>` that have these labels."""
        total = 0.0
        for found in re.finditer(
            rf"^habitat_webhook_{name}(?:{{(.*)}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE
        ):
            said = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= said.items():
                total += float(found[2])
        return total

    @property
    def leads(self) -> bool:
        return self.metric("leader") == 1

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM and the exit code; SIGKILL for one that does not end."""
        try:
            if self.process.poll() is None:
                self.terminate()
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def controller(
    directory: Path,
    kubeconfig: Path,
    *flags: str,
    prefix: Sequence[str] = (),
    program: Sequence[str] = REAL,
    **variables: str,
) -> Iterator[ControllerProcess]:
    """One that is stopped at the end of the block."""
    process = ControllerProcess(directory, kubeconfig, *flags, prefix=prefix, program=program, **variables)
    try:
        yield process
    finally:
        process.stop()

"""The controller as a process of its own, with the token of its ServiceAccount and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.controlplane.client import wait_for
from tests.controlplane.config import write_kubeconfig
from tests.controlplane.ports import LOOPBACK
from tests.controlplane.processes import ProcessError, tail
from tests.support.controller import ControllerProcess
from tests.support.controller_rights import Installed

START_SECONDS = 30
_TOKEN_SECONDS = 24 * 3600
"""The run stays up until Ctrl-C, and nobody renews the token."""


def token_kubeconfig(made: Installed, path: Path) -> Path:
    """A kubeconfig with the token of a role's ServiceAccount and nothing else, good for a day."""
    token = made.cluster.token(made.namespace, made.account, seconds=_TOKEN_SECONDS)
    return write_kubeconfig(path, url=made.cluster.url, ca=made.cluster.ca, token=token)


class Controller:
    """Started at once, ended by `stop`, and by the kernel when this process dies. flags: of `habitat-webhook
    controller`; what is said here wins over them."""

    def __init__(self, made: Installed, directory: Path, *flags: str) -> None:
        kubeconfig = token_kubeconfig(made, directory / "controller.kubeconfig")
        ours = (f"--namespace={made.namespace}", f"--metrics-listen={LOOPBACK}:0")
        try:
            self.process = ControllerProcess(directory / "controller", kubeconfig, *flags, *ours)
        except AssertionError as error:
            raise ProcessError(str(error)) from None

    def wait_leading(self) -> None:
        """Until it acts. Raises WaitError; ProcessError when it has ended instead."""

        def leads() -> bool:
            self.check()
            try:
                return self.process.leads
            except OSError:  # it has just ended, as the next check says
                return False

        wait_for("the controller to act", leads, seconds=START_SECONDS)

    def check(self) -> None:
        """Raises ProcessError with the end of the log when the process has ended by itself."""
        code = self.process.process.poll()
        if code is not None:
            raise ProcessError(f"the controller ended with exit code {code}:\n{tail(self.process.output)}")

    def stop(self) -> None:
        self.process.stop()

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return self.process.lines()

    def complaints(self) -> list[str]:
        """What it has logged as an error, and that it lacks rights; a sentence each."""
        found = [f"the controller says: {json.dumps(line)}" for line in self.lines() if line["level"] == "error"]
        refused = int(self.process.metric("api_calls_total", status="403"))
        return found + ([f"{refused} requests of the controller were refused with 403; see its log"] if refused else [])

    def counts(self) -> tuple[int, int, int, float]:
        """Rings, members, lists written, and the mean of the seconds from a pod's address to its first list."""
        metric = self.process.metric
        pods, seconds = metric("peers_written_seconds_count"), metric("peers_written_seconds_sum")
        lists = metric("writes_total", kind="peers", result="ok")
        return int(metric("rings")), int(metric("ring_members")), int(lists), seconds / (pods or 1)

"""`habitat-webhook` as a reader of the page would call it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.controlplane.client import Cluster, WaitError, wait_for
from tests.demo.terminal import say

HABITAT_WEBHOOK = Path(sys.executable).with_name("habitat-webhook")
PATIENCE_SECONDS = 30


def judged(cluster: Cluster, *arguments: str) -> list[str]:
    """A command that says whether all is well, its output on the page; what is wrong, a sentence or none.

    It is shown as soon as it finds nothing wrong, and at the end of our patience in any case: what is young may be
    about to be put right.
    """
    command, environment = [str(HABITAT_WEBHOOK), *arguments], os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    spoken = " ".join(("habitat-webhook", *arguments))

    def well() -> bool:
        return subprocess.run([*command, "-o", "json"], capture_output=True, env=environment).returncode == 0

    with contextlib.suppress(WaitError):
        wait_for(f"{spoken} to find nothing wrong", well, seconds=PATIENCE_SECONDS)
    say(f"$ {spoken}")
    # On a terminal it writes for the terminal.
    code = subprocess.run(command, env=environment).returncode
    return [] if code == 0 else [f"{spoken} ended with exit code {code}: see above"]

"""`habitat-webhook controller` before it begins."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import yaml

from tests.controlplane.client import wait_for
from tests.support.controller import controller


def kubeconfig(path: Path) -> Path:
    content = {
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "shop"}}],
        "users": [{"name": "me", "user": {}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = [f"--kubeconfig={kubeconfig(tmp_path / 'config')}", f"--metrics-listen={listen}"]
        # In a process of its own: it takes over the signals.
        command = [sys.executable, "-m", "webhook", "controller", *flags]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"--metrics-listen is '{listen}', which cannot be had (Address already in use)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sighup_has_everything_logged_and_again_what_was(tmp_path: Path) -> None:
    """Also while no API server answers, which is when one wants to know more."""
    with controller(tmp_path / "process", kubeconfig(tmp_path / "config"), "--log-level=error") as process:

        def levels() -> list[str]:
            return [line["log_level"] for line in process.lines() if line["message"] == "log level"]

        os.kill(process.pid, signal.SIGHUP)
        wait_for("everything to be logged", lambda: levels() == ["debug"], seconds=20)
        os.kill(process.pid, signal.SIGHUP)
        wait_for("what was logged before", lambda: levels() == ["debug", "error"], seconds=20)
        assert process.stop() == 0

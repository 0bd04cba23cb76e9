"""Starts programs that never outlive this process, with their output in a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.controlplane.progress import Progress

LEASH = Path(__file__).parent / "leash.py"
TAIL_LINES = 15
TAIL_BYTES = 16 * 1024

# One thread starts every process: the parent-death signal of leash.py comes when the starting thread ends, and this one
# ends with the interpreter.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")


class ProcessError(RuntimeError):
    """A program ended, or could not be started; the message holds the tail of its log."""


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `command` (program by path or by name) on a leash: it is killed when this process dies, however that is.

    Standard output and error are appended to `log`; standard input is empty.
    """
    program = shutil.which(command[0])
    if program is None:
        raise ProcessError(f"cannot start {command[0]}: no such program")
    leashed = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), program, *command[1:]]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                leashed, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=environment
            )

    return _starter.submit(start).result()


def run_leashed(
    command: Sequence[str],
    *,
    progress: Progress,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Runs `command` to its end, ticking `progress`; returns its exit code and the tail of its output."""
    with tempfile.TemporaryDirectory(prefix="habitat-run-") as folder:
        log = Path(folder) / "output"
        process = spawn(command, log=log, cwd=cwd, environment=environment)
        try:
            while True:
                try:
                    return process.wait(timeout=0.1), tail(log)
                except subprocess.TimeoutExpired:
                    progress.tick()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file; a sentence when there is nothing in it."""
    if not log.exists():
        return "(no output)"
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(no output)"


class Process:
    """A long-running program that can be started again with the same command. environment: this process's own, when
    None."""

    def __init__(
        self, name: str, command: Sequence[str], *, directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = list(command)
        self.directory = directory
        self.environment = environment
        self.log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessError(f"{self.name} has not been started")
        return self._process.pid

    def start(self) -> None:
        if self.running:
            raise ProcessError(f"{self.name} is running already (pid {self.pid})")
        self._process = spawn(self.command, log=self.log, cwd=self.directory, environment=self.environment)

    def stop(self, *, grace_seconds: float = 0) -> None:
        """Ends the program, if it runs: SIGTERM and up to `grace_seconds` of patience, then SIGKILL."""
        if self._process is None or not self.running:
            return
        if grace_seconds > 0:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """Raises ProcessError with the tail of the log when the program has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise ProcessError(
                f"{self.name} ended with exit code {self._process.returncode}. The end of {self.log}:\n{tail(self.log)}"
            )

    def resident_bytes(self) -> int:
        """Resident set size from /proc/PID/statm (proc(5)); Linux only."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

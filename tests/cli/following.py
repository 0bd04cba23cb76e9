"""A command that follows, in a process of its own, on a pipe or on a terminal; ended by its id."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from typing import IO

PATIENCE_SECONDS = 60


class Following:
    """output: the file descriptor to read what the process writes."""

    def __init__(self, process: subprocess.Popen[bytes], output: int, errors: IO[bytes]) -> None:
        self._process = process
        self._output = output
        self._errors = errors
        self._unread = b""

    def until(self, text: str) -> str:
        """What was written since the last call, up to the end of the line with this text (or up to the text, where it
        ends with a newline). Fails when it does not come.
        """
        wanted, deadline = text.encode(), time.monotonic() + PATIENCE_SECONDS
        while True:
            at = self._unread.find(wanted)
            end = -1 if at < 0 else at + len(wanted) if text.endswith("\n") else self._unread.find(b"\n", at) + 1
            if end > 0:
                found, self._unread = self._unread[:end], self._unread[end:]
                return found.decode()
            ready, _, _ = select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))
            chunk = b""
            if ready:
                with contextlib.suppress(OSError):  # a terminal whose other side has closed
                    chunk = os.read(self._output, 65536)
            assert chunk, f"{text!r} does not come; so far: {self._unread.decode()!r}, and errors {self.errors()!r}"
            self._unread += chunk

    def errors(self) -> str:
        """Standard error, as far as it is written."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def end(self, number: signal.Signals) -> int:
        """The exit status after this signal."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def following(
    command: Sequence[str], *, terminal: tuple[int, int] | None = None, **environment: str
) -> Iterator[Following]:
    """The running process. terminal: lines and columns of the terminal that it writes to, None for a pipe."""
    if terminal is None:
        ours, theirs = os.pipe()
    else:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *terminal, 0, 0))
    # Where they are set, the size of the window is not asked for; where NO_COLOR is, there is no colour.
    inherited = {k: v for k, v in os.environ.items() if k not in ("LINES", "COLUMNS", "NO_COLOR")}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=theirs, stderr=errors, env=inherited | environment)
        os.close(theirs)
        try:
            yield Following(process, ours, errors)
        finally:
            process.kill()
            process.wait()
            os.close(ours)

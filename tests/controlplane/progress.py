"""Tells a waiting person what is going on, once it takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

SILENT_SECONDS = 2.0
LINE_EVERY_SECONDS = 15.0


class Progress:
    """Call `tick` while waiting; a terminal gets one line that counts, a log gets a line now and then."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self.label = label
        self._stream = stream if stream is not None else sys.stderr
        self._started = time.monotonic()
        self._next = self._started + SILENT_SECONDS
        self._shown = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def tick(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._shown = True
        if self._stream.isatty():
            self._next = now + 1.0
            self._write(f"\r  {self.label} … {self.seconds:.0f} s")
        else:
            self._next = now + LINE_EVERY_SECONDS
            self._write(f"  {self.label} … {self.seconds:.0f} s\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown:
            start = "\r" if self._stream.isatty() else ""
            end = "done" if error is None else "failed"
            self._write(f"{start}  {self.label}: {end} after {self.seconds:.1f} s\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

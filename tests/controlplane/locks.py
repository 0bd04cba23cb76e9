"""Advisory locks on files (flock(2)): held by an open file, released by the kernel however its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.controlplane.progress import Progress

POLL_SECONDS = 0.1


class FileLock:
    """One exclusive lock. Python opens files close-on-exec, so no started program inherits it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """True when the lock is now ours; False when somebody else holds it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def acquire(self, *, while_waiting: Callable[[], None] | None = None) -> None:
        """Waits without limit; `while_waiting` is called about ten times a second and may raise to give up."""
        while not self.try_acquire():
            if while_waiting is not None:
                while_waiting()
            time.sleep(POLL_SECONDS)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def exclusive(path: Path, waiting: Progress) -> Iterator[None]:
    """Holds the lock file `path` for the block; waits for whoever has it, and shows `waiting` meanwhile."""
    lock = FileLock(path)
    with waiting:
        lock.acquire(while_waiting=waiting.tick)
    try:
        yield
    finally:
        lock.release()

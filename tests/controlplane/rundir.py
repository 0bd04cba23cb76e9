"""Temporary folders that are swept away after their owner has died without tidying up."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tests.controlplane.locks import FileLock

PREFIX = "habitat-controlplane-"
PREFIX_UNTIL_LOCKED = "habitat-new-controlplane-"
OWNER_LOCK = "owner.lock"


class RunDirectory:
    """A new folder, readable by its user only; `owner.lock` in it is held until `remove` or until this process ends.

    Making one removes those of the same user whose owner has died: a process killed with SIGKILL cannot do so itself.
    """

    def __init__(self) -> None:
        _sweep()
        # Named so that a sweep sees it only when it is locked already.
        unlocked = Path(tempfile.mkdtemp(prefix=PREFIX_UNTIL_LOCKED))
        self._owner = FileLock(unlocked / OWNER_LOCK)
        self._owner.acquire()
        self.path = unlocked.rename(unlocked.with_name(PREFIX + unlocked.name.removeprefix(PREFIX_UNTIL_LOCKED)))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._owner.release()


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Another sweep may be faster: then the folder is gone.
        with contextlib.suppress(FileNotFoundError):
            if folder.lstat().st_uid != os.getuid():
                continue
            owner = FileLock(folder / OWNER_LOCK)
            if owner.try_acquire():
                shutil.rmtree(folder, ignore_errors=True)
                owner.release()

"""The policy that is in force: its file is read again whenever it is replaced, and the last good one stays.

Readers take `current` once for each decision. It is replaced as a whole, so no decision mixes two generations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from webhook.files import Identity, identity
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError


class LoadedPolicy:
    """A policy's file, followed.

    loaded: called after a policy was read. refused: called when the file cannot be used, with the reason, a line for
    each mistake. Both may be called from another thread. current: None until a policy has been read. fault: why the
    file that is there now is not the one in force, "" when it is.
    """

    def __init__(self, path: Path, *, loaded: Callable[[Policy], None], refused: Callable[[str], None]) -> None:
        self.path = path
        self.current: Policy | None = None
        self.fault = "it has not been read yet"
        self._loaded, self._refused = loaded, refused
        self._seen: Identity | None = None
        self._missing = ""
        self._reading: threading.Thread | None = None

    def look(self) -> None:
        """Read the file when it is another one than at the last look; a refused one is not tried again before that.

        Costs a stat call. A new file is read in a thread of its own: a large one takes a second.
        """
        if self._reading is not None and self._reading.is_alive():
            return
        if self._changed():
            self._reading = threading.Thread(target=self._read, name="policy", daemon=True)
            self._reading.start()

    def read(self) -> None:
        """The same at once, before this returns; for the start."""
        if self._changed():
            self._read()

    def _changed(self) -> bool:
        try:
            seen = identity(self.path)
        except OSError as error:
            why = f"{self.path}: {error.strerror}"
            if why != self._missing:
                self._refuse(why)
            self._missing, self._seen = why, None
            return False
        changed, self._missing, self._seen = seen != self._seen, "", seen
        return changed

    def _read(self) -> None:
        try:
            policy = Policy.load(self.path)
        except OSError as error:
            self._refuse(f"{self.path}: {error.strerror}")
        except PolicyError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 - in a thread of its own nobody else would hear of our mistake
            self._refuse(f"{self.path}: habitat-webhook could not read it, please report that: {error!r:.200}")
        else:
            self.current, self.fault = policy, ""
            self._loaded(policy)

    def _refuse(self, why: str) -> None:
        self.fault = why
        self._refused(why)

"""`habitat-webhook` on a machine whose clocks are ahead: by as many seconds as the file HABITAT_TEST_AHEAD says.

Both clocks, as after a suspended machine wakes: that of the wall, by which certificates live, and the one that nobody
can set. The process is otherwise what is installed; its connections, and those it talks to, keep the true time.
"""

from __future__ import annotations

import os
import sys
import time as true
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace

import webhook.controller.run  # noqa: F401 - the modules that ask for the time
from webhook.cli.main import main
from webhook.kube import times

VARIABLE = "HABITAT_TEST_AHEAD"


def _ahead() -> float:
    return float(Path(os.environ[VARIABLE]).read_text())


class _Datetime(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # as datetime's own, of any class
        return datetime.now(tz) + timedelta(seconds=_ahead())


def _set_clocks() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("webhook.") and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = _Datetime
    vars(times)["time"] = SimpleNamespace(clock_gettime=lambda clock: true.clock_gettime(clock) + _ahead())


if __name__ == "__main__":
    _set_clocks()
    main()

"""`habitat-webhook serve` with an engine that misbehaves for reviews whose uid asks for it; wired here, in tests, only.

uid "fail…": the engine raises. uid "slow…": it takes half a second. Any other: the real engine.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from webhook.cli.serve import serve
from webhook.review import Answer, Request, answer
from webhook.server import run

if TYPE_CHECKING:
    from webhook.decide import Situation

SLOW_SECONDS = 0.5


def engine(request: Request, situation: Situation) -> Answer:
    if request.uid.startswith("fail"):
        raise RuntimeError(f"quoting {request.uid}")
    if request.uid.startswith("slow"):
        time.sleep(SLOW_SECONDS)
    return answer(request, situation)


if __name__ == "__main__":
    run.Server = functools.partial(run.Server, engine=engine)  # type: ignore[misc,assignment]
    serve()

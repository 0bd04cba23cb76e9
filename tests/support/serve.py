"""`habitat-webhook serve` with an engine that misbehaves for reviews whose uid asks for it; wired here, in tests, only.

uid "fail…": the engine raises. uid "slow…": it takes half a second. uid "wait…": its namespace has to be asked for, and
the answer comes with the review "free…". Any other: the real engine.
"""

from __future__ import annotations

import functools
import time
from concurrent.futures import Future

from webhook.cli.serve import serve
from webhook.decide import Settings, Situation
from webhook.namespaces import Namespace
from webhook.policy.loaded import LoadedPolicy
from webhook.review import Answer, Request, answer
from webhook.server import run
from webhook.server.asking import Unsettled
from webhook.server.namespaces import Namespaces
from webhook.server.surroundings import Surroundings

SLOW_SECONDS = 0.5


def engine(request: Request, situation: Situation) -> Answer:
    if request.uid.startswith("fail"):
        raise RuntimeError(f"quoting {request.uid}")
    if request.uid.startswith("slow"):
        time.sleep(SLOW_SECONDS)
    return answer(request, situation)


class Waiting:
    """In the place of Surroundings."""

    def __init__(self, settings: Settings, namespaces: Namespaces | None, policy: LoadedPolicy | None) -> None:
        self.real = Surroundings(settings, namespaces, policy)
        self.answer: Future[Namespace | None] = Future()

    def of(self, request: Request, asked: Future[Namespace | None] | None = None) -> Situation:
        if request.uid.startswith("wait") and asked is None:
            raise Unsettled(self.answer)
        if request.uid.startswith("free"):
            self.answer.set_result(None)
        return self.real.of(request, asked)


if __name__ == "__main__":
    run.Server = functools.partial(run.Server, engine=engine)  # type: ignore[misc,assignment]
    run.Surroundings = Waiting  # type: ignore[misc,assignment]
    serve()

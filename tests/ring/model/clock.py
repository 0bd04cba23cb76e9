"""Virtual time: what is due runs in order, nothing sleeps."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class Clock:
    """Seconds since the start of a run. `at` and `after` plan a call, `run_until` carries out what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()

    def at(self, time: float, call: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._due, (max(time, self.now), next(self._order), call, arguments))

    def after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self.at(self.now + seconds, call, *arguments)

    def run_until(self, time: float) -> None:
        while self._due and self._due[0][0] <= time:
            self.now, _, call, arguments = heapq.heappop(self._due)
            call(*arguments)
        self.now = time

"""A work queue of keys, as a level-triggered controller needs it: a key says what to look at, never what happened.

The rules are those of client-go's workqueue:

- A key that waits is not queued twice: any number of changes becomes one look.
- A key is with one worker at a time. Added meanwhile, it is queued again when that worker is done with it, since the
  look may have come before the change.
- A key that failed comes again after a delay that doubles each time, apart from all other keys.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_JITTER = 0.2
_MOST_DOUBLINGS = 32
"""Beyond any sensible range of delays, and far from where a float overflows."""


class WorkQueue(Generic[K]):
    """Keys for any number of worker threads.

    first, most: seconds of a key's first and longest delay after a failure; each delay is up to a fifth shorter, so
    that keys which failed together do not come back together.
    clock: monotonic seconds; another one only in tests.
    """

    def __init__(self, *, first: float = 0.2, most: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._first = first
        self._most = most
        self._clock = clock
        self._changed = threading.Condition()
        self._ready: deque[K] = deque()
        self._wanted: set[K] = set()  # in _ready, or to be put there when its worker is done
        self._working: set[K] = set()
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []  # a heap; an entry that _due does not confirm is void
        self._order = 0  # of entries with the same time: keys need not be comparable
        self._failures: dict[K, int] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many keys could be worked on now."""
        with self._changed:
            self._promote()
            return len(self._ready)

    def add(self, key: K) -> None:
        """Have the key looked at, soon."""
        with self._changed:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key looked at in so many seconds; of several such times the earliest counts."""
        with self._changed:
            self._add_after(key, seconds)

    def get(self, timeout: float | None = None) -> K | None:
        """The next key, which `done` must give back; None after `timeout` seconds, or when the queue is shut down."""
        until = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._closed:
                self._promote()
                if self._ready:
                    key = self._ready.popleft()
                    self._wanted.discard(key)
                    self._working.add(key)
                    return key
                now = self._clock()
                if until is not None and now >= until:
                    return None
                ends = [end for end in (until, self._timers[0][0] if self._timers else None) if end is not None]
                self._changed.wait(min(ends) - now if ends else None)
            return None

    def done(self, key: K) -> None:
        """The worker that got the key is through with it."""
        with self._changed:
            self._working.discard(key)
            if key in self._wanted:
                self._ready.append(key)
                self._changed.notify()

    def retry(self, key: K) -> float:
        """Have a key that failed looked at again, later each time; the seconds until then. `done` is still due."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            delay = min(self._most, self._first * 2.0 ** min(failures, _MOST_DOUBLINGS))
            delay *= 1 - random.uniform(0, _JITTER)  # noqa: S311 - spreads load, keeps no secret
            self._add_after(key, delay)
            return delay

    def forget(self, key: K) -> None:
        """The key has succeeded, or is gone: its next failure is its first."""
        with self._changed:
            self._failures.pop(key, None)

    def shutdown(self) -> None:
        """Every `get` returns None from now on; what still waits is dropped: the next start looks at everything."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _add(self, key: K) -> None:
        if self._closed or key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._working:
            self._ready.append(key)
            self._changed.notify()

    def _add_after(self, key: K, seconds: float) -> None:
        if seconds <= 0:
            self._add(key)
            return
        due = self._clock() + seconds
        if self._closed or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._timers, (due, self._order, key))
        self._changed.notify()  # whoever waits may wait for too long

    def _promote(self) -> None:
        """Queue the keys whose time has come."""
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key)

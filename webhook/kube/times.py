"""Time as the API writes it, and a clock that nobody can set."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def micro_time(at: datetime) -> str:
    """`metav1.MicroTime`: RFC 3339 in UTC with six digits, such as "2026-11-21T14:35:00.000000Z"."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def elapsed() -> float:
    """Seconds of a clock that never goes back and, on Linux, goes on while the machine sleeps.

    `time.monotonic` stands still meanwhile, and whoever asks it afterwards whether a lease is still his is told so for
    as long as the machine slept.
    """
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

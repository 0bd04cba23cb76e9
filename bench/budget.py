"""How much is measured: enough for steady medians, and well under ten minutes on two cores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """rounds: of every interleaved measurement. engine_calls: per kind of call, size and round.

    load_requests, load_seconds: what a measurement under load ends after, whichever comes first. pod_creates: per kind
    of pod and round. memory_reviews: that the server answers between its start and the last look at its memory.
    """

    rounds: int
    engine_calls: int
    load_requests: int
    load_seconds: float
    pod_creates: int
    memory_reviews: int


FULL = Budget(rounds=5, engine_calls=200, load_requests=4000, load_seconds=1.0, pod_creates=300, memory_reviews=100_000)
QUICK = Budget(rounds=2, engine_calls=50, load_requests=500, load_seconds=0.3, pod_creates=25, memory_reviews=5_000)

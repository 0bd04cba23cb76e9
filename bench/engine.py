"""(a) The engine alone: microseconds per pod, beside `jsonpatch.make_patch` of the same edit."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import jsonpatch

from bench import targets
from bench.budget import Budget
from bench.errors import BenchError
from bench.report import Section, at_most
from bench.reviews import SIZES, Review, reviews
from bench.summary import percentile
from tests.controlplane.progress import Progress
from tests.support.reviews import answered
from webhook.decide import Settings
from webhook.inject import Operation, Pod, Situation, apply, inject
from webhook.inject.patch import rehearse

ENGINE = "engine"
UNCHECKED = "engine without its check"
CHECK = "the check alone"
JSONPATCH_CHECK = "the check by jsonpatch"
WHOLE = "review: JSON in, JSON out"
MAKE_PATCH = "jsonpatch.make_patch"
WHAT = (ENGINE, UNCHECKED, CHECK, JSONPATCH_CHECK, WHOLE, MAKE_PATCH)

_SITUATION = Situation(namespace="shop")
_SETTINGS = Settings()

Call = Callable[[], Any]


def measure(budget: Budget) -> Section:
    section = Section("a", "engine, one pod", ("body", "what", "µs p50", "p10", "p90", "× make_patch"), text_columns=2)
    section.notes = [
        "engine: operations from a decoded pod, applied to a copy as a check. The check by jsonpatch is not in it.",
        "make_patch: the diff of the same edit, the other way to come to a patch.",
    ]
    samples: dict[tuple[str, str], list[float]] = {}
    with Progress("(a) engine") as progress:
        calls = {size: [_calls(one) for one in reviews(size)] for size in SIZES}
        gc.collect()
        gc.freeze()  # as the server does: what is loaded now is not what a review costs
        for number in range(budget.rounds):
            progress.label = f"(a) engine, round {number + 1} of {budget.rounds}"
            for size in SIZES:
                for what in WHAT:
                    ready = [variant[what] for variant in calls[size]]
                    with _as_is_or_unchecked(what):
                        samples.setdefault((size, what), []).extend(_time(ready, budget.engine_calls))
                    progress.tick()
    for (size, what), microseconds in samples.items():
        _add(section, size, what, microseconds, percentile(samples[size, MAKE_PATCH], 50))
    return section


def _calls(one: Review) -> dict[str, Call]:
    operations = inject(one.pod, _SITUATION).operations
    if not operations:
        raise BenchError(f"the engine leaves the {one.size} pod of bench/reviews.py alone: nothing to time")
    patched = apply(one.pod, operations)

    def run() -> Any:
        return inject(one.pod, _SITUATION)

    return {
        ENGINE: run,
        UNCHECKED: run,
        CHECK: lambda: rehearse(one.pod, operations),
        JSONPATCH_CHECK: lambda: apply(one.pod, operations),
        WHOLE: lambda: answered(one.content, _SETTINGS),
        MAKE_PATCH: lambda: jsonpatch.make_patch(one.pod, patched),
    }


def _as_is_or_unchecked(what: str) -> AbstractContextManager[Any]:
    """For UNCHECKED, the engine without the application of its patch to a copy, so that one sees what that costs."""
    return mock.patch("webhook.inject.engine.rehearse", _no_check) if what == UNCHECKED else nullcontext()


def _no_check(pod: Pod, _operations: Iterable[Operation]) -> Pod:
    return pod


def _time(calls: list[Call], count: int) -> list[float]:
    """Microseconds of each of `count` calls, round the variants; each variant runs once before, unmeasured."""
    for call in calls:
        call()
    found = []
    for number in range(count):
        call = calls[number % len(calls)]
        began = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - began) / 1000)
    return found


def _add(section: Section, size: str, what: str, microseconds: list[float], reference: float) -> None:
    p10, p50, p90 = (percentile(microseconds, p) for p in (10, 50, 90))
    verdicts = []
    if (size, what) == (targets.ENGINE_SIZE, ENGINE):
        verdicts.append(at_most(f"engine p50, {size} pod", p50, targets.ENGINE_US, " µs"))
    section.add(
        (size, what, f"{p50:.0f}", f"{p10:.0f}", f"{p90:.0f}", f"{p50 / reference:.2f}"),
        verdicts,
        {"body": size, "what": what, "p10_us": p10, "p50_us": p50, "p90_us": p90, "calls": len(microseconds)},
    )

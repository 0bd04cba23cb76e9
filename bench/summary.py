"""Middle and spread of repeated measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of a few rounds, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @property
    def spread(self) -> float:
        """Half the distance between least and greatest: what stands behind ± in the table."""
        return (self.greatest - self.least) / 2


def summarise(values: Sequence[float]) -> Summary:
    """Raises statistics.StatisticsError when there are no values."""
    return Summary(statistics.median(values), min(values), max(values))


def ratios(values: Sequence[float], references: Sequence[float]) -> Summary:
    """Each round's value in terms of the reference of the same round: what disturbs both cancels out.

    Raises ValueError when they are not as many, or a reference is 0.
    """
    if not all(references):
        raise ValueError("a reference of 0 gives no ratio; it was measured over too short a time")
    return summarise([value / reference for value, reference in zip(values, references, strict=True)])


def percentile(values: Sequence[float], p: int) -> float:
    """The p-th percentile by the nearest-rank method. Raises IndexError when there are no values."""
    return sorted(values)[max(math.ceil(len(values) * p / 100), 1) - 1]

"""How a metric is declared: once, with its type, its sentence, and every value that its labels can have.

To declare one is to make it, so a process exposes what is declared and nothing else; docs/metrics.md, the alert rules
and the dashboard are checked against the same list.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from webhook import __version__

PREFIX = "habitat_webhook_"

M = TypeVar("M", Counter, Gauge, Histogram)

Kind = Literal["counter", "gauge", "histogram"]
Values: TypeAlias = Mapping[Any, str] | str
"""Of a label: each value with what it means, "" where the name says it. Or what bounds them, where they are not listed.

Any, since a Mapping is invariant in its keys, and most of these are of a Literal type.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """name: as it is exposed, such as "habitat_webhook_reviews_total". doc: one sentence. buckets: a histogram's."""

    name: str
    kind: Kind
    doc: str
    labels: Mapping[str, Values]
    buckets: tuple[float, ...] = ()


class Exposition:
    """The metrics of one process. Where all values of the labels are listed, every series is there from the start."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.declared: dict[str, Metric] = {}
        build = self.gauge("build_info", "Always 1; what runs is in the label.", version="the version that runs")
        build.labels(__version__).set(1)
        self.events_dropped = self.counter(
            "events_dropped", "Occurrences that no Event tells of: too many at once, or not to be written."
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(self, name: str, doc: str, **labels: Values) -> Counter:
        """A counter; name: without prefix and without `_total`."""
        self._declare(Metric(f"{PREFIX}{name}_total", "counter", doc, labels))
        return _all_series(Counter(PREFIX + name, doc, list(labels), registry=self.registry), labels)

    def gauge(self, name: str, doc: str, **labels: Values) -> Gauge:
        """A gauge; name: without prefix."""
        self._declare(Metric(PREFIX + name, "gauge", doc, labels))
        return _all_series(Gauge(PREFIX + name, doc, list(labels), registry=self.registry), labels)

    def histogram(self, name: str, doc: str, buckets: tuple[float, ...], **labels: Values) -> Histogram:
        """A histogram; name: without prefix. buckets: their upper bounds, +Inf not included."""
        self._declare(Metric(PREFIX + name, "histogram", doc, labels, buckets))
        made = Histogram(PREFIX + name, doc, list(labels), buckets=buckets, registry=self.registry)
        return _all_series(made, labels)

    def text(self) -> bytes:
        """The exposition format for Prometheus."""
        return generate_latest(self.registry)

    def _declare(self, metric: Metric) -> None:
        self.declared[metric.name] = metric


def _all_series(metric: M, labels: Mapping[str, Values]) -> M:
    if labels and all(isinstance(values, Mapping) for values in labels.values()):
        for values in itertools.product(*labels.values()):
            metric.labels(*values)
    return metric

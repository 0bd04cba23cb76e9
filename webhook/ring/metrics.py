"""Every metric of the controller, declared once. Labels are bounded: no namespace, no ring, no pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

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

Kind = Literal["peers", "config", "service", "secret"]
Result = Literal[
    "ok",
    "conflict",  # somebody else was faster, or the object is another one: looked at again
    "gone",  # the pod or its namespace is being deleted
    "error",  # tried again, later each time
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]  # typing keeps it there
RESULTS: tuple[Result, ...] = Result.__args__  # type: ignore[attr-defined]  # the same

_PREFIX = "habitat_webhook_"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one controller, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.rings = self._gauge("rings", "Rings with a live member.")
        self.members = self._gauge("ring_members", "Live members of all rings.")
        self.largest = self._gauge("ring_size_max", "Live members of the largest ring.")
        self.unseeded = self._gauge("unseeded_pods", "Live members that have no live peer although others live.")
        self.keys_missing = self._gauge("ring_keys_missing", "Managed ring keys that are gone while pods need them.")
        self.foreign = self._gauge("foreign_services", "Rings whose Service's name somebody else has taken.")
        self.leader = self._gauge("leader", "1 while this process acts, 0 while it stands by.")
        self.peers_seconds = Histogram(
            _PREFIX + "peers_written_seconds",
            "From a pod's address being seen to its first peers being written.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        writes = Counter(
            _PREFIX + "writes", "Writes to the API, by what and how it ended.", ["kind", "result"],
            registry=self.registry,
        )  # fmt: skip
        self.writes = {(k, r): writes.labels(k, r) for k in KINDS for r in RESULTS}
        self.calls = Counter(
            _PREFIX + "api_calls",
            "Requests to the API server by verb, resource and status, 0 for no answer.",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        self.failures = Counter(
            _PREFIX + "reconcile_failures", "Looks at a ring that ended in an error.", registry=self.registry
        )
        self._depth = self._gauge("queue_depth", "Rings that wait to be looked at.")
        self._silence = self._gauge("informer_silence_seconds", "Since an informer last heard of the API server.")
        self._dropped = self._gauge("events_dropped", "Events that were not written: too many at once.")
        build = Gauge(_PREFIX + "build_info", "1, with the version as a label.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def _gauge(self, name: str, doc: str) -> Gauge:
        return Gauge(_PREFIX + name, doc, registry=self.registry)

    def called(self, verb: str, resource: str, status: int) -> None:
        """One request to the API server."""
        self.calls.labels(verb, resource, str(status)).inc()

    def watch(self, *, depth: Callable[[], float], silence: Callable[[], float], dropped: Callable[[], float]) -> None:
        """Have these gauges ask when they are scraped."""
        self._depth.set_function(depth)
        self._silence.set_function(silence)
        self._dropped.set_function(dropped)

    def text(self) -> bytes:
        """The exposition format for Prometheus."""
        return generate_latest(self.registry)

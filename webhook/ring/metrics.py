"""The metrics of the ring controller. Labels are bounded: no namespace, no ring, no pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from webhook.metrics import Exposition

Kind = Literal["peers", "config", "service", "secret"]
Result = Literal["ok", "conflict", "gone", "error"]
KINDS: dict[Kind, str] = {
    "peers": "The annotation habitat.sh/peers of a pod.",
    "config": "The annotation habitat.sh/config-generation of a pod.",
    "service": "A ring's Service.",
    "secret": "A ring's key.",
}
RESULTS: dict[Result, str] = {
    "ok": "Done.",
    "conflict": "Somebody else was faster, or the object is another one: looked at again.",
    "gone": "The pod or its namespace is being deleted.",
    "error": "Tried again, later each time.",
}

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one controller; those about certificates join them."""

    def __init__(self) -> None:
        self.exposition = exposition = Exposition()
        self.rings = exposition.gauge("rings", "Rings with a live member.")
        self.members = exposition.gauge("ring_members", "Live members of all rings.")
        self.largest = exposition.gauge("ring_size_max", "Live members of the largest ring.")
        self.unseeded = exposition.gauge("unseeded_pods", "Live members that have no live peer although others live.")
        self.keys_missing = exposition.gauge(
            "ring_keys_missing", "Managed ring keys that are gone while pods need them."
        )
        self.foreign = exposition.gauge("foreign_services", "Rings whose Service's name somebody else has taken.")
        self.leader = exposition.gauge("leader", "1 while this process acts, 0 while it stands by.")
        self.peers_seconds = exposition.histogram(
            "peers_written_seconds", "From a pod's address being seen to its first peers being written.", _SECONDS
        )
        writes = exposition.counter(
            "writes", "Writes to the API, by what and how it ended.", kind=KINDS, result=RESULTS
        )
        self.writes = {(k, r): writes.labels(k, r) for k in KINDS for r in RESULTS}
        self.calls = exposition.counter(
            "api_calls",
            "Requests to the API server by verb, resource and status.",
            verb="a verb of the API",
            resource="a resource of the API, in plural",
            status="an HTTP status, or 0 for no answer",
        )
        self.failures = exposition.counter("reconcile_failures", "Looks at a ring that ended in an error.")
        self._depth = exposition.gauge("queue_depth", "Rings that wait to be looked at.")
        self._silence = exposition.gauge(
            "informer_silence_seconds", "Since the watch that has been silent longest heard of the API server."
        )

    def called(self, verb: str, resource: str, status: int) -> None:
        """One request to the API server."""
        self.calls.labels(verb, resource, str(status)).inc()

    def watch(self, *, depth: Callable[[], float], silence: Callable[[], float]) -> None:
        """Have these gauges ask when they are scraped."""
        self._depth.set_function(depth)
        self._silence.set_function(silence)

    def text(self) -> bytes:
        """The exposition format for Prometheus."""
        return self.exposition.text()

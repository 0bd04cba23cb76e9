"""Every metric of the server, declared once. Labels are bounded: no namespace, no pod, no annotation's value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

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
from webhook.advise.review import CODES
from webhook.decide import Reason
from webhook.demands import Action
from webhook.review import Decision
from webhook.server.asking import RESULTS, Result

if TYPE_CHECKING:
    from webhook.server.namespaces import Namespaces

ErrorKind = Literal[
    "internal",  # our own mistake: HTTP 500
    "bad_request",  # no AdmissionReview, or no HTTP: 400, 414, 417, 431, 501
    "not_found",
    "method",
    "length",  # no Content-Length: 411
    "too_large",  # over 7 MiB: 413
    "media_type",  # not application/json: 415
    "truncated",  # the client went away in the middle of its request, or of its answer
    "timeout",  # the client was too slow: 408, or closed during the handshake
    "tls",  # a handshake failed, for instance because the caBundle does not verify our certificate
    "overloaded",  # too many connections, or too much waiting in memory: 503
    "namespace",  # a new namespace could not be asked for: 503
]
ERROR_KINDS: tuple[ErrorKind, ...] = ErrorKind.__args__  # type: ignore[attr-defined]  # typing keeps it there

EndpointName = Literal["mutate", "validate"]
ENDPOINTS: tuple[EndpointName, ...] = EndpointName.__args__  # type: ignore[attr-defined]  # typing keeps it there

_RESULTS = ("denied", "warned", "silent")
_PREFIX = "habitat_webhook_"
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
"""A review takes a few hundred microseconds; the API server gives up after seconds."""


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        decisions = Counter(
            _PREFIX + "reviews", "Reviews answered, by reason code.", ["reason"], registry=self.registry
        )
        self.reviews = {reason.code: decisions.labels(reason.code) for reason in Reason}
        errors = Counter(
            _PREFIX + "errors", "Requests and connections that went wrong, by kind.", ["kind"], registry=self.registry
        )
        self.errors: dict[ErrorKind, Counter] = {kind: errors.labels(kind) for kind in ERROR_KINDS}
        durations = Histogram(
            _PREFIX + "review_duration_seconds",
            "From the complete request to its answer, by what was asked: mutate for pods, validate for workloads.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.duration: dict[EndpointName, Histogram] = {name: durations.labels(name) for name in ENDPOINTS}
        workloads = Counter(
            _PREFIX + "workload_reviews", "Workloads looked at, by result.", ["result"], registry=self.registry
        )
        self._workloads = {result: workloads.labels(result) for result in _RESULTS}
        cautions = Counter(
            _PREFIX + "workload_warnings", "Warnings about workloads, by code.", ["code"], registry=self.registry
        )
        self._cautions = {code: cautions.labels(code) for code in CODES}
        reloads = Counter(
            _PREFIX + "certificate_loads", "Certificate pairs read, by result.", ["result"], registry=self.registry
        )
        self.certificate_loaded = reloads.labels("loaded")
        self.certificate_refused = reloads.labels("refused")
        unmet = Counter(
            _PREFIX + "policy_unmet",
            "Rules of the policy that pods did not meet, by the rules' action.",
            ["action"],
            registry=self.registry,
        )
        self.policy_unmet = {action.value: unmet.labels(action.value) for action in Action}
        loads = Counter(_PREFIX + "policy_loads", "Policies read, by result.", ["result"], registry=self.registry)
        self.policy_loaded, self.policy_refused = loads.labels("loaded"), loads.labels("refused")
        self.policy_generation = Gauge(
            _PREFIX + "policy_generation",
            "Which of the policies read since the start is in force: 1 for the first, 0 for none.",
            registry=self.registry,
        )
        self.policy_rules = Gauge(_PREFIX + "policy_rules", "Rules of the policy in force.", registry=self.registry)
        self.policy_error = Gauge(
            _PREFIX + "policy_last_error",
            "1 while the policy's file cannot be used and an older one, or none, is in force; else 0.",
            registry=self.registry,
        )
        self._expiry = Gauge(
            _PREFIX + "certificate_expires_in_seconds",
            "Until the served certificate expires: negative afterwards, NaN while there is none.",
            registry=self.registry,
        )
        self._in_flight = Gauge(
            _PREFIX + "in_flight_requests",
            "Requests begun by a client and not yet wholly answered.",
            registry=self.registry,
        )
        self._connections = Gauge(_PREFIX + "connections", "Open connections.", registry=self.registry)
        self._namespaces = Gauge(_PREFIX + "namespaces", "Namespaces that are known.", registry=self.registry)
        self._namespaces_synced = Gauge(
            _PREFIX + "namespaces_synced",
            "1 when all namespaces have been read from the API server; 0 before, and with --namespaces=none.",
            registry=self.registry,
        )
        self._namespaces_age = Gauge(
            _PREFIX + "namespaces_age_seconds",
            "Since the last sign of life from the API server, which gives one a minute; NaN before the first.",
            registry=self.registry,
        )
        self._namespaces_age.set(math.nan)
        reads = Counter(
            _PREFIX + "namespace_reads",
            "Calls to the API server about one namespace that reviews had to wait for, by result.",
            ["result"],
            registry=self.registry,
        )
        self.namespace_reads: dict[Result, Counter] = {result: reads.labels(result) for result in RESULTS}
        build = Gauge(_PREFIX + "build_info", "1, with the version as a label.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def workload(self, decision: Decision) -> None:
        """Count the review of a workload."""
        result = "denied" if decision.decision == "deny" else "warned" if decision.warnings else "silent"
        self._workloads[result].inc()
        for code in decision.cautions:
            self._cautions[code].inc()

    def watch(
        self, *, expiry: Callable[[], float], in_flight: Callable[[], float], connections: Callable[[], float]
    ) -> None:
        """Have the gauges ask when they are scraped, so that a review pays nothing for them."""
        self._expiry.set_function(expiry)
        self._in_flight.set_function(in_flight)
        self._connections.set_function(connections)

    def watch_namespaces(self, namespaces: Namespaces) -> None:
        """The same for what is known of the namespaces."""
        self._namespaces.set_function(lambda: len(namespaces))
        self._namespaces_synced.set_function(lambda: namespaces.synced)
        self._namespaces_age.set_function(namespaces.age)

    def text(self) -> bytes:
        """The exposition format for Prometheus."""
        return generate_latest(self.registry)

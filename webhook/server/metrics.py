"""The metrics of `serve`. Labels are bounded: no namespace, no pod, no annotation's value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from prometheus_client import Counter, Histogram

from webhook.advise.review import CODES
from webhook.decide import Reason
from webhook.demands import Action
from webhook.metrics import Exposition
from webhook.review import Decision
from webhook.server.asking import RESULTS, Result

if TYPE_CHECKING:
    from webhook.server.namespaces import Namespaces

ErrorKind = Literal[
    "internal",
    "bad_request",
    "not_found",
    "method",
    "length",
    "too_large",
    "media_type",
    "truncated",
    "timeout",
    "tls",
    "overloaded",
    "namespace",
]
ERRORS: dict[ErrorKind, str] = {
    "internal": "Our own mistake, answered by HTTP 500: the failure policy decides. Worth an alert.",
    "bad_request": "No AdmissionReview, or no HTTP: 400, 414, 417, 431, 501.",
    "not_found": "A path that is not there: 404.",
    "method": "A method that the path does not take: 405.",
    "length": "No Content-Length: 411.",
    "too_large": "A body of more than 7 MiB: 413.",
    "media_type": "Another Content-Type than application/json: 415.",
    "truncated": "The client went away in the middle of its request, or of its answer.",
    "timeout": "The client was too slow: 408, or closed during the handshake.",
    "tls": "A handshake failed, most often because the caBundle does not verify our certificate.",
    "overloaded": "Too many connections, or too much waiting in memory: 503.",
    "namespace": "A new namespace could not be asked for: 503.",
}

EndpointName = Literal["mutate", "validate"]
ENDPOINTS: dict[EndpointName, str] = {"mutate": "A pod.", "validate": "A workload."}

_WORKLOADS = {
    "denied": "It was refused, with every problem.",
    "warned": "Its author was told what will surprise.",
    "silent": "There was nothing to say.",
}
_ACTIONS = {
    Action.ENFORCE.value: "The pod was refused.",
    Action.WARN.value: "It was let through, with a warning; enforcing would refuse it.",
    Action.AUDIT.value: "It was let through, and the audit log has it; enforcing would refuse it.",
}
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
"""A review takes a few hundred microseconds; the API server gives up after seconds."""


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.exposition = exposition = Exposition()
        self._reviews(exposition)
        self._namespace(exposition)
        self._policy(exposition)
        loads = exposition.counter(
            "certificate_loads",
            "Certificate pairs read, by result.",
            result={"loaded": "Served from the next connection on.", "refused": "Of no use; the old one is served on."},
        )
        self.certificate_loaded = loads.labels("loaded")
        self.certificate_refused = loads.labels("refused")
        self._expiry = exposition.gauge(
            "certificate_expires_in_seconds",
            "Until the served certificate expires: negative afterwards, NaN while there is none.",
        )
        self._lifetime = exposition.gauge(
            "certificate_lifetime_seconds", "The whole life of the served certificate, NaN while there is none."
        )
        self._in_flight = exposition.gauge(
            "in_flight_requests", "Requests begun by a client and not yet wholly answered."
        )
        self._connections = exposition.gauge("connections", "Open connections.")

    def _reviews(self, exposition: Exposition) -> None:
        reviews = exposition.counter(
            "reviews", "Reviews of pods answered, by reason code.", reason={r.code: r.sentence for r in Reason}
        )
        self.reviews = {reason.code: reviews.labels(reason.code) for reason in Reason}
        workloads = exposition.counter("workload_reviews", "Workloads looked at, by result.", result=_WORKLOADS)
        self._workloads = {result: workloads.labels(result) for result in _WORKLOADS}
        cautions = exposition.counter(
            "workload_warnings",
            "Warnings about workloads, by code.",
            code={code: f"[At apply](at-apply.md#{code.lower()})." for code in CODES},
        )
        self._cautions = {code: cautions.labels(code) for code in CODES}
        errors = exposition.counter("errors", "Requests and connections that went wrong, by kind.", kind=ERRORS)
        self.errors: dict[ErrorKind, Counter] = {kind: errors.labels(kind) for kind in ERRORS}
        durations = exposition.histogram(
            "review_duration_seconds",
            "From the complete request to its answer, by what was asked about.",
            _SECONDS,
            endpoint=ENDPOINTS,
        )
        self.duration: dict[EndpointName, Histogram] = {name: durations.labels(name) for name in ENDPOINTS}

    def _namespace(self, exposition: Exposition) -> None:
        self._namespaces = exposition.gauge("namespaces", "Namespaces that are known.")
        self._namespaces_synced = exposition.gauge(
            "namespaces_synced",
            "1 when all namespaces have been read from the API server; 0 before, and with --namespaces=none.",
        )
        self._namespaces_age = exposition.gauge(
            "namespaces_age_seconds",
            "Since the last sign of life from the API server, which gives one a minute; NaN before the first.",
        )
        self._namespaces_age.set(math.nan)
        reads = exposition.counter(
            "namespace_reads",
            "Calls to the API server about one namespace that reviews had to wait for, by result.",
            result=RESULTS,
        )
        self.namespace_reads: dict[Result, Counter] = {result: reads.labels(result) for result in RESULTS}

    def _policy(self, exposition: Exposition) -> None:
        unmet = exposition.counter(
            "policy_unmet", "Rules of the policy that pods did not meet, by the rules' action.", action=_ACTIONS
        )
        self.policy_unmet = {action.value: unmet.labels(action.value) for action in Action}
        loads = exposition.counter(
            "policy_loads",
            "Policies read, by result.",
            result={"loaded": "In force from the next review on.", "refused": "Of no use; the one before stays."},
        )
        self.policy_loaded, self.policy_refused = loads.labels("loaded"), loads.labels("refused")
        self.policy_generation = exposition.gauge(
            "policy_generation", "Which of the policies read since the start is in force: 1 for the first, 0 for none."
        )
        self.policy_rules = exposition.gauge("policy_rules", "Rules of the policy in force.")
        self.policy_error = exposition.gauge(
            "policy_last_error",
            "1 while the policy's file cannot be used and an older one, or none, is in force; else 0.",
        )

    def workload(self, decision: Decision) -> None:
        """Count the review of a workload."""
        result = "denied" if decision.decision == "deny" else "warned" if decision.warnings else "silent"
        self._workloads[result].inc()
        for code in decision.cautions:
            self._cautions[code].inc()

    def watch(
        self,
        *,
        expiry: Callable[[], float],
        lifetime: Callable[[], float],
        in_flight: Callable[[], float],
        connections: Callable[[], float],
    ) -> None:
        """Have the gauges ask when they are scraped, so that a review pays nothing for them."""
        self._expiry.set_function(expiry)
        self._lifetime.set_function(lifetime)
        self._in_flight.set_function(in_flight)
        self._connections.set_function(connections)

    def watch_namespaces(self, namespaces: Namespaces) -> None:
        """The same for what is known of the namespaces."""
        self._namespaces.set_function(lambda: len(namespaces))
        self._namespaces_synced.set_function(lambda: namespaces.synced)
        self._namespaces_age.set_function(namespaces.age)

    def text(self) -> bytes:
        """The exposition format for Prometheus."""
        return self.exposition.text()

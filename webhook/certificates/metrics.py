"""The controller's metrics about certificates, declared once. Labels are bounded."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from certs.rotation import Action, State

Situation = Literal["standby", "refused", "empty", "early", "expired", "published", "stable"]
"""Of the CA: standby where another process acts; refused where what is kept is not ours or cannot be read."""

Result = Literal["ok", "conflict", "error"]
SITUATIONS: tuple[Situation, ...] = Situation.__args__  # type: ignore[attr-defined]  # typing keeps it there
RESULTS: tuple[Result, ...] = Result.__args__  # type: ignore[attr-defined]  # the same
_OF_STATE: dict[State, Situation] = {
    State.EMPTY: "empty",
    State.EARLY: "early",
    State.EXPIRED: "expired",
    State.PUBLISHED: "published",
    State.STABLE: "stable",
}
_PREFIX = "habitat_webhook_"


class CertificateMetrics:
    """In the registry of the process. Times are NaN, which no alert takes for a number, where nothing is known."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ca = Gauge(_PREFIX + "ca_expires_in_seconds", "Until the current CA expires.", registry=registry)
        self.leaf = Gauge(
            _PREFIX + "leaf_expires_in_seconds", "Until the leaf in its Secret expires.", registry=registry
        )
        situation = Gauge(
            _PREFIX + "ca_state", "1 for the state that the CA is in, else 0.", ["state"], registry=registry
        )
        self._situations = {one: situation.labels(one) for one in SITUATIONS}
        self.wrong = Gauge(
            _PREFIX + "ca_bundles_wrong",
            "caBundles that were not as they should be at the last look.",
            registry=registry,
        )
        repairs = Counter(
            _PREFIX + "ca_bundle_repairs", "Webhook configurations repaired, by how it ended.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.repairs = {one: repairs.labels(one) for one in RESULTS}
        steps = Counter(
            _PREFIX + "certificate_steps", "Steps taken with the CA and the leaf.", ["step"], registry=registry
        )
        self.steps: dict[Action, Counter] = {one: steps.labels(one.value) for one in Action if one is not Action.WAIT}
        self.failures = Counter(
            _PREFIX + "certificate_failures", "Looks at the certificates that ended in an error.", registry=registry
        )
        self.forget()

    def situation(self, now: State | None) -> None:
        """The state of the CA; None for one that is refused."""
        self._show("refused" if now is None else _OF_STATE[now])
        if now is None:
            self.ca.set(math.nan)

    def leaf_left(self, left: timedelta | None) -> None:
        """Until the leaf expires; None where there is none that can be read."""
        self.leaf.set(math.nan if left is None else left.total_seconds())

    def forget(self) -> None:
        """Another process acts: what was known here grows old."""
        self._show("standby")
        self.wrong.set(0)
        for gauge in (self.ca, self.leaf):
            gauge.set(math.nan)

    def _show(self, situation: Situation) -> None:
        for one, gauge in self._situations.items():
            gauge.set(one == situation)

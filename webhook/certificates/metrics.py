"""The controller's metrics about certificates. Labels are bounded."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Literal

from certs.rotation import Action, State
from webhook.metrics import Exposition

Situation = Literal["standby", "refused", "empty", "early", "expired", "published", "stable"]
Result = Literal["ok", "conflict", "error"]
SITUATIONS: dict[Situation, str] = {
    "standby": "Another process acts.",
    "refused": "What is kept is not ours, or cannot be read.",
    "empty": "There is no CA yet.",
    "early": "The CA is not valid yet: a clock is wrong.",
    "expired": "The CA has expired.",
    "published": "The next CA is in the caBundles, or on its way there, and does not sign yet.",
    "stable": "Nothing is to be done.",
}
RESULTS: dict[Result, str] = {
    "ok": "Done.",
    "conflict": "Somebody else was faster, or it is gone: looked at again.",
    "error": "It may not be written, or could not be.",
}
STEPS: dict[Action, str] = {
    Action.CREATE: "A CA was made.",
    Action.KEEP: "A CA stays trusted.",
    Action.RETIRE: "A CA has left every caBundle.",
    Action.WITHDRAW: "The next CA was taken back.",
    Action.SIGN: "The next CA has become the current one.",
    Action.PUBLISH: "The next CA was made and is being published.",
    Action.ISSUE: "A leaf was issued.",
    Action.BUNDLE: "The CAs beside the leaf were brought up to date.",
}
_OF_STATE: dict[State, Situation] = {
    State.EMPTY: "empty",
    State.EARLY: "early",
    State.EXPIRED: "expired",
    State.PUBLISHED: "published",
    State.STABLE: "stable",
}


class CertificateMetrics:
    """Among the metrics of the process. Times are NaN, which no alert takes for a number, where nothing is known."""

    def __init__(self, exposition: Exposition) -> None:
        self.exposition = exposition
        self._ca = exposition.gauge(
            "ca_expires_in_seconds", "Until the current CA expires; NaN unless this process acts."
        )
        self._ca_lifetime = exposition.gauge("ca_lifetime_seconds", "The whole life of the current CA; NaN likewise.")
        self.leaf = exposition.gauge(
            "leaf_expires_in_seconds", "Until the leaf in its Secret expires; NaN unless this process acts."
        )
        situation = exposition.gauge("ca_state", "1 for the state that the CA is in, else 0.", state=SITUATIONS)
        self._situations = {one: situation.labels(one) for one in SITUATIONS}
        self.wrong = exposition.gauge("ca_bundles_wrong", "caBundles that were not as they should be at the last look.")
        repairs = exposition.counter(
            "ca_bundle_repairs", "Webhook configurations repaired, by how it ended.", result=RESULTS
        )
        self.repairs = {one: repairs.labels(one) for one in RESULTS}
        steps = exposition.counter("certificate_steps", "Steps taken with the CA and the leaf.", step=STEPS)
        self.steps = {one: steps.labels(one) for one in STEPS}
        self.failures = exposition.counter("certificate_failures", "Looks at the certificates that ended in an error.")
        self.forget()

    def situation(self, now: State | None) -> None:
        """The state of the CA; None for one that is refused."""
        self._show("refused" if now is None else _OF_STATE[now])
        if now is None:
            self._no_ca()

    def authority(self, begin: datetime, end: datetime, now: datetime) -> None:
        """The current CA, and what time it is."""
        self._ca.set((end - now).total_seconds())
        self._ca_lifetime.set((end - begin).total_seconds())

    def leaf_left(self, left: timedelta | None) -> None:
        """Until the leaf expires; None where there is none that can be read."""
        self.leaf.set(math.nan if left is None else left.total_seconds())

    def forget(self) -> None:
        """Another process acts: what was known here grows old."""
        self._show("standby")
        self.wrong.set(0)
        self.leaf.set(math.nan)
        self._no_ca()

    def _no_ca(self) -> None:
        self._ca.set(math.nan)
        self._ca_lifetime.set(math.nan)

    def _show(self, situation: Situation) -> None:
        for one, gauge in self._situations.items():
            gauge.set(one == situation)

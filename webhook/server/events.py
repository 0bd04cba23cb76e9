"""Events on the owners of pods, of what nobody else shows.

Warnings about a pod go to whoever creates it. That is a controller nearly always, and it shows them to nobody; so they
are said by an Event on the owner, which `kubectl describe` lists. A pod that is refused needs none: its controller
makes a FailedCreate of the refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from webhook.decide import Reason, mapping, sequence
from webhook.review import Decision, Request

WARNED = "InjectionWarning"
"""The pod was injected, and something about it will surprise."""

REASONS: Mapping[str, str] = {
    WARNED: "The pod was injected, and something about it will surprise: the note says what.",
    Reason.HAND_WRITTEN_SUPERVISOR.code: "The pod was left alone, since its own command starts a Supervisor.",
}
"""Reason of an Event -> what it means."""


POLICY_REFUSED = "PolicyRefused"
"""On the ConfigMap of the policy."""


class Sink(Protocol):
    """What takes an Event: webhook.kube.events.Recorder, named so as not to load the API client for those without."""

    def event(
        self, regarding: Mapping[str, str], kind: Literal["Normal", "Warning"], reason: str, note: str
    ) -> None: ...


class OwnerEvents:
    """Says on pods' owners what a review has found."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def tell(self, request: Request, decision: Decision) -> None:
        """One Event at most; never blocks and never raises.

        None of a dry run, which has no side effects; of a refusal; and of a pod that nobody owns: whoever created it
        has read the warnings.
        """
        if request.dry_run or not decision.warnings or decision.decision == "deny":
            return
        owner = _owner(request)
        if not owner:
            return
        reason = decision.reason if decision.reason in REASONS else WARNED
        note = "; ".join(decision.warnings)
        self._sink.event(owner, "Warning", reason, note if reason == WARNED else f"{REASONS[reason]} {note}")


def _owner(request: Request) -> dict[str, str]:
    """What an Event regards, {} when no controller owns the pod."""
    for reference in sequence(mapping(request.pod, "metadata"), "ownerReferences"):
        if isinstance(reference, dict) and reference.get("controller"):
            fields = {name: str(reference.get(name) or "") for name in ("apiVersion", "kind", "name", "uid")}
            return {"namespace": request.namespace, **fields} if all(fields.values()) else {}
    return {}

"""What surrounds a request: where the engine learns of the installation, of the namespace, and of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webhook.decide import INJECTION_LABEL, Reason, Rules, Settings, Situation, decide
from webhook.namespaces import Namespace
from webhook.policy.loaded import LoadedPolicy
from webhook.policy.policy import Policy
from webhook.review import Request, WorkloadRequest

if TYPE_CHECKING:
    from webhook.server.namespaces import Namespaces

_DOUBTFUL = (Reason.NAMESPACE_NOT_ENABLED, Reason.NAMESPACE_DISABLED)
"""By these labels the API server would not have asked about a pod: so they have changed, a moment ago."""

_NO_RULES = Rules()


class NoPolicyError(Exception):
    """A policy is configured and none could be read yet: the failure policy of the webhook decides, not we."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that `serve` knows besides the review itself.

    settings: what the installation says. namespaces: None when `serve` has no way to an API server. policy: None for
    none.
    """

    settings: Settings
    namespaces: Namespaces | None = None
    policy: LoadedPolicy | None = None

    def of(self, request: Request, asked: Future[Namespace | None] | None = None) -> Situation:
        """What the engine is told of one request.

        asked: the answer that an earlier call of this has made the request wait for.
        Raises Unsettled when the namespace has to be asked for first, NamespaceError when that has failed,
        NoPolicyError.
        """
        if self.namespaces is None:
            return self._situation(request, None)
        if asked is not None:
            return self._situation(request, asked.result())
        situation = self._situation(request, self.namespaces.get(request.namespace))
        labels = situation.namespace_labels
        if labels is None or labels.get(INJECTION_LABEL) == "enabled":
            return situation
        if decide(request.pod, situation) not in _DOUBTFUL:
            return situation
        return self._situation(request, self.namespaces.confirmed(request.namespace))

    def _situation(self, request: Request, namespace: Namespace | None) -> Situation:
        labels = namespace.labels if namespace else None
        # Once: another generation may be there in a moment.
        policy = self._current_policy()

        def rules(pod: Mapping[str, Any]) -> Rules:
            found = policy.rules(pod, request.namespace, labels) if policy else _NO_RULES
            for layer in namespace.layers if namespace else ():
                found = found.with_defaults(layer)
            return found

        before = request.before.template if isinstance(request, WorkloadRequest) and request.before else None
        return Situation(
            namespace=request.namespace,
            operation=request.operation,
            subresource=request.subresource,
            claim_templates=request.claim_templates,
            namespace_labels=labels,
            settings=policy.settings(self.settings) if policy else self.settings,
            rules=rules(request.pod),
            rules_before=rules(before) if isinstance(before, dict) else None,
        )

    def _current_policy(self) -> Policy | None:
        if self.policy is None:
            return None
        policy = self.policy.current
        if policy is None:
            raise NoPolicyError(self.policy.fault)
        return policy

"""What surrounds the pods of a namespace, as the webhook sees it: installation, policy, and the namespace itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webhook.decide import Settings, Situation
from webhook.namespaces import Namespace
from webhook.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Surroundings:
    """settings: what the installation says. policy: None where there is none, or none that is known.

    blind: `serve` knows no namespaces (`--namespaces=none`): neither their labels nor their defaults.
    """

    settings: Settings
    policy: Policy | None = None
    blind: bool = False

    def known(self, name: str, namespace: Namespace | None, pod: Mapping[str, Any]) -> Situation:
        """With all that is known here. namespace: None where nothing is known of it."""
        situation = Situation(
            namespace=name, namespace_labels=namespace.labels if namespace else None, settings=self.settings
        )
        if self.policy is not None:
            situation = self.policy.about(situation, pod)
        rules = situation.rules
        for layer in namespace.layers if namespace else ():
            rules = rules.with_defaults(layer)
        return replace(situation, rules=rules)

    def seen(self, name: str, namespace: Namespace | None, pod: Mapping[str, Any]) -> Situation:
        """The same as the webhook sees it."""
        return self.known(name, None if self.blind else namespace, pod)

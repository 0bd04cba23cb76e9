"""What surrounds a request: where the engine learns of the installation, of the namespace, and of the policy."""

from __future__ import annotations

from dataclasses import dataclass

from webhook.decide import Settings, Situation
from webhook.review import Request


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that `serve` knows besides the review itself. settings: what the installation says."""

    settings: Settings

    def of(self, request: Request) -> Situation:
        """What the engine is told of one request."""
        return Situation(
            namespace=request.namespace,
            operation=request.operation,
            subresource=request.subresource,
            settings=self.settings,
        )

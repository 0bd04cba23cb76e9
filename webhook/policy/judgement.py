"""What becomes of one workload under a policy, and why: for `policy explain` and `policy test`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.decide import BUILT_IN, Situation
from webhook.inject import Outcome, inject
from webhook.options import REGISTRY
from webhook.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Judgement:
    """decision: "inject", "skip" or "deny". verdicts: each rule's name and why it does not hold, "" when it does.
    values: option name -> (its value as text, who said it); empty for a pod that is not injected.
    """

    outcome: Outcome
    decision: str
    verdicts: tuple[tuple[str, str], ...]
    values: Mapping[str, tuple[str, str]]

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(name for name, why in self.verdicts if not why)

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(str(problem) for problem in self.outcome.problems)

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "decision": self.decision,
            "reason": self.outcome.reason.code,
            "container": self.outcome.container,
            "rules": [{"name": name, "matched": not why, "because": why} for name, why in self.verdicts],
            "values": {name: {"value": value, "source": source} for name, (value, source) in self.values.items()},
            "problems": list(self.problems),
            "warnings": list(self.outcome.warnings),
            "audit": list(self.outcome.audit),
        }


def judge(policy: Policy, pod: dict[str, Any], situation: Situation) -> Judgement:
    """What the webhook would do with a pod."""
    outcome = inject(pod, policy.about(situation, pod))
    found = policy.verdicts(pod, situation.namespace, situation.namespace_labels)
    verdicts = tuple((rule.name, why) for rule, why in found)
    decision = "deny" if outcome.problems else "inject" if outcome.spec else "skip"
    return Judgement(outcome, decision, verdicts, _values(outcome))


def _values(outcome: Outcome) -> dict[str, tuple[str, str]]:
    if outcome.spec is None:
        return {}
    values = {}
    for option in REGISTRY:
        value, source = getattr(outcome.spec.options, option.field), outcome.spec.sources.get(option.field, BUILT_IN)
        if option.name == "service":
            value = outcome.spec.service
            source = outcome.spec.sources.get("service") or outcome.spec.sources.get("package", BUILT_IN)
        if value is not None and value != ():
            values[option.name] = (",".join(value) if isinstance(value, tuple) else str(value), source)
    return values

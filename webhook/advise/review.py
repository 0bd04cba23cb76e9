"""The review of a workload: the engine's verdict on its pod template, at the moment at which somebody applies it.

A problem is a refusal only where the request brings it. Whoever changes something else of a workload that was bad
before gets a warning: the webhook must never be in the way of a repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from webhook.advise.cautions import CAUTIONS, Subject, said
from webhook.decide import Rules, Situation, mapping
from webhook.inject import Outcome, inject
from webhook.problems import Problem, caution
from webhook.review import RULES_LOGGED, Answer, Decision, WorkloadRequest, denial, envelope, handful, of_policy

NOT_INJECTABLE = "NotInjectable"
"""The code of problems that were there before."""

CODES = (NOT_INJECTABLE, *(c.code for c in CAUTIONS))
"""Of all warnings that are not the engine's own."""

CRAMPED = "restartPolicy "
"""The engine's warning about pods that end, which JobNeverCompletes says better."""


def answer(request: WorkloadRequest, situation: Situation) -> Answer:
    """As `webhook.review.answer`, and no patch ever."""
    if "deletionTimestamp" in mapping(request.workload.value, "metadata"):
        return _answer(request, Outcome(inject(request.pod, situation).reason, []), situation.rules, (), ())
    outcome = inject(request.pod, situation)
    problems = _new(request, situation, outcome)
    cautions = said(Subject(request.workload, situation, outcome))
    if outcome.problems and not problems:
        first = outcome.problems[0]
        more = f" and {len(outcome.problems) - 1} more" if len(outcome.problems) > 1 else ""
        text = f"its pods are refused, as before: look at {first.where}{more}"  # without the value: this is logged
        cautions.insert(0, (NOT_INJECTABLE, caution(text)))
    elif problems:
        cautions = []
    jobs = request.workload.kind in ("Job", "CronJob")
    engine = [text for text in outcome.warnings if not (jobs and text.startswith(CRAMPED))]
    return _answer(request, outcome, situation.rules, problems, cautions, engine)


def _new(request: WorkloadRequest, situation: Situation, outcome: Outcome) -> tuple[Problem, ...]:
    """The problems, () when the workload had all of them before."""
    before = request.before.template if request.before is not None else None
    if not outcome.problems or not isinstance(before, dict):
        return outcome.problems
    claims = request.before.claim_templates if request.before is not None else frozenset()
    rules = situation.rules if situation.rules_before is None else situation.rules_before
    old = inject(before, replace(situation, claim_templates=claims, rules=rules)).problems
    return () if set(outcome.problems) <= set(old) else outcome.problems


def _answer(
    request: WorkloadRequest,
    outcome: Outcome,
    rules: Rules,
    problems: tuple[Problem, ...],
    cautions: Sequence[tuple[str, str]],
    engine: Sequence[str] = (),
) -> Answer:
    warnings = handful((*(text for _, text in cautions), *engine))
    response: dict[str, Any] = {"uid": request.uid, "allowed": not problems}
    if problems:
        place = ".".join(map(str, request.workload.template_path or ()))
        causes = [(f"{place}.{p.field}", outcome.explained(p)) for p in problems]
        count = len(problems)
        head = f"pods of this {request.workload.kind} cannot run under the Habitat Supervisor, "
        lines = [f"{head}{count} problem{'s'[: count > 1]}:", *(f"- {field}: {text}" for field, text in causes)]
        response["status"] = denial(request.workload.kind, request.name, "\n".join(lines), causes)
    if warnings:
        response["warnings"] = warnings
    response["auditAnnotations"] = {"reason": outcome.reason.code} | of_policy(rules, outcome)
    decision = Decision(
        uid=request.uid,
        namespace=request.namespace,
        owner=f"{request.workload.kind}/{request.name}",
        operation=request.verb,
        decision="deny" if problems else "allow",
        reason=outcome.reason.code,
        container=outcome.container,
        ops=0,
        warnings=warnings,
        problems=tuple(p.where for p in problems),
        dry_run=request.dry_run,
        cautions=tuple(dict.fromkeys(code for code, _ in cautions)),
        policy=rules.generation,
        rules=rules.matched[:RULES_LOGGED],
        unmet=outcome.unmet,
    )
    return Answer(200, envelope(response), decision)

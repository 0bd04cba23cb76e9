"""Why a workload's pods are injected or are not: what the API server decides, and then what the webhook does.

Pure: who calls has found the objects, the webhook configurations, and what the installation says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from webhook.admission.entries import Entry
from webhook.admission.matching import Match, Request, Verdict, verdicts
from webhook.admission.parts import Lines, parts
from webhook.admission.resources import POD, Resource
from webhook.admission.surroundings import Surroundings
from webhook.decide import BUILT_IN, Reason, Situation, decide, mapping
from webhook.inject import Outcome, Pod, apply, inject, record
from webhook.inject.record import Record
from webhook.namespaces import Namespace
from webhook.options import PEERS, REGISTRY
from webhook.shape import problems_of
from webhook.spec import SupervisorSpec

_INJECTING = (Reason.INJECTED, Reason.ALREADY_CURRENT)
DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 30,
}
"""What the API server fills in at the top of a pod's spec before any webhook is asked: conditions may look at it."""

SLIPPED_THROUGH = (
    "SlippedThrough",
    "The pod was not injected when it was created; one that is created now is.",
    "Restart its workload: kubectl rollout restart. `habitat-webhook doctor` finds them all.",
)


class Result(Enum):
    """What becomes of the pods. UNKNOWN: a condition or a label that decides is not known here."""

    INJECTED = "injected"
    LEFT_ALONE = "left alone"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is explained.

    label: "Deployment/web". resource: its kind. object: as it is written, or stored. template: the pod, or the pod
    template. claims: names of volumeClaimTemplates. misplaced: annotations above the template, and where they are.
    stored: whether `template` is a pod that exists.
    """

    label: str
    resource: Resource
    object: Mapping[str, Any]
    template: Pod
    namespace: str
    claims: frozenset[str] = frozenset()
    misplaced: Mapping[str, str] = field(default_factory=dict)
    stored: bool = False

    def requests(self, labels: Mapping[str, str] | None) -> list[Request]:
        """What the API server is asked: to create a pod, and before that the workload."""
        metadata = {**mapping(self.template, "metadata"), "namespace": self.namespace}
        spec = DEFAULTS | dict(mapping(self.template, "spec"))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        wanted = [Request(POD, self.namespace, labels, pod)]
        if self.resource is not POD:
            wanted.append(Request(self.resource, self.namespace, labels, self.object))
        return wanted


@dataclass(frozen=True, slots=True)
class Value:
    """One setting, and who said it: "pod", "args", "env", "built-in", or what a layer is called."""

    option: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Live:
    """A pod that exists. made: the record of its injection, None where it has none. differs: what an injection today
    would write otherwise, as JSON Pointers; None where there would be none. refused: whether it would be refused today.
    """

    made: Record | None
    digest: str
    differs: tuple[str, ...] | None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """code: of `Reason`, or "NotAsked", "ConditionFailed", "NotKnown", "SlippedThrough", which no webhook answers.

    parts: what is, or would be, put in. rules: each rule of the policy, and why it does not hold, "" where it does.
    """

    subject: Subject
    labels: Mapping[str, str] | None
    verdicts: Sequence[Verdict]
    result: Result
    code: str
    sentence: str
    advice: str
    outcome: Outcome
    values: Sequence[Value]
    parts: Lines
    live: Live | None
    rules: Sequence[tuple[str, str]] = ()

    @property
    def warnings(self) -> list[str]:
        """Of the workload, and then of its pods."""
        kind = self.subject.resource.kind
        misplaced = (f"{name} does nothing in {where} of the {kind}" for name, where in self.subject.misplaced.items())
        return [*misplaced, *self.outcome.warnings]


def explain(
    subject: Subject, entries: Sequence[Entry], around: Surroundings, namespace: Namespace | None
) -> Explanation:
    """Everything about one workload. namespace: None where nothing is known of it."""
    name, labels = subject.namespace, namespace.labels if namespace else None
    decided = verdicts(entries, subject.requests(labels))
    sent = any(v.match is Match.SENT for v in _asked(decided))
    found = (around.seen if sent else around.known)(name, namespace, subject.template)
    situation = replace(found, claim_templates=subject.claims)
    pod = _fresh(subject.template)
    outcome = _outcome(pod, situation)
    result, code, sentence, advice = _result(decided, outcome)
    if subject.stored and result is Result.INJECTED and record.read(_annotations(pod)) is None:
        result, code, sentence, advice = Result.LEFT_ALONE, *SLIPPED_THROUGH
    return Explanation(
        subject,
        labels,
        decided,
        result,
        code,
        sentence,
        advice,
        outcome,
        values(outcome.spec) if outcome.spec else (),
        _parts(pod, outcome),
        live(pod, outcome) if subject.stored else None,
        _rules(around, situation, subject.template),
    )


def live(pod: Pod, outcome: Outcome) -> Live:
    """How a pod that exists compares with what `outcome`, a fresh injection, makes of it."""
    made = record.read(_annotations(pod))
    if outcome.reason is Reason.ALREADY_CURRENT:
        return Live(made, made.digest if made else "", ())
    if outcome.reason is not Reason.INJECTED:
        return Live(made, "", None, refused=bool(outcome.problems))
    fresh = record.read(_annotations(apply(pod, outcome.operations)))
    paths = tuple(str(o["path"]) for o in outcome.operations)
    return Live(made, fresh.digest if fresh else "", paths)


def current(pod: Pod, situation: Situation) -> Live:
    """The same for a pod as it is stored, whatever its peers are by now."""
    fresh = _fresh(pod)
    return live(fresh, _outcome(fresh, situation))


def values(spec: SupervisorSpec) -> list[Value]:
    """Every setting that has a value, in the order of the documentation."""
    found = [Value("service", spec.service, spec.sources.get("service") or spec.sources.get("package", BUILT_IN))]
    for option in REGISTRY:
        value = getattr(spec.options, option.field)
        if option.name != "service" and value not in (None, "", ()):
            found.append(Value(option.name, _text(value), spec.sources.get(option.field, BUILT_IN)))
    return found


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple() | list() | frozenset():
            return ", ".join(map(_text, value))
        case Mapping():
            return ", ".join(f"{k}={_text(v)}" for k, v in value.items())
        case _:
            return str(value)


def _outcome(pod: Pod, situation: Situation) -> Outcome:
    """As the webhook does it; a manifest that the API server would refuse is told what is wrong with it."""
    if decide(pod, situation) is None and (problems := tuple(problems_of(pod, ""))):
        return Outcome(Reason.INVALID, [], problems=problems, docs_url=situation.settings.docs_url)
    return inject(pod, situation)


def _result(decided: Sequence[Verdict], outcome: Outcome) -> tuple[Result, str, str, str]:
    asked = _asked(decided)
    reason = outcome.reason
    own = reason.code, reason.sentence, reason.advice
    failed = next((v for v in asked if v.match is Match.REFUSED), None)
    if failed:
        return Result.REFUSED, "ConditionFailed", f"Entry {failed.entry.name}: {failed.why}.", "Mend the configuration."
    if any(v.match is Match.SENT for v in asked):
        if outcome.problems:
            return Result.REFUSED, *own
        return (Result.INJECTED if reason in _INJECTING else Result.LEFT_ALONE), *own
    if reason not in _INJECTING and not outcome.problems:
        return Result.LEFT_ALONE, *own
    unknown = next((v for v in asked if v.match is Match.UNKNOWN), None)
    if unknown:
        sentence = f"Whether the API server asks the webhook is not known: {unknown.entry.name}: {unknown.why}."
        return Result.UNKNOWN, "NotKnown", sentence, f"If it does: {reason.code}: {reason.sentence}"
    if not asked:
        return Result.LEFT_ALONE, "NotAsked", "There is no webhook entry for pods.", "Is habitat-webhook installed?"
    sentence = "The API server does not ask the webhook: no entry selects the pod."
    return Result.LEFT_ALONE, "NotAsked", sentence, "The first line of each entry says what it wants."


def _rules(around: Surroundings, situation: Situation, pod: Pod) -> tuple[tuple[str, str], ...]:
    if around.policy is None:
        return ()
    found = around.policy.verdicts(pod, situation.namespace, situation.namespace_labels)
    return tuple((rule.name, why) for rule, why in found)


def _asked(decided: Sequence[Verdict]) -> list[Verdict]:
    """About the entries that may change the pod."""
    return [v for v in decided if v.entry.mutating and v.request.resource is POD]


def _parts(pod: Pod, outcome: Outcome) -> Lines:
    if outcome.reason not in _INJECTING:
        return {}
    return parts(apply(pod, outcome.operations), outcome.container)


def _fresh(pod: Pod) -> Pod:
    """A pod without the peers that it has been given since: they are no part of an injection."""
    annotations = _annotations(pod)
    if not annotations.get(PEERS):
        return pod
    return {**pod, "metadata": {**mapping(pod, "metadata"), "annotations": {**annotations, PEERS: ""}}}


def _annotations(pod: Pod) -> Mapping[str, Any]:
    return mapping(mapping(pod, "metadata"), "annotations")

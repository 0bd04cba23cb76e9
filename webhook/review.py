"""The AdmissionReview contract, `admission.k8s.io/v1`: bytes in, bytes out, the engine in between.

What the API server checks of an answer is in `admission.md §0.2`: the uid must be the request's, apiVersion and kind
must be echoed, and a patch without patchType, or the reverse, fails the whole call. So both are left out where nothing
changes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from webhook.decide import Reason, Rules, Situation, mapping
from webhook.inject import Outcome, inject
from webhook.problems import Unmet, caution, shown
from webhook.workloads import Found

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"

WARNINGS_SENT = 6
"""kubectl prints each on a line of its own; more would hide the first."""

_AUDIT_LIMIT = 1000
RULES_LOGGED = 20
_UNPROCESSABLE = 422
_NO_POD = caution("habitat-webhook was asked about something that is not a Pod; its rules should name pods alone")


class ReviewError(Exception):
    """The body is no review that can be answered; the HTTP status is 400 and the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the webhook reads of `request` (kubernetes/api admission/v1 AdmissionRequest).

    pod: `request.object` as it came, {} when there is none (DELETE). owner: "ReplicaSet/redis-5d8f" by the controlling
    ownerReference, else "Pod/<generateName or name>". claim_templates: as in Situation.
    """

    uid: str
    namespace: str
    operation: str
    subresource: str
    pod: dict[str, Any]
    owner: str
    name: str
    dry_run: bool
    claim_templates: frozenset[str]


@dataclass(frozen=True, slots=True)
class WorkloadRequest(Request):
    """The same about a workload: `pod` is its pod template, and `operation` CREATE, since its pods will be created.

    verb: what is done to the workload. workload: as it is to be. before: as it was, None when it is created.
    """

    verb: str
    workload: Found
    before: Found | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is worth a log line and a metric. Holds no value of an annotation or of a variable.

    decision: allow and deny of a workload, the others of a pod. reason: a code of `Reason`. cautions: codes of what a
    workload's author was warned about. ops: operations of the patch. problems: where the mistakes are, by annotation or
    field. policy: the generation that decided, "" without one. rules: those that were applied. unmet: those the pod
    does not meet.
    """

    uid: str
    namespace: str
    owner: str
    operation: str
    decision: Literal["inject", "skip", "allow", "deny"]
    reason: str
    container: str
    ops: int
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    dry_run: bool
    cautions: tuple[str, ...] = ()
    policy: str = ""
    rules: tuple[str, ...] = ()
    unmet: tuple[Unmet, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, JSON body, and the decision behind it."""

    status: int
    body: bytes
    decision: Decision


def read(body: bytes) -> Request:
    """The request of a pod's review. Raises ReviewError: not JSON, another kind or version, no request, no object."""
    return _request(_review(body))


def read_workload(body: bytes) -> WorkloadRequest:
    """The same of a workload. Raises ReviewError, also for a kind that makes no pods."""
    raw = _review(body)
    base = _request(raw)
    workload = _found(base.pod)
    template = workload.template
    if not workload.template_path or not isinstance(template, dict):
        raise ReviewError(
            f"request.object is {shown(workload.kind)}, which has no pod template that could be looked at"
        )
    before = raw.get("oldObject")
    return WorkloadRequest(
        uid=base.uid,
        namespace=base.namespace,
        operation="CREATE",
        subresource=base.subresource,
        pod=template,
        owner=base.owner,
        name=base.name,
        dry_run=base.dry_run,
        claim_templates=workload.claim_templates,
        verb=base.operation,
        workload=workload,
        before=_found(before) if isinstance(before, dict) and before else None,
    )


def _found(value: Mapping[str, Any]) -> Found:
    return Found(value, (), _text(value, "apiVersion"), _text(value, "kind"))


def _review(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ReviewError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ReviewError(f"the body is not a JSON object; send a {KIND} of {API_VERSION}")
    if document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        got = f"kind {shown(document.get('kind') or '')}, apiVersion {shown(document.get('apiVersion') or '')}"
        raise ReviewError(
            f"the body is {got}; allowed: kind {KIND}, apiVersion {API_VERSION} "
            '(admissionReviewVersions: ["v1"] in the webhook configuration)'
        )
    request = document.get("request")
    if not isinstance(request, dict):
        raise ReviewError("the review has no request; the API server fills it in, a response alone is not enough")
    return request


def _request(request: dict[str, Any]) -> Request:
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise ReviewError("request.uid is not a text, or empty; the answer has to echo it")
    operation = _text(request, "operation") or "CREATE"
    pod = request.get("object")
    if pod is None and operation != "CREATE":
        pod = {}
    elif not isinstance(pod, dict) or not pod:
        raise ReviewError("request.object is not an object, or empty; for a pod it holds metadata and spec")
    metadata = mapping(pod, "metadata")
    name = _text(metadata, "name") or _text(metadata, "generateName") or _text(request, "name")
    return Request(
        uid=uid,
        namespace=_text(request, "namespace") or _text(metadata, "namespace") or "default",
        operation=operation,
        subresource=_text(request, "subResource"),
        pod=pod,
        owner=_owner(metadata) or f"{_text(pod, 'kind') or 'Pod'}/{name}",
        name=name,
        dry_run=request.get("dryRun") is True,
        claim_templates=frozenset(),
    )


def _text(parent: Mapping[str, Any], key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _owner(metadata: Mapping[str, Any]) -> str:
    references = metadata.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("controller"):
            return f"{_text(reference, 'kind')}/{_text(reference, 'name')}"
    return ""


def answer(request: Request, situation: Situation) -> Answer:
    """Inject, and say it in the API server's terms.

    What is raised here is our own mistake, for which the server answers HTTP 500, so that the failure policy decides
    (`admission.md §0.1`).
    """
    outcome = inject(request.pod, situation)
    warnings = (_NO_POD,) if outcome.reason is Reason.NOT_A_POD else handful(outcome.warnings)
    audit = {"reason": outcome.reason.code}
    if outcome.container:
        audit["container"] = outcome.container
    audit |= of_policy(situation.rules, outcome)
    if outcome.warnings:
        audit["warnings"] = "\n".join(outcome.warnings)  # eight of 120 characters at most, and nothing secret
    if outcome.problems:
        audit["problems"] = ",".join(p.where for p in outcome.problems)[:_AUDIT_LIMIT]
    response: dict[str, Any] = {"uid": request.uid, "allowed": not outcome.problems}
    if outcome.problems:
        causes = [(p.field, outcome.explained(p)) for p in outcome.problems]
        response["status"] = denial("Pod", request.name, outcome.message(), causes)
    elif outcome.operations:
        response["patchType"] = "JSONPatch"
        response["patch"] = b64encode(orjson.dumps(outcome.operations)).decode()
    if warnings:
        response["warnings"] = warnings
    response["auditAnnotations"] = audit
    return Answer(200, envelope(response), _decision(request, outcome, warnings, situation.rules))


def of_policy(rules: Rules, outcome: Outcome) -> dict[str, str]:
    """What the audit log keeps of the policy: its generation, the rules that were applied, what they want recorded."""
    if not rules.generation:
        return {}
    said = {"policy-rules": ",".join(rules.matched), "policy-audit": "\n".join(outcome.audit)}
    return {"policy": rules.generation} | {key: text[:_AUDIT_LIMIT] for key, text in said.items() if text}


def envelope(response: Mapping[str, Any]) -> bytes:
    """The review that is sent back."""
    return orjson.dumps({"kind": KIND, "apiVersion": API_VERSION, "response": response})


def denial(kind: str, name: str, message: str, causes: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A metav1.Status as the API server's own validation gives it: kubectl prints the causes, not the message.

    causes: field path and sentence of each.
    """
    return {
        "status": "Failure",
        "code": _UNPROCESSABLE,
        "reason": "Invalid",
        "message": message,
        "details": {
            "kind": kind,
            "name": name,
            "causes": [{"reason": "FieldValueInvalid", "field": field, "message": text} for field, text in causes],
        },
    }


def handful(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """At most WARNINGS_SENT; the last one counts those that are left out."""
    if len(warnings) <= WARNINGS_SENT:
        return warnings
    first = warnings[: WARNINGS_SENT - 1]
    return (*first, f"and {len(warnings) - len(first)} more warnings; habitat-webhook inject -f FILE lists them all")


def _decision(request: Request, outcome: Outcome, warnings: tuple[str, ...], rules: Rules) -> Decision:
    return Decision(
        uid=request.uid,
        namespace=request.namespace,
        owner=request.owner,
        operation=request.operation,
        decision="deny" if outcome.problems else "inject" if outcome.operations else "skip",
        reason=outcome.reason.code,
        container=outcome.container,
        ops=len(outcome.operations),
        warnings=warnings,
        problems=tuple(p.where for p in outcome.problems),
        dry_run=request.dry_run,
        policy=rules.generation,
        rules=rules.matched[:RULES_LOGGED],
        unmet=outcome.unmet,
    )

"""The warnings about workloads, without a cluster."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.advise.workloads import CASES, LEADER, MISTAKES, SERVICE, workload
from tests.support.reviews import encoded, review
from webhook.advise.cautions import CAUTIONS
from webhook.advise.review import CODES, answer
from webhook.decide import Situation
from webhook.review import Answer, ReviewError, read_workload

ENABLED = {"habitat.sh/injection": "enabled"}


def answered(made: dict[str, Any], *, before: dict[str, Any] | None = None, **labels: str) -> Answer:
    body = encoded(review(made, operation="UPDATE" if before else "CREATE", oldObject=before))
    request = read_workload(body)
    situation = Situation(
        request.namespace, claim_templates=request.claim_templates, namespace_labels=labels or ENABLED
    )
    return answer(request, situation)


def codes(made: dict[str, Any], **labels: str) -> tuple[str, ...]:
    return answered(made, **labels).decision.cautions


ONE_EACH = {
    "NamespaceNotEnabled": (workload(), {"team": "a"}),
    "MisplacedAnnotation": (CASES["annotated on the workload"], {}),
    "NotAnnotated": (CASES["no service named"], {}),
    "LeaderTooFew": (CASES["a leader of two"], {}),
    "LeaderLosesQuorum": (CASES["a leader whose update ends half"], {}),
    "JobNeverCompletes": (CASES["a job"], {}),
    "GraceTooShort": (CASES["too little time to stop"], {}),
}


@pytest.mark.parametrize("code", [caution.code for caution in CAUTIONS])
def test_each_caution_is_found(code: str) -> None:
    made, labels = ONE_EACH[code]
    assert codes(made, **labels) == (code,)


def test_codes_are_distinct() -> None:
    assert len(set(CODES)) == len(CODES)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_a_workload_that_is_well_has_nothing_said_of_it(kind: str) -> None:
    result = answered(workload(kind))
    response = json.loads(result.body)["response"]
    assert (response["allowed"], "warnings" in response, "patch" in response) == (True, False, False)
    assert result.decision.cautions == ()


ROLLING: list[tuple[str, dict[str, Any], bool]] = [
    ("Deployment", {"replicas": 3}, False),
    ("Deployment", {"replicas": 3, "strategy": {"type": "Recreate"}}, False),
    ("Deployment", {"replicas": 3, "strategy": {"rollingUpdate": {"maxUnavailable": 1}}}, False),
    ("Deployment", {"replicas": 3, "strategy": {"rollingUpdate": {"maxUnavailable": 2}}}, True),
    ("Deployment", {"replicas": 5, "strategy": {"rollingUpdate": {"maxUnavailable": "59%"}}}, False),
    ("Deployment", {"replicas": 5, "strategy": {"rollingUpdate": {"maxUnavailable": "60%"}}}, True),
    ("StatefulSet", {"replicas": 3}, False),
    ("StatefulSet", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}, True),
    ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, False),
]


@pytest.mark.parametrize(("kind", "spec", "loses"), ROLLING)
def test_an_update_has_to_leave_a_majority(kind: str, spec: dict[str, Any], loses: bool) -> None:
    assert codes(workload(kind, LEADER, **copy.deepcopy(spec))) == (("LeaderLosesQuorum",) if loses else ())


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_leader_may_be_switched_off_or_have_company(count: int) -> None:
    assert codes(workload(annotations=LEADER, replicas=count)) == ()


@pytest.mark.parametrize("name", ["habitat.sh/injected", "habitat.sh/peers", "habitat.sh/unrelated-to-anything"])
def test_annotations_of_the_systems_own_and_of_strangers_may_stand_anywhere(name: str) -> None:
    assert codes(workload(own={name: "x"})) == ()


def test_an_annotation_that_stands_in_both_places_is_no_mistake() -> None:
    assert codes(workload(own=SERVICE)) == ()


def test_an_update_that_brings_a_mistake_is_refused_and_another_is_not() -> None:
    bad = workload(annotations=MISTAKES)
    assert answered(bad, before=workload()).decision.decision == "deny"
    again = answered(bad | {"metadata": {"name": "web", "labels": {"a": "b"}}}, before=bad)
    assert (again.decision.decision, again.decision.cautions) == ("allow", ("NotInjectable",))
    assert not [text for text in again.decision.warnings if "a b" in text], "a value would be in the log"


def test_a_workload_that_is_being_deleted_is_never_refused() -> None:
    bad = workload(annotations=MISTAKES)
    bad["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    result = answered(bad, before=workload())
    assert (result.decision.decision, result.decision.warnings) == ("allow", ())


def test_claim_templates_count_as_volumes_of_the_pods() -> None:
    claims = [{"metadata": {"name": "data"}}]
    made = workload("StatefulSet", SERVICE | {"habitat.sh/data-volume": "data"}, volumeClaimTemplates=claims)
    assert answered(made).decision.decision == "allow"
    del made["spec"]["volumeClaimTemplates"]
    assert answered(made).decision.decision == "deny"


@pytest.mark.parametrize(
    "made",
    [{"apiVersion": "v1", "kind": "Pod", "spec": {}}, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}],
)
def test_what_has_no_pod_template_is_no_review_of_a_workload(made: dict[str, Any]) -> None:
    with pytest.raises(ReviewError, match="no pod template"):
        read_workload(encoded(review(made)))

"""The AdmissionReview contract, without a server."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from tests.support.reviews import SERVICE, answered, encoded, pod, review
from webhook.decide import Settings
from webhook.inject import Situation, apply, inject
from webhook.options import PREFIX
from webhook.review import Answer, ReviewError, read
from webhook.server.settings import ServeSettings

SETTINGS = Settings(own_namespace="habitat-system")


def answer(obj: Any = None, **request: Any) -> Answer:
    return answered(encoded(review(obj, **request)), SETTINGS)


def response(obj: Any = None, **request: Any) -> dict[str, Any]:
    document = json.loads(answer(obj, **request).body)
    assert document.keys() == {"kind", "apiVersion", "response"}
    result: dict[str, Any] = document["response"]
    return result


def test_answer_echoes_uid_version_and_kind() -> None:
    document = json.loads(answer(uid="705ab4f5").body)
    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert document["response"]["uid"] == "705ab4f5"


def test_patch_makes_the_pod_that_the_engine_makes() -> None:
    operations = json.loads(base64.b64decode(response()["patch"]))
    expected = inject(pod(), Situation(namespace="shop", settings=SETTINGS)).operations
    assert operations == json.loads(orjson.dumps(expected))
    assert apply(pod(), operations) == apply(pod(), expected)


def test_patch_and_patch_type_come_together() -> None:
    result = response()
    assert result["patchType"] == "JSONPatch"
    assert result["allowed"] is True
    assert "status" not in result


@pytest.mark.parametrize(
    ("obj", "request_fields", "reason"),
    [
        (pod({}), {}, "NotAnnotated"),
        (pod(SERVICE | {"habitat.sh/inject": "false"}), {}, "OptedOut"),
        (pod(SERVICE | {"kubernetes.io/config.mirror": "x"}), {}, "MirrorPod"),
        (pod(), {"namespace": "kube-system"}, "NamespaceExcluded"),
        (pod(), {"namespace": "habitat-system"}, "NamespaceExcluded"),
        (pod(), {"operation": "UPDATE"}, "NotCreated"),
        (pod(), {"operation": "UPDATE", "subResource": "ephemeralcontainers"}, "EphemeralUpdate"),
        ({"kind": "Deployment", "apiVersion": "apps/v1"}, {}, "NotAPod"),
        ({"kind": "Binding", "apiVersion": "v1"}, {"subResource": "binding"}, "NotAPod"),
    ],
)
def test_what_is_left_alone_is_allowed_without_patch(obj: Any, request_fields: dict[str, Any], reason: str) -> None:
    result = response(obj, **request_fields)
    assert result["allowed"] is True
    assert not {"patch", "patchType", "status"} & result.keys()
    assert result["auditAnnotations"] == {"reason": reason}


def test_deletion_has_no_object_and_is_allowed() -> None:
    body = review(operation="DELETE")
    body["request"]["object"] = None
    result = json.loads(answered(encoded(body), SETTINGS).body)["response"]
    assert (result["allowed"], result["auditAnnotations"]) == (True, {"reason": "NotCreated"})


def test_what_is_no_pod_is_allowed_with_a_warning_since_it_is_not_the_users_mistake() -> None:
    result = response({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}})
    assert result["allowed"] is True
    assert "not a Pod" in result["warnings"][0]
    assert len(result["warnings"][0]) <= 120


def test_pod_injected_already_gets_no_patch() -> None:
    injected = apply(pod(), inject(pod(), Situation(namespace="shop", settings=SETTINGS)).operations)
    result = response(injected)
    assert result["auditAnnotations"]["reason"] == "AlreadyCurrent"
    assert not {"patch", "patchType"} & result.keys()


def test_audit_annotations_say_what_was_decided_and_what_nobody_may_have_read() -> None:
    quiet = response(pod(SERVICE | {"habitat.sh/license": "accept"}))
    assert quiet["auditAnnotations"] == {"reason": "Injected", "container": "redis"}
    warned = response(pod(SERVICE | {"habitat.sh/topologie": "leader"}))
    assert warned["auditAnnotations"]["warnings"].split("\n") == warned["warnings"]
    refused = response(pod(SERVICE | {"habitat.sh/topology": "ring", "habitat.sh/group": "a b"}))
    assert refused["auditAnnotations"]["problems"].split(",") == ["habitat.sh/topology", "habitat.sh/group"]
    assert "a b" not in str(refused["auditAnnotations"])


def test_all_mistakes_are_said_at_once_in_a_422() -> None:
    wrong = {"habitat.sh/topology": "ring", "habitat.sh/gossip-port": "99999", "habitat.sh/group": "a b"}
    result = response(pod(SERVICE | wrong))
    assert result["allowed"] is False
    assert not {"patch", "patchType"} & result.keys()
    status = result["status"]
    assert (status["status"], status["code"], status["reason"]) == ("Failure", 422, "Invalid")
    assert (status["details"]["kind"], status["details"]["name"]) == ("Pod", "redis-5d8f-")
    causes = {cause["field"]: cause["message"] for cause in status["details"]["causes"]}
    assert causes.keys() == {f"metadata.annotations[{name}]" for name in wrong}
    for name, value in wrong.items():
        assert name in status["message"]
        assert value in status["message"]
        assert value in causes[f"metadata.annotations[{name}]"]
        assert "allowed" in causes[f"metadata.annotations[{name}]"]
    assert SETTINGS.docs_url in status["message"]


def test_two_hundred_problems_fit_one_answer() -> None:
    peers = ",".join(f"-bad{n}" for n in range(200))
    binds = ",".join(f"bind{n}" for n in range(200))
    result = response(pod(SERVICE | {"habitat.sh/peer": peers, "habitat.sh/bind": binds, "habitat.sh/topology": "x"}))
    assert len(result["status"]["details"]["causes"]) >= 3
    assert len(answer_bytes := orjson.dumps(result)) < 20_000, answer_bytes[:200]


def test_unknown_annotation_is_a_short_warning() -> None:
    warnings = response(pod(SERVICE | {"habitat.sh/topolgy": "leader"}))["warnings"]
    assert any("habitat.sh/topolgy" in warning and "topology" in warning for warning in warnings)
    assert all(len(warning) <= 120 for warning in warnings)


def test_there_are_at_most_a_handful_of_warnings() -> None:
    unknown = {f"{PREFIX}unheard-of-{n}": "x" for n in range(30)}
    warnings = response(pod(SERVICE | unknown))["warnings"]
    assert 1 < len(warnings) <= 8
    assert all(len(warning) <= 120 for warning in warnings)


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "🦀", "x" * 200 * 1024, "$(HOME)", ""])
@pytest.mark.parametrize("name", ["service", "group", "topology", "bind", "config", "peer", "gossip-port", "inject"])
def test_strange_values_are_answered_whatever_they_are(name: str, value: str) -> None:
    result = response(pod(SERVICE | {PREFIX + name: value}))
    assert isinstance(result["allowed"], bool)
    assert len(orjson.dumps(result)) < 1024 * 1024
    if not result["allowed"]:
        assert len(result["status"]["message"]) < 2000, "a value is shortened where it is shown"


def test_dry_run_is_answered_alike_and_told_in_the_decision() -> None:
    wet, dry = (answer(uid="x", dryRun=value) for value in (False, True))
    assert wet.body == dry.body
    assert (wet.decision.dry_run, dry.decision.dry_run) == (False, True)


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({}, "ReplicaSet/redis-5d8f"),
        ({"ownerReferences": None}, "Pod/redis-5d8f-"),
        ({"ownerReferences": []}, "Pod/redis-5d8f-"),
        ({"ownerReferences": [{"kind": "Node", "name": "n", "controller": False}]}, "Pod/redis-5d8f-"),
        ({"ownerReferences": "odd", "name": "redis", "generateName": ""}, "Pod/redis"),
    ],
)
def test_owner_is_the_controller_or_the_pods_own_name(metadata: dict[str, Any], owner: str) -> None:
    assert answer(pod(**metadata)).decision.owner == owner


def test_namespace_is_the_requests_when_the_pod_has_none() -> None:
    assert answer(pod(), namespace="shop").decision.namespace == "shop"


def test_decision_tells_how_the_pod_was_decided_without_its_values() -> None:
    decision = answer(pod(SERVICE | {"habitat.sh/topology": "hunter2"})).decision
    assert (decision.decision, decision.reason, decision.ops) == ("deny", "Invalid", 0)
    assert decision.problems == ("habitat.sh/topology",)
    assert "hunter2" not in repr(decision)
    assert answer().decision.decision == "inject"
    assert answer().decision.ops > 5
    assert answer(pod({})).decision.decision == "skip"


@pytest.mark.parametrize("field", ["metadata", "spec", "status"])
@pytest.mark.parametrize("value", [None, [], "text", 7])
def test_malformed_parts_of_a_pod_are_answered_not_raised(field: str, value: Any) -> None:
    assert answer(pod() | {field: value}).status == 200


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 2000, "not JSON"),
        (b"\0", "not JSON"),
        (b"null", "not a JSON object"),
        (encoded([]), "not a JSON object"),
        (encoded({}), "kind AdmissionReview, apiVersion admission.k8s.io/v1"),
        (encoded(review() | {"apiVersion": "admission.k8s.io/v1beta1"}), 'admissionReviewVersions: ["v1"]'),
        (encoded(review() | {"kind": "Pod"}), "AdmissionReview"),
        (encoded(review() | {"request": None}), "no request"),
        (encoded(review() | {"request": {}}), "request.uid"),
        (encoded(review() | {"request": {"uid": 7}}), "request.uid"),
        (encoded(review() | {"request": {"uid": "x"}}), "request.object"),
        (encoded(review({})), "request.object"),
        (encoded(review("pod")), "request.object"),
    ],
)
def test_what_is_no_review_is_a_review_error_that_says_why(document: bytes, words: str) -> None:
    with pytest.raises(ReviewError) as raised:
        read(document)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 400


def test_engine_settings_come_from_the_servers() -> None:
    settings = ServeSettings(own_namespace="hab", cluster_domain="k8s.test", docs_url="https://docs.test/").engine()
    assert (settings.own_namespace, settings.cluster_domain) == ("hab", "k8s.test")
    assert settings.docs_url == "https://docs.test"

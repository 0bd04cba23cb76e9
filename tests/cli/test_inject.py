"""`habitat-webhook inject`: which objects are changed, how, and what is said of each."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.running import DEPLOYMENT, SERVICE, inject, jsons, template, values
from tests.cli.test_scalars import TEXTS
from webhook.inject import Reason, Situation, apply
from webhook.inject import inject as inject_pod


def by_engine(pod: dict[str, Any], namespace: str = "shop", claims: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the webhook makes of a pod."""
    outcome = inject_pod(pod, Situation(namespace=namespace, claim_templates=claims))
    assert outcome.operations, outcome.message()
    return apply(pod, outcome.operations)


WORKLOADS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Pod": ("v1", ()),
    "PodTemplate": ("v1", ("template",)),
    "ReplicationController": ("v1", ("spec", "template")),
    "Deployment": ("apps/v1", ("spec", "template")),
    "StatefulSet": ("apps/v1", ("spec", "template")),
    "DaemonSet": ("apps/v1", ("spec", "template")),
    "ReplicaSet": ("apps/v1", ("spec", "template")),
    "Job": ("batch/v1", ("spec", "template")),
    "CronJob": ("batch/v1", ("spec", "jobTemplate", "spec", "template")),
}


def workload(kind: str, pod_template: dict[str, Any]) -> dict[str, Any]:
    api_version, path = WORKLOADS[kind]
    inner: Any = pod_template
    for step in reversed(path):
        inner = {step: inner}
    whole: dict[str, Any] = {"apiVersion": api_version, "kind": kind, **inner}
    whole["metadata"] = {"name": "redis", "namespace": "shop"} | whole.get("metadata", {})
    return whole


def within(value: dict[str, Any], path: tuple[str, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("kind", WORKLOADS)
def test_pod_template_of_every_workload_becomes_what_the_webhook_makes_of_its_pods(kind: str) -> None:
    before = workload(kind, template())
    result = inject(json.dumps(before))
    (after,) = jsons(result.stdout)
    path = WORKLOADS[kind][1]
    assert within(after, path) == by_engine(within(before, path))
    assert result.exit_code == 0
    assert result.stderr.startswith(f"{kind}/redis: injected into container redis: ")
    if path:
        within(after, path[:-1])[path[-1]] = template()
        assert after == before


def test_statefulset_s_claim_templates_count_as_volumes() -> None:
    pod_template = template(data_volume="data")
    stateful = workload("StatefulSet", pod_template)
    stateful["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    result = inject(json.dumps(stateful))
    (after,) = jsons(result.stdout)
    assert after["spec"]["template"] == by_engine(pod_template, claims=frozenset({"data"}))
    del stateful["spec"]["volumeClaimTemplates"]
    assert inject(json.dumps(stateful)).exit_code == 1


def test_ring_of_another_namespace_is_taken_with_a_warning_where_it_is_not_said_what_is_shared() -> None:
    result = inject(json.dumps(workload("Deployment", template(ring="shared.infra"))))
    assert result.exit_code == 0
    assert "the webhook refuses shared.infra unless its --shared-rings lists it" in result.stderr
    (after,) = jsons(result.stdout)
    assert after["spec"]["template"]["metadata"]["labels"]["habitat.sh/ring"] == "shared.infra"


@pytest.mark.parametrize(("listed", "status"), [("shared.infra,logs.platform", 0), ("logs.platform", 1), ("", 1)])
def test_with_the_list_of_shared_rings_inject_decides_as_the_webhook_does(listed: str, status: int) -> None:
    text = json.dumps(workload("Deployment", template(ring="shared.infra")))
    result = inject(text, "--shared-rings", listed)
    assert result.exit_code == status
    assert ("not shared with others" in result.stderr) == bool(status)
    assert "warning" not in result.stderr


def test_list_of_shared_rings_that_cannot_be_is_wrong_usage() -> None:
    result = inject(json.dumps(workload("Deployment", template())), "--shared-rings", "shared")
    assert result.exit_code == 2
    assert "allowed: name.namespace of each ring" in " ".join(result.stderr.split())


def test_comments_and_quoting_of_the_changed_document_stay_and_others_are_untouched() -> None:
    text = f"# licence\n---\n{SERVICE}---\n# the ring\n{DEPLOYMENT}# the end\n"
    result = inject(text)
    assert result.exit_code == 0
    lines = iter(result.stdout.splitlines())
    assert all(line in lines for line in text.splitlines()), "a line of the input is gone or moved"
    assert result.stdout.startswith(f"# licence\n---\n{SERVICE}---\n# the ring\n")
    before, after = values(text), values(result.stdout)
    assert after[0] == before[0]
    assert after[1]["spec"]["template"] == by_engine(before[1]["spec"]["template"])


def test_report_names_every_object_with_its_reason() -> None:
    bare = {"metadata": {}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    parts = [json.dumps(workload("Deployment", t)) for t in (template(), bare, template(inject="false"))]
    text = "\n---\n".join([*parts, "{a: 1}", SERVICE, ""])
    result = inject(text)
    assert result.stderr.splitlines() == [
        f"Deployment/redis: injected into container redis: {operations(parts[0])} operations",
        f"Deployment/redis: skipped: NotAnnotated: {Reason.NOT_ANNOTATED.sentence} {Reason.NOT_ANNOTATED.advice}",
        f"Deployment/redis: skipped: OptedOut: {Reason.OPTED_OUT.sentence} {Reason.OPTED_OUT.advice}",
        "standard input, document 4: skipped: NotAnObject: it has no kind, so it is not a Kubernetes object.",
        "Service/redis: skipped: NotAWorkload: a Service makes no pods.",
        "5 objects: 1 injected, 4 skipped",
    ]


def operations(text: str) -> int:
    (patch,) = jsons(inject(text, "-o", "patch").stdout)
    return len(patch["patch"])


def test_invalid_annotations_are_all_said_and_nothing_is_written() -> None:
    wrong = workload("Deployment", template(group="a b", gossip_port="99999", topology="ring"))
    result = inject(f"{DEPLOYMENT}---\n{json.dumps(wrong)}\n")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Deployment/redis: injected")
    assert lines[1] == "Deployment/redis: cannot be injected, 3 problems:"
    problems = {line.split(": ")[1]: line for line in lines[2:5]}
    assert problems.keys() == {"habitat.sh/group", "habitat.sh/topology", "habitat.sh/gossip-port"}
    assert '"a b"' in problems["habitat.sh/group"]
    assert "annotations.md#group" in problems["habitat.sh/group"]
    assert lines[-2] == "2 objects: 1 injected, 0 skipped, 1 with errors"
    assert lines[-1] == "nothing is written to standard output: mend the 3 errors above first"


def test_workload_without_a_pod_template_is_an_error_with_its_place() -> None:
    result = inject(
        f"{SERVICE}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{template: }}\n"
    )
    assert result.exit_code == 1
    assert "Deployment/x: error" in result.stderr
    assert (
        "spec.template: there is no pod template; write one, or leave the object out (standard input, document 2)"
        in (result.stderr)
    )


def test_annotation_above_the_pod_template_is_warned_of() -> None:
    cron = workload("CronJob", template())
    cron["metadata"]["annotations"] = {"habitat.sh/group": "prod", "other": "x"}
    cron["spec"]["jobTemplate"]["metadata"] = {"annotations": {"habitat.sh/ring": "a"}}
    report = inject(json.dumps(cron), "-o", "report").stdout
    to = "move it to spec.jobTemplate.spec.template.metadata.annotations"
    assert f"warning: habitat.sh/group does nothing in metadata.annotations of the CronJob: {to}" in report
    assert f"habitat.sh/ring does nothing in spec.jobTemplate.metadata.annotations of the CronJob: {to}" in report
    assert "other" not in report


def test_annotation_above_a_template_that_is_not_annotated_is_warned_of_too() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, annotations: {habitat.sh/service: redis}}\n"
    result = inject(text + "spec: {template: {spec: {containers: [{name: a}]}}}\n")
    assert "skipped: NotAnnotated" in result.stderr
    assert "habitat.sh/service does nothing in metadata.annotations of the Deployment" in result.stderr


def test_annotations_of_a_pod_itself_are_in_their_place() -> None:
    assert "does nothing" not in inject(json.dumps(workload("Pod", template()))).stderr


def test_engine_s_warnings_are_in_the_report() -> None:
    spec = template()
    spec["spec"]["hostNetwork"] = True
    result = inject(json.dumps(workload("Deployment", spec)))
    assert result.exit_code == 0
    assert "\n  warning: " in result.stderr


def test_items_of_lists_are_injected_where_they_stand() -> None:
    bare = workload("Deployment", template())
    untyped = {k: v for k, v in bare.items() if k not in ("kind", "apiVersion")}
    typed = {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [untyped]}
    whole = {"apiVersion": "v1", "kind": "List", "items": [values(SERVICE)[0], bare, typed, None]}
    result = inject(json.dumps(whole))
    (after,) = jsons(result.stdout)
    injected = by_engine(template())
    assert after["items"][0] == whole["items"][0]
    assert after["items"][1]["spec"]["template"] == injected
    assert after["items"][2]["items"][0]["spec"]["template"] == injected
    assert after["items"][3] is None
    assert "4 objects: 2 injected, 2 skipped" in result.stderr


def test_kinds_of_other_api_groups_are_not_taken_for_workloads() -> None:
    foreign = workload("StatefulSet", template()) | {"apiVersion": "apps.kruise.io/v1"}
    assert "skipped: NotAWorkload: a StatefulSet makes no pods" in inject(json.dumps(foreign)).stderr
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "x"}}
    assert "NotAWorkload" in inject(json.dumps(service)).stderr


def test_namespace_option_is_for_objects_that_name_none() -> None:
    text = DEPLOYMENT + "---\n" + DEPLOYMENT.replace("  namespace: shop\n", "")
    result = inject(text, "--namespace", "other")
    assert "assumed" not in result.stderr
    first, second = (document["spec"]["template"] for document in values(result.stdout))
    assert first == by_engine(values(text)[0]["spec"]["template"], "shop")
    assert second == by_engine(values(text)[1]["spec"]["template"], "other")
    assert "NamespaceExcluded" in inject(text, "-n", "kube-system").stderr


def test_assumed_namespace_is_said_once() -> None:
    text = DEPLOYMENT.replace("  namespace: shop\n", "")
    result = inject(f"{text}---\n{text}")
    note = "note: no namespace is named, so default is assumed; give -n NAME when it is another\n"
    assert result.stderr.endswith(note)
    assert result.stderr.count("assumed") == 1
    assert values(result.stdout)[0]["spec"]["template"] == by_engine(values(text)[0]["spec"]["template"], "default")


def test_cluster_domain_reaches_the_pod() -> None:
    assert ".svc.cluster.example" in inject(DEPLOYMENT, "--cluster-domain", "cluster.example").stdout


def test_injecting_twice_is_injecting_once() -> None:
    once = inject(f"{SERVICE}---\n{DEPLOYMENT}")
    twice = inject(once.stdout)
    assert twice.stdout == once.stdout
    assert "Deployment/redis: skipped: AlreadyCurrent" in twice.stderr


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(TEXTS.filter(lambda text: "\0" not in text), min_size=1, max_size=5), flow=st.booleans())
def test_texts_of_the_user_s_survive_with_their_types(texts: list[str], flow: bool) -> None:
    pod_template = template()
    pod_template["spec"]["containers"][0]["env"] = [{"name": f"V{n}", "value": text} for n, text in enumerate(texts)]
    pod_template["metadata"]["annotations"] |= {f"note-{n}": text for n, text in enumerate(texts)}
    whole = workload("Deployment", pod_template)
    text = inject(json.dumps(whole), "-o", "yaml").stdout if flow else json.dumps(whole)
    after = values(inject(text, "-o", "yaml").stdout)[0]["spec"]["template"]
    assert after == by_engine(copy.deepcopy(pod_template))


def test_aliases_of_an_annotated_template_are_expanded() -> None:
    text = DEPLOYMENT.replace(
        "metadata:\n      labels:\n        app: redis", "metadata:\n      labels: *labels"
    ).replace("selector: {matchLabels: {app: redis}}", "selector: {matchLabels: &labels {app: redis}}")
    after = values(inject(text).stdout)[0]
    assert after["spec"]["selector"] == {"matchLabels": {"app": "redis"}}
    assert after["spec"]["template"] == by_engine(values(DEPLOYMENT)[0]["spec"]["template"])

"""Who is injected: the truth table of docs/decisions.md, and each reason on its own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.unit.making import a_pod, with_redis
from webhook.decide import Reason, Settings
from webhook.inject import Rules, Situation, inject


def decided(pod: Any, **situation: Any) -> str:
    return inject(pod, Situation(**situation)).reason.code


NAMESPACE = {
    "enabled": {"habitat.sh/injection": "enabled"},
    "disabled": {"habitat.sh/injection": "disabled"},
    "none": {},
}
ANNOTATED = {"service": {"service": "redis"}, "package": {"package": "core/redis"}, "none": {}}


def expected(namespace: str, inject_: str | None, annotated: str) -> str:
    if inject_ == "false":
        return "OptedOut"
    if namespace == "disabled":
        return "NamespaceDisabled"
    if inject_ == "true":
        return "Injected" if annotated != "none" else "Invalid"  # opted in, but no package name is known
    if namespace == "none":
        return "NamespaceNotEnabled"
    return "NotAnnotated" if annotated == "none" else "Injected"


@pytest.mark.parametrize(
    ("namespace", "inject_", "annotated"), list(itertools.product(NAMESPACE, (None, "true", "false"), ANNOTATED))
)
def test_opt_in_truth_table(namespace: str, inject_: str | None, annotated: str) -> None:
    annotations = ANNOTATED[annotated] | ({"inject": inject_} if inject_ else {})
    got = decided(a_pod(annotations), namespace_labels=NAMESPACE[namespace])
    assert got == expected(namespace, inject_, annotated)


@pytest.mark.parametrize("namespace", ["kube-system", "kube-node-lease", "habitat"])
def test_excluded_namespaces_are_never_injected(namespace: str) -> None:
    pod = a_pod(with_redis(inject="true"))
    assert decided(pod, namespace=namespace, settings=Settings(own_namespace="habitat")) == "NamespaceExcluded"


def test_mirror_pod_is_left_alone() -> None:
    assert decided(a_pod(with_redis() | {"kubernetes.io/config.mirror": "abc"})) == "MirrorPod"


@pytest.mark.parametrize("spec", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}])
def test_windows_pod_is_left_alone(spec: dict[str, Any]) -> None:
    assert decided(a_pod(spec=spec)) == "WindowsPod"


def test_ephemeral_container_and_updates_are_left_alone() -> None:
    assert decided(a_pod(), operation="UPDATE", subresource="ephemeralcontainers") == "EphemeralUpdate"
    assert decided(a_pod(), operation="UPDATE") == "NotCreated"


@pytest.mark.parametrize(
    "thing", [{"kind": "Deployment", "apiVersion": "apps/v1"}, [], None, "pod", {"apiVersion": "v2"}]
)
def test_what_is_no_pod_is_left_alone(thing: Any) -> None:
    assert decided(thing) == "NotAPod"


@pytest.mark.parametrize(
    "command",
    [
        ["hab", "sup", "run", "core/redis"],
        ["/bin/hab", "run", "core/redis"],
        ["/bin/sh", "-c", "exec hab sup run core/redis"],
        ["/hab/pkgs/core/hab-launcher/1/2/bin/hab-launch", "run"],
    ],
)
def test_hand_written_supervisor_is_left_alone(command: list[str]) -> None:
    assert decided(a_pod(command=command)) == "HandWrittenSupervisor"


def test_custom_entrypoint_takes_a_command_that_starts_a_supervisor() -> None:
    assert (
        decided(a_pod(with_redis(entrypoint="custom"), command=["hab", "sup"], args=["run", "core/redis"]))
        == "Injected"
    )


def test_policy_opts_in_and_out() -> None:
    assert decided(a_pod({"service": "redis"}), rules=Rules(never=True)) == "PolicyNever"
    assert decided(a_pod({}, args=["run", "core/redis"]), rules=Rules(opt_in=True)) == "Injected"
    assert decided(a_pod({})) == "NotAnnotated"


def test_inject_that_is_neither_true_nor_false_is_an_error() -> None:
    assert decided(a_pod(with_redis(inject="yes"))) == "Invalid"


def test_every_reason_has_a_sentence_and_a_stable_code() -> None:
    codes = [r.code for r in Reason]
    assert len(set(codes)) == len(codes)
    assert all(r.sentence.endswith(".") and r.code.isalpha() for r in Reason)


@pytest.mark.parametrize(
    "pod", [{}, {"metadata": None}, {"metadata": {"annotations": None}}, {"spec": None}, {"spec": []}]
)
def test_empty_and_half_empty_objects_are_not_annotated(pod: dict[str, Any]) -> None:
    assert decided(pod) == "NotAnnotated"

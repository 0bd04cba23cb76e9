"""What holds for every pod that is injected, whatever it looks like (admission.md (c) 2–6, 10, 11, 19–22)."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonpath import JSONPatch

from tests.support.pod_parts import TAME, Shape
from tests.support.pod_security import violations
from tests.support.pods import Case, Pod, cases, fill_in_defaults, valid_pods
from tests.support.preservation import losses
from tests.support.supervisor import Ready, container_named, judge
from webhook.inject import Outcome, Reason, apply, inject, uninject
from webhook.inject.patch import rehearse

ALLOWED = [
    r"/metadata/annotations(/[^/]+)?",
    r"/metadata/labels(/[^/]+)?",
    r"/spec/containers/\d+/(args|env|ports|volumeMounts)(/(\d+|-))?",
    r"/spec/containers/\d+/(readiness|startup|liveness)Probe",
    r"/spec/(initContainers|volumes)(/(\d+|-))?",
    r"/spec/securityContext(/fsGroup|/fsGroupChangePolicy)?",
]
"""JSON Pointers that an operation may have; a native sidecar is never the target in these cases."""

ANY = Shape()


def result(case: Case) -> tuple[Outcome, Pod]:
    """The outcome of a pod that is injected, and the pod after it; other outcomes are not what the test is about."""
    outcome = inject(case.pod)
    assume(outcome.reason is Reason.INJECTED)
    return outcome, apply(case.pod, outcome.operations)


def target_before_and_after(case: Case, after: Pod) -> tuple[dict[str, Any], dict[str, Any]]:
    return dict(container_named(case.pod, case.target)), dict(container_named(after, case.target))


@given(cases())
def test_a_tame_pod_whose_args_can_start_is_injected_into_the_container_that_was_meant(case: Case) -> None:
    assume(isinstance(judge(licensed(case), case.target, case.image), Ready))
    outcome = inject(case.pod)
    assert outcome.reason is Reason.INJECTED, outcome.message()
    assert outcome.container == case.target


@given(cases(ANY))
def test_injecting_twice_equals_injecting_once(case: Case) -> None:
    _, once = result(case)
    again = inject(once)
    assert (again.reason, again.operations) == (Reason.ALREADY_CURRENT, [])


@given(cases(ANY))
def test_injecting_after_the_api_servers_defaulting_changes_nothing(case: Case) -> None:
    _, once = result(case)
    fill_in_defaults(once)
    assert inject(once).operations == []


SIDECAR = {"name": "late-sidecar", "image": "example/sidecar:1"}


def _front(pod: Pod, key: str, item: dict[str, Any]) -> None:
    pod["spec"][key] = [copy.deepcopy(item), *(pod["spec"].get(key) or [])]


def _env_everywhere(pod: Pod) -> None:
    for container in pod["spec"]["containers"]:
        container["env"] = [{"name": "TRACE", "value": "1"}, *(container.get("env") or [])]


LATER_INJECTORS = {
    "a container in front": lambda pod: _front(pod, "containers", SIDECAR),
    "a well-known sidecar in front": lambda pod: _front(pod, "containers", SIDECAR | {"name": "kuma-sidecar"}),
    "an init container in front": lambda pod: _front(pod, "initContainers", SIDECAR),
    "a native sidecar in front": lambda pod: _front(pod, "initContainers", SIDECAR | {"restartPolicy": "Always"}),
    "a volume in front": lambda pod: _front(pod, "volumes", {"name": "late", "emptyDir": {}}),
    "a variable in front": _env_everywhere,
}


@pytest.mark.parametrize("later", LATER_INJECTORS)
@given(case=cases(TAME))
def test_another_injector_afterwards_changes_nothing(later: str, case: Case) -> None:
    _, once = result(case)
    LATER_INJECTORS[later](once)
    again = inject(once)
    assert (again.reason, again.operations) == (Reason.ALREADY_CURRENT, [])


@given(cases(ANY))
def test_nothing_of_the_users_is_lost_or_reordered_or_changed(case: Case) -> None:
    _, after = result(case)
    assert list(losses(case.pod, after)) == []


@given(cases(ANY))
def test_other_containers_stay_as_they_are(case: Case) -> None:
    _, after = result(case)
    for key in ("containers", "initContainers"):
        for container in case.pod["spec"].get(key) or []:
            if container["name"] != case.target:
                assert container in after["spec"][key]


@given(cases(ANY))
def test_only_add_and_replace_under_the_allowed_paths(case: Case) -> None:
    outcome, _ = result(case)
    for operation in outcome.operations:
        assert operation.keys() == {"op", "path", "value"}
        assert operation["op"] in {"add", "replace"}
        assert any(re.fullmatch(pattern, operation["path"]) for pattern in ALLOWED), operation["path"]


@given(cases(ANY))
def test_three_implementations_of_rfc_6902_agree(case: Case) -> None:
    outcome, after = result(case)
    assert JSONPatch(outcome.operations).apply(copy.deepcopy(case.pod)) == after
    assert rehearse(case.pod, outcome.operations) == after


@given(cases(ANY))
def test_a_patch_survives_being_sent_as_json(case: Case) -> None:
    outcome, after = result(case)
    assert apply(json.loads(json.dumps(case.pod)), json.loads(json.dumps(outcome.operations))) == after


@given(cases(ANY))
def test_the_pod_that_came_in_is_never_changed(case: Case) -> None:
    before = copy.deepcopy(case.pod)
    outcome = inject(case.pod)
    rehearse(case.pod, outcome.operations)
    apply(case.pod, outcome.operations)
    uninject(case.pod)
    assert case.pod == before


@given(cases(ANY))
def test_the_outcomes_parts_belong_together(case: Case) -> None:
    outcome = inject(case.pod)
    assert bool(outcome.operations) == (outcome.reason is Reason.INJECTED)
    assert bool(outcome.problems) == (outcome.reason is Reason.INVALID)
    for problem in outcome.problems:
        assert str(problem) in outcome.message()


def licensed(case: Case) -> Pod:
    """The user's pod with nothing but the licence added: whether it starts is the user's own doing."""
    pod = copy.deepcopy(case.pod)
    for container in pod["spec"]["containers"]:
        if container["name"] == case.target:
            env = container["env"] = list(container.get("env") or [])
            if not any(entry["name"] == "HAB_LICENSE" for entry in env):
                env.append({"name": "HAB_LICENSE", "value": "accept-no-persist"})
    return pod


@given(cases(ANY))
def test_what_could_start_before_becomes_ready_after(case: Case) -> None:
    """The model in tests/support/supervisor knows nothing of the product's flag table; this is where they meet."""
    assume(isinstance(judge(licensed(case), case.target, case.image), Ready))
    outcome, after = result(case)
    verdict = judge(after, case.target, case.image)
    assert isinstance(verdict, Ready), (verdict, outcome.warnings)


@given(cases(ANY))
def test_injected_parts_satisfy_restricted(case: Case) -> None:
    _, after = result(case)
    for level in ("baseline", "restricted"):
        assert set(violations(after, level)) <= set(violations(case.pod, level))


@given(cases(ANY))
def test_injected_variables_are_never_empty_and_come_last(case: Case) -> None:
    _, after = result(case)
    old, new = (container.get("env") or [] for container in target_before_and_after(case, after))
    assert new[: len(old)] == old
    for entry in new[len(old) :]:
        assert entry.get("value") or entry.get("valueFrom"), entry
    assert len({entry["name"] for entry in new}) == len(new)


@given(cases(ANY))
def test_injected_flags_are_one_word_each(case: Case) -> None:
    _, after = result(case)
    old, new = (container.get("args") or [] for container in target_before_and_after(case, after))
    added = [word for word in new if word not in old]
    assert all(word.startswith("--") for word in added if "/" not in word and word != "run"), added


@given(cases(ANY))
def test_ports_keep_their_number_and_protocol_to_themselves(case: Case) -> None:
    _, after = result(case)
    old, new = (container.get("ports") or [] for container in target_before_and_after(case, after))
    keys = [(port["containerPort"], port.get("protocol", "TCP")) for port in new]
    assert len(keys) == len(set(keys)) or len(new) == len(old)
    names = [port["name"] for port in new if "name" in port]
    assert len(names) == len(set(names))
    assert all(len(name) <= 15 for name in names)


@given(cases(ANY))
def test_mounts_and_volumes_keep_their_names_and_paths_to_themselves(case: Case) -> None:
    _, after = result(case)
    volumes = [volume["name"] for volume in after["spec"].get("volumes") or []]
    assert len(volumes) == len(set(volumes))
    for container in [*after["spec"]["containers"], *(after["spec"].get("initContainers") or [])]:
        paths = [mount["mountPath"] for mount in container.get("volumeMounts") or []]
        assert len(paths) == len(set(paths))
        assert {mount["name"] for mount in container.get("volumeMounts") or []} <= set(volumes)


@given(cases(ANY))
def test_warnings_are_short_and_single_lines(case: Case) -> None:
    for warning in inject(case.pod).warnings:
        assert 0 < len(warning) <= 120
        assert warning.isprintable()


@given(cases(ANY))
def test_taking_it_out_again_gives_the_pod_that_came_in(case: Case) -> None:
    _, after = result(case)
    assert uninject(after) == case.pod


@given(valid_pods())
def test_a_pod_without_annotations_is_left_alone(pod: Pod) -> None:
    outcome = inject(pod)
    assert (outcome.reason, outcome.operations, outcome.warnings) == (Reason.NOT_ANNOTATED, [], ())
    assert uninject(pod) == pod


@given(cases(ANY), st.data())
def test_a_second_annotation_set_over_an_injected_pod_equals_a_fresh_injection(case: Case, data: st.DataObject) -> None:
    """A template copied from a live pod brings our parts; they are written afresh, not kept."""
    _, once = result(case)
    group = data.draw(st.sampled_from(["blue", "green"]))
    changed = copy.deepcopy(case.pod)
    changed["metadata"]["annotations"]["habitat.sh/group"] = group
    once["metadata"]["annotations"]["habitat.sh/group"] = group
    fresh = inject(changed)
    assume(fresh.reason in {Reason.INJECTED, Reason.ALREADY_CURRENT})
    over = inject(once)
    assert over.reason in {Reason.INJECTED, Reason.ALREADY_CURRENT}, over.message()
    verdict = judge(apply(once, over.operations), case.target, case.image)
    assert type(verdict) is type(judge(apply(changed, fresh.operations), case.target, case.image))

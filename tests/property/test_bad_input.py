"""Whatever arrives, the engine answers: a reason, never a traceback, and every problem at once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.annotation_sets import BAD, CONTRADICTIONS, PREFIX, wrong_annotations
from tests.support.pods import Pod, annotate, valid_pods, wild_pods
from webhook.inject import Reason, apply, inject, uninject
from webhook.options import REGISTRY

POD: Pod = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0"},
    "spec": {"containers": [{"name": "web", "image": "example/web:1"}]},
}
NASTY = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "\n",
            "a\nb",
            "a\r\nhabitat.sh/inject: true",
            "\0",
            "web\0",
            "🐳",
            "web\u202egnp",
            "é" * 70,
            "$(POD_IP)",
            "$$(HAB_LICENSE)",
            "--group=x",
            "-",
            "../../etc",
            "'\"`;&|",
            "{}",
            "[]",
            "null",
            "true",
            "1e9",
            "x" * 200 * 1024,
            "🐳" * 50 * 1024,
            "\n" * 200 * 1024,
            "a," * 100 * 1024,
            "[" * 50 * 1024,
            "{" * 50 * 1024,
            "a=" + "[" * 5000 + "]" * 5000,
        ]
    ),
)
"""Texts that no annotation should hold; a value of 200 KiB is what an API server lets through."""

OPTION_KEYS = sorted({option.key for option in REGISTRY} | {"habitat.sh/injected", "habitat.sh/peers"})


def answered(pod: Any) -> None:
    """One injection that must end in a reason, with parts that belong together, and leave the pod as it was."""
    before = copy.deepcopy(pod)
    outcome = inject(pod)
    assert isinstance(outcome.reason, Reason)
    assert bool(outcome.problems) == (outcome.reason is Reason.INVALID)
    assert all(0 < len(warning) <= 120 and warning.isprintable() for warning in outcome.warnings)
    assert len(outcome.message()) < 64 * 1024
    if outcome.operations:
        apply(pod, outcome.operations)
    uninject(pod)
    assert pod == before


@given(wild_pods())
def test_anything_shaped_like_an_object_gets_an_answer(pod: Pod) -> None:
    answered(pod)


@pytest.mark.parametrize("pod", [{}, {"kind": "Pod"}, {"spec": None}, {"metadata": None, "spec": {}}, {"kind": "Node"}])
def test_an_empty_object_gets_an_answer(pod: Pod) -> None:
    answered(pod)


@given(st.dictionaries(st.sampled_from(OPTION_KEYS) | st.text(max_size=10).map(PREFIX.__add__), NASTY, max_size=6))
@example(dict.fromkeys(OPTION_KEYS, "x" * 200 * 1024))
@example(dict.fromkeys(OPTION_KEYS, "\x00\n🐳"))
@example({f"habitat.sh/unknown-{n}": "x" for n in range(200)})
def test_garbage_in_annotations_never_raises(annotations: dict[str, str]) -> None:
    answered(annotate(POD, {"habitat.sh/service": "web"} | annotations))


@given(st.dictionaries(st.sampled_from(OPTION_KEYS), st.integers() | st.none() | st.lists(st.text(max_size=3))))
def test_annotations_that_are_no_texts_never_raise(annotations: dict[str, Any]) -> None:
    answered(annotate(POD, {"habitat.sh/service": "web"} | annotations))


@given(valid_pods(), wrong_annotations())
def test_every_wrong_value_of_a_pod_is_named_in_one_answer(pod: Pod, wrong: tuple[dict[str, str], list[str]]) -> None:
    annotations, options = wrong
    outcome = inject(annotate(pod, annotations))
    assert outcome.reason is Reason.INVALID
    named = " ".join(problem.where + " " + problem.what for problem in outcome.problems)
    missing = [option for option in options if PREFIX + option not in named]
    assert not missing, named


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in BAD.items() for value in values])
def test_a_wrong_value_is_refused_with_what_is_allowed(option: str, value: str) -> None:
    outcome = inject(
        annotate(POD, {"habitat.sh/service": "web", "habitat.sh/license": "accept", PREFIX + option: value})
    )
    assert outcome.reason is Reason.INVALID
    problems = [problem for problem in outcome.problems if problem.where == PREFIX + option]
    assert problems
    assert all(problem.what and problem.allowed for problem in problems)


def test_every_annotation_with_a_format_has_wrong_values_here() -> None:
    assert {option.name for option in REGISTRY} == BAD.keys() | {"data-volume"}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS, ids=str)
def test_two_annotations_that_contradict_each_other_are_refused(contradiction: dict[str, str]) -> None:
    annotations = {PREFIX + option: value for option, value in contradiction.items()}
    volumes = [{"name": "b", "emptyDir": {}}]
    pod = POD | {"spec": POD["spec"] | {"volumes": volumes}}
    outcome = inject(annotate(pod, {"habitat.sh/service": "web", "habitat.sh/license": "accept"} | annotations))
    assert outcome.reason is Reason.INVALID
    assert any(option in str(outcome.problems) for option in contradiction)

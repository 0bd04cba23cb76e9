"""Fields of another type than Kubernetes takes: said in terms of the file, before the engine sees them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.running import DEPLOYMENT, inject, template, uninject
from webhook.shape import problems_of

JUNK: list[Any] = [
    None,
    [],
    {},
    "x",
    1,
    1.5,
    True,
    [None],
    ["x"],
    [{}],
    [1],
    {"a": None},
    "",
    {"name": 1},
    [{"name": "x"}],
]


def rich_template() -> dict[str, Any]:
    """A template with something in every field that the engine reads."""
    rich = template(
        bind="a:b.c", config="x=1", files_secret="s", data_volume="d", ring_key="k", gateway_auth_secret="g"
    )
    rich["spec"] |= {
        "initContainers": [
            {"name": "i", "image": "x", "restartPolicy": "Always", "env": [{"name": "Q", "value": "1"}]}
        ],
        "volumes": [{"name": "d", "emptyDir": {}}],
        "securityContext": {"runAsUser": 1000},
    }
    rich["spec"]["containers"][0] |= {
        "args": ["--group", "x"],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
        "ports": [{"name": "p", "containerPort": 80}],
        "volumeMounts": [{"name": "d", "mountPath": "/d"}],
        "readinessProbe": {"httpGet": {"port": "p"}},
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    return rich


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of everything inside a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*path, step)
        yield from places(child, (*path, step))


def with_junk(path: tuple[str | int, ...], junk: Any) -> dict[str, Any]:
    changed = rich_template()
    parent: Any = changed
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = copy.deepcopy(junk)
    return changed


@pytest.mark.parametrize("path", list(places(rich_template())), ids=lambda path: ".".join(map(str, path)))
def test_no_misshapen_field_ends_in_a_traceback(path: tuple[str | int, ...]) -> None:
    """What is taken comes back by uninject; everything else is refused or skipped."""
    for junk in JUNK:
        whole = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}
        whole["spec"] = {"template": with_junk(path, junk)}
        result = inject(json.dumps(whole))
        assert result.exit_code in (0, 1), (junk, result.stderr)
        if result.exit_code == 0:
            assert inject(result.stdout).stdout == result.stdout, junk
            assert uninject(result.stdout).exit_code == 0, junk


def test_numbers_and_booleans_without_quotes_are_said_by_their_place_in_the_file() -> None:
    text = DEPLOYMENT.replace("# who it is", "habitat.sh/gossip-port: 9638\n        debug: yes")
    text += "          env:\n            - {name: PORT, value: 6379}\n            - {name: RATIO, value: 0.5}\n"
    result = inject(text)
    assert result.exit_code == 1
    takes = "Kubernetes takes a text here: put it in quotes"
    yaml_s_booleans = "(YAML reads yes, no, on and off without quotes as true and false)"
    assert [line.removeprefix("  error: ") for line in result.stderr.splitlines()[1:5]] == [
        f"spec.template.metadata.annotations[habitat.sh/gossip-port]: 9638 is a number; {takes}",
        f"spec.template.metadata.annotations[debug]: true is a boolean; {takes} {yaml_s_booleans}",
        f"spec.template.spec.containers[redis].env[PORT].value: 6379 is a number; {takes}",
        f"spec.template.spec.containers[redis].env[RATIO].value: 0.5 is a number; {takes}",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"spec": []}, "spec: [] is a list; Kubernetes takes an object here"),
        ({"spec": {"containers": {}}}, "spec.containers: {} is an object; Kubernetes takes a list here"),
        ({"spec": {"containers": [None]}}, "spec.containers[0]: this is null; Kubernetes takes an object here"),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers[0]: there is no name; write name: a text"),
        ({"spec": {"volumes": [{"name": ""}]}}, "spec.volumes[0]: there is no name; write name: a text"),
        (
            {"spec": {"securityContext": {"runAsUser": "1000"}}},
            'spec.securityContext.runAsUser: "1000" is a text; Kubernetes takes a whole number here: remove the quotes',
        ),
        ({"spec": {"hostNetwork": 1}}, "spec.hostNetwork: 1 is a number; Kubernetes takes true or false here"),
        (
            {"spec": {"securityContext": {"fsGroup": True}}},
            "spec.securityContext.fsGroup: true is a boolean; Kubernetes takes a whole number here",
        ),
    ],
)
def test_each_mistake_has_its_sentence(value: dict[str, Any], said: str) -> None:
    assert [str(problem) for problem in problems_of(value, "")] == [said]


def test_right_types_null_and_unknown_fields_are_no_problem() -> None:
    right = rich_template()
    right["spec"] |= {"containers": [{"name": "a", "args": None, "new": [1]}], "volumes": None, "newer": {"x": 1.5}}
    assert problems_of(right, "") == problems_of({}, "") == []


def test_template_that_is_not_annotated_is_none_of_our_business() -> None:
    text = DEPLOYMENT.replace("habitat.sh/service: redis", "note: 5")
    result = inject(text)
    assert (result.exit_code, result.stdout) == (0, text)

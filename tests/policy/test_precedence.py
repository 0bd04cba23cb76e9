"""The precedence, pair by pair: the table of docs/policy.md."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.policy.making import policy
from tests.unit.making import a_pod, with_redis
from webhook.decide import Layer, Situation
from webhook.inject import Outcome, Reason, inject
from webhook.policy.precedence import REFUSED, Level, Row, table

OPTIONS = {
    "group": ("args", "--group={}", {level: level.name.lower() for level in Level} | {Level.BUILT_IN: "default"}),
    "http-port": (
        "env",
        "0.0.0.0:{}",
        {level: str(9700 + n) for n, level in enumerate(Level)} | {Level.BUILT_IN: "9631"},
    ),
}
"""Option -> where a container says it itself, how, and the value that each level says."""


def said_by(levels: set[Level], option: str) -> Outcome:
    where, form, values = OPTIONS[option]
    rules = "- name: idle\n  require: [service]\n"
    for level, key in ((Level.FORCE, "force"), (Level.DEFAULT, "defaults")):
        if level in levels:
            rules += f"- name: {key}\n  {key}: {{{option}: '{values[level]}'}}\n"
    container: dict[str, Any] = {}
    if Level.CONTAINER in levels:
        text = form.format(values[Level.CONTAINER])
        container = {"args": [text]} if where == "args" else {"env": [{"name": "HAB_LISTEN_HTTP", "value": text}]}
    annotations = with_redis() | ({option: values[Level.POD]} if Level.POD in levels else {})
    pod = a_pod(annotations, **container)
    found = policy(rules).rules(pod, "shop", {})
    if Level.NAMESPACE in levels:
        found = found.with_defaults(Layer("namespace shop", {option: values[Level.NAMESPACE]}))
    return inject(pod, Situation(namespace="shop", rules=found))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("row", list(table()), ids=lambda row: f"{row.stronger.title} over {row.weaker.title}")
def test_the_stronger_of_two_wins(row: Row, option: str) -> None:
    outcome = said_by({row.stronger, row.weaker}, option)
    values = OPTIONS[option][2]
    if row.result == REFUSED:
        [problem] = outcome.problems
        assert outcome.reason is Reason.POLICY_DENIED
        assert f'{option} is otherwise here, but policy rule force forces "{values[Level.FORCE]}"' in problem.what
        return
    assert outcome.spec is not None
    assert str(getattr(outcome.spec.options, option.replace("-", "_"))) == values[row.stronger]
    assert row.result == row.stronger.title


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("weakest", list(Level), ids=lambda level: level.title)
def test_of_all_that_speak_the_strongest_wins(weakest: Level, option: str) -> None:
    """Without `force` for the rows below it, since the container would be refused."""
    levels = list(Level)
    speaking = set(levels[max(1, levels.index(weakest)) :])
    outcome = said_by(speaking, option)
    assert outcome.spec is not None
    strongest = min(speaking, key=levels.index)
    assert str(getattr(outcome.spec.options, option.replace("-", "_"))) == OPTIONS[option][2][strongest]


def test_the_table_has_every_pair() -> None:
    assert len(list(table())) == 15


INSTEAD = [
    ("config-secret", "config-map"),
    ("config-map", "config-secret"),
    ("data-claim", "data-volume"),
    ("data-volume", "data-claim"),
    ("peer", "discovery"),
    ("discovery", "peer"),
]
LAYERS = [Level.FORCE, Level.POD, Level.NAMESPACE, Level.DEFAULT]
ALTERNATIVES = {"peer": "10.0.0.1", "discovery": "dns", "data-volume": "data"}


@pytest.mark.parametrize(("option", "other"), INSTEAD)
@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.combinations(LAYERS, 2)), ids=lambda level: level.title)
def test_the_stronger_of_two_that_exclude_each_other_takes_the_place_of_both(
    stronger: Level, weaker: Level, option: str, other: str
) -> None:
    """Nobody can take back a default that stands in another's hands."""
    rules = "- name: idle\n  require: [service]\n"
    said = {stronger: {option: ALTERNATIVES.get(option, "a")}, weaker: {other: ALTERNATIVES.get(other, "b")}}
    for level, key in ((Level.FORCE, "force"), (Level.DEFAULT, "defaults")):
        if level in said:
            rules += f"- name: {key}\n  {key}: {json.dumps(said[level])}\n"
    pod = a_pod(with_redis(**said.get(Level.POD, {})), spec={"volumes": [{"name": "data", "emptyDir": {}}]})
    found = policy(rules).rules(pod, "shop", {})
    if Level.NAMESPACE in said:
        found = found.with_defaults(Layer("namespace shop", said[Level.NAMESPACE]))
    outcome = inject(pod, Situation(namespace="shop", rules=found))
    assert outcome.spec is not None, outcome.problems
    options, name = outcome.spec.options, option.replace("-", "_")
    assert getattr(options, name) in (said[stronger][option], (said[stronger][option],))
    expected = {"discovery": "external", "peer": ()}.get(other)
    assert getattr(options, other.replace("-", "_")) == expected

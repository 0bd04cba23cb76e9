"""Every annotation of the registry: good values, wrong values, and what the error says."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from tests.unit.making import a_pod, problems, with_redis
from webhook.decide import DOCS_URL
from webhook.inject import inject
from webhook.options import BY_NAME, REGISTRY, Option, Options

NASTY = ("", " ", "\n", "a\nb", "\0", "-x", "--group=x", "a b", "💥", "x" * 5000, "../..", "$(HOME)", "a\tb")
FREE_TEXT = {"config"}
"""`config` is TOML: what is refused is what does not parse, tested below."""


def test_registry_is_the_options_class() -> None:
    assert [o.field for o in REGISTRY] == [f.name for f in fields(Options)]
    assert len(BY_NAME) == len(REGISTRY)


@pytest.mark.parametrize("option", REGISTRY, ids=lambda o: o.name)
def test_example_is_valid_and_matches_the_schema(option: Option) -> None:
    option.kind.parse(option.example)
    pattern = option.kind.schema.get("pattern")
    assert pattern is None or re.search(pattern, option.example)
    assert option.example in option.kind.schema.get("enum", [option.example])
    assert option.doc
    assert option.becomes
    assert option.kind.allowed


TWO_GOOD_PEERS = [("peer", "a\nb"), ("peer", "a b"), ("peer", "a\tb")]


@pytest.mark.parametrize(
    ("option", "value"),
    [(o, v) for o in REGISTRY for v in NASTY if o.name not in FREE_TEXT and (o.name, v) not in TWO_GOOD_PEERS],
    ids=lambda x: x.name if isinstance(x, Option) else ascii(x[:12]),
)
def test_nasty_value_is_refused_in_one_short_line(option: Option, value: str) -> None:
    said = problems(a_pod(with_redis() | {option.name: value}))
    mine = [p for p in said if p.startswith(option.key + ":")]
    assert mine, said
    assert all(len(p) < 600 and "\n" not in p and "\0" not in p for p in mine)
    assert option.kind.allowed in mine[0] or "set it to one of: app" in mine[0]


def test_every_problem_is_said_at_once_each_with_its_link() -> None:
    wrong = {o.name: "-" for o in REGISTRY if o.name not in ("config", "container", "inject")} | {"inject": "perhaps"}
    message = inject(a_pod(wrong)).message()
    for name in wrong:
        assert f"habitat.sh/{name}:" in message
        assert f"{DOCS_URL}/annotations.md#{name}" in message


def test_toml_error_has_line_and_column() -> None:
    [said] = problems(a_pod(with_redis(config="a = 1\nb = [1,\nc = }")))
    assert "line 3" in said
    assert "column" in said
    [at_the_end] = problems(a_pod(with_redis(config="a = 1\nb =")))
    assert "line 2, column" in at_the_end


def test_config_may_be_a_json_object_but_no_other_json() -> None:
    assert inject(a_pod(with_redis(config='{"a": 1}'))).reason.code == "Injected"
    assert inject(a_pod(with_redis(config="[1, 2]"))).reason.code == "Invalid"


def test_config_is_taken_up_to_what_linux_takes_as_a_variable() -> None:
    """execve(2): a variable of 128 KiB or more, and no program starts."""
    taken = "a = '" + "x" * 130_000 + "'"
    assert inject(a_pod(with_redis(config=taken))).reason.code == "Injected"
    [said] = problems(a_pod(with_redis(config="a = '" + "x" * 200_000 + "'")))
    assert "Linux takes at most 131071" in said
    assert len(inject(a_pod(with_redis(config="a = '" + "x" * 200_000))).message()) < 1000


def test_unknown_annotation_is_a_warning_with_the_nearest_name() -> None:
    outcome = inject(a_pod(with_redis(topologie="leader")))
    assert outcome.warnings == ("habitat.sh/topologie is unknown and has no effect; did you mean habitat.sh/topology?",)


def test_many_unknown_annotations_make_few_warnings() -> None:
    outcome = inject(a_pod(with_redis() | {f"zz{i}": "x" for i in range(200)}))
    assert len(outcome.warnings) == 6
    assert "195 more" in outcome.warnings[-1]


def test_a_list_with_200_bad_entries_is_one_problem() -> None:
    [said] = problems(a_pod(with_redis(bind=",".join(f"bad{i}" for i in range(200)))))
    assert "and 197 more" in said


@pytest.mark.parametrize(
    ("annotations", "field"),
    [
        ({"config-secret": "a", "config-map": "b"}, "habitat.sh/config-map"),
        ({"data-claim": "a", "data-volume": "b"}, "habitat.sh/data-volume"),
        ({"package": "core/postgresql"}, "habitat.sh/service"),
        ({"peer": "10.0.0.1", "discovery": "managed"}, "habitat.sh/peer"),
        ({"discovery": "external"}, "habitat.sh/discovery"),
        ({"gossip-port": "9631"}, "habitat.sh/gossip-port"),
        ({"event-stream-url": "nats://a:4222"}, "habitat.sh/event-stream-application"),
        ({"bind": "db:a.b db:c.d"}, "habitat.sh/bind"),
    ],
)
def test_contradictions_are_problems(annotations: dict[str, str], field: str) -> None:
    assert any(p.startswith(field + ":") for p in problems(a_pod(with_redis() | annotations)))


def test_config_of_a_package_whose_variable_is_the_supervisors_own() -> None:
    said = problems(a_pod({"service": "license", "license": "accept", "config": "a = 1"}))
    assert any("HAB_LICENSE is one of the Supervisor's own variables" in p for p in said)

"""What is shipped of policies: examples with their cases, the schema, the ConfigMap."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.running import run
from tests.policy.making import text_of
from tests.policy.test_bad_policies import MISTAKES, of
from tests.support.manifests import DEPLOY, RENDERS, install, named
from webhook.policy.policy import Policy
from webhook.policy.schema import schema

POLICIES = DEPLOY / "examples" / "policies"
EXAMPLES = sorted(POLICIES.glob("*.yaml"))


def test_every_example_has_cases() -> None:
    assert [file.name for file in EXAMPLES] == sorted(file.name for file in (POLICIES / "tests").glob("*.yaml"))
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_example_is_right_and_its_cases_come_out_as_expected(file: Path) -> None:
    checked = json.loads(run("policy", "check", "-o", "json", file).stdout)
    assert checked[0]["issues"] == []
    assert all("policy.optIn" in warning["text"] for warning in checked[0]["warnings"])
    done = run("policy", "test", POLICIES / "tests" / file.name)
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_rule_of_an_example_is_expected_by_a_case(file: Path) -> None:
    """By its name among the rules, in a warning, a refusal or what is recorded; `inject: never` shows as a reason."""
    policy = yaml.safe_load(file.read_text())
    suite = yaml.safe_load((POLICIES / "tests" / file.name).read_text())
    expected = json.dumps([case["expect"] for case in suite["cases"]])
    for rule in policy["rules"]:
        assert rule["name"] in expected or rule.get("inject") == "never", rule["name"]


def test_examples_name_the_schema_for_editors() -> None:
    for file in EXAMPLES:
        line = file.read_text().splitlines()[0]
        assert line == "# yaml-language-server: $schema=../../policy.schema.json"
        assert (file.parent / line.partition("=")[2]).resolve() == DEPLOY / "policy.schema.json"


def test_schema_that_is_shipped_is_the_codes() -> None:
    assert json.loads((DEPLOY / "policy.schema.json").read_text()) == schema()


def accepts(rule: dict[str, Any], value: Any) -> bool:
    """Whether a value satisfies the keywords of JSON Schema that ours uses; an unknown keyword fails the test."""
    types = {"object": dict, "array": list, "string": str, "integer": int}
    for key, said in rule.items():
        match key:
            case "description" | "title" | "$schema" | "$id":
                good = True
            case "type":
                good = isinstance(value, types[said]) and not isinstance(value, bool)
            case "enum":
                good = any(type(word) is type(value) and word == value for word in said)
            case "anyOf":
                good = any(accepts(one, value) for one in said)
            case "not":
                good = not accepts(said, value)
            case "pattern":
                good = re.search(said, value) is not None
            case "minLength" | "minItems" | "minProperties":
                good = len(value) >= said
            case "maxLength" | "maxItems":
                good = len(value) <= said
            case "minimum":
                good = value >= said
            case "required":
                good = set(said) <= set(value)
            case "properties":
                good = all(accepts(said[name], part) for name, part in value.items() if name in said)
            case "additionalProperties":
                others = [part for name, part in value.items() if name not in rule.get("properties", {})]
                good = not others if said is False else all(accepts(said, part) for part in others)
            case "items":
                good = all(accepts(said, part) for part in value)
            case _:
                raise AssertionError(key)
        if not good:
            return False
    return True


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_schema_takes_the_examples(file: Path) -> None:
    assert accepts(schema(), yaml.safe_load(file.read_text()))


BY_SCHEMA = [
    "rules no list",
    "rule no map",
    "force no map",
    "value a list",
    "name a number",
    "namespaces a text",
    "unknown key",
    "unknown top key",
    "unknown option",
    "unknown action",
    "unknown operator",
    "other version",
    "other kind",
    "no header",
    "no name",
    "bad choice",
    "required option unknown",
    "regular expression",
    "name with a space",
    "bad sidecar",
    "bad shared ring",
]


@pytest.mark.parametrize("name", BY_SCHEMA)
def test_schema_refuses_what_an_editor_can_know_to_be_wrong(name: str) -> None:
    content = MISTAKES[name][0]
    assert isinstance(content, str)
    assert not accepts(schema(), yaml.safe_load(content))


def test_configmap_that_is_installed_holds_a_policy_without_rules() -> None:
    made = Policy.of(named(install(), "ConfigMap", "habitat-webhook-policy")["data"]["policy.yaml"].encode())
    assert made.document.rules == ()


def test_values_of_the_chart_become_a_policy() -> None:
    documents = [d for d in yaml.safe_load_all((RENDERS / "policy.yaml").read_text()) if d]
    made = Policy.of(named(documents, "ConfigMap", "habitat-webhook-policy")["data"]["policy.yaml"].encode())
    [rule] = made.document.rules
    assert (rule.inject, rule.defaults) == (True, {"http-port": "9700", "service": "redis"})
    configuration = named(documents, "MutatingWebhookConfiguration", "habitat-webhook")
    conditions = [[c["name"] for c in webhook["matchConditions"]] for webhook in configuration["webhooks"]]
    assert conditions == [["not-opted-out"], ["opted-in"]]


# the commands ---------------------------------------------------------------------------------------------------------


def test_check_says_every_mistake_and_ends_with_1(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(of("force: {topology: star}", "acton: warn"))
    done = run("policy", "check", file)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f'{file}:5:23: error: topology: "star" is not known; allowed: standalone, leader',
        f'{file}:6:5: error: a rule has no key "acton"; did you mean action?',
        f"{file}: 2 mistakes: the webhook would refuse it",
    ]


def test_check_warns_and_strict_makes_it_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text_of("- name: a"))
    assert "4:11: warning: policy rule a: it says nothing" in run("policy", "check", file).stdout
    assert run("policy", "check", file).exit_code == 0
    assert run("policy", "check", "--strict", file).exit_code == 1
    assert run("policy", "check", tmp_path / "none.yaml").exit_code == 2


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: redis, annotations: {habitat.sh/service: redis, habitat.sh/license: accept, habitat.sh/org: own}}
spec: {containers: [{name: redis, image: core/redis}]}
"""
RULES = """
    - {name: base, defaults: {channel: stable}, force: {group: forced}}
    - {name: elsewhere, match: {namespaces: [lab]}, force: {group: lab}}
    - {name: by-label, match: {namespaceSelector: {matchLabels: {tier: web}}}, require: [ring-key]}
"""


def test_explain_says_which_rules_hold_why_others_do_not_and_who_said_a_value(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text_of(RULES))
    done = run("policy", "explain", "-f", "-", "-n", "shop", "--policy", file, stdin=POD)
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "Pod/redis in shop: Injected: The pod runs under the Habitat Supervisor."
    for wanted in (
        "base holds",
        "elsewhere does not hold: namespaces: lab does not match shop",
        "by-label does not hold: the namespace's labels are not known here",
        "group forced policy rule base",
        "channel stable policy rule base",
        "org own pod",
        "ring default built-in",
    ):
        assert wanted in lines


def test_explain_ends_with_1_for_a_workload_that_is_refused_and_gives_json(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text_of(RULES))
    labels = "tier=web,habitat.sh/injection=enabled"
    options = ("-f", "-", "--policy", file, "--namespace-labels", labels, "-o", "json")
    done = run("policy", "explain", *options, stdin=POD)
    assert done.exit_code == 1
    [found] = json.loads(done.stdout)
    assert (found["decision"], found["reason"]) == ("deny", "PolicyDenied")
    assert [rule["name"] for rule in found["rules"] if rule["matched"]] == ["base", "by-label"]
    assert found["problems"][0].startswith("habitat.sh/ring-key: policy rule by-label: it is missing;")


def test_inject_goes_by_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text_of(RULES))
    assert "--group=forced" in run("inject", "-f", "-", "--policy", file, stdin=POD).stdout
    refused = run("inject", "-f", "-", "--policy", file, "--namespace-labels", "tier=web", stdin=POD)
    assert refused.stderr.startswith("Pod/redis: skipped: NamespaceNotEnabled")
    file.write_text(of("forse: {}"))
    broken = run("inject", "-f", "-", "--policy", file, stdin=POD)
    assert broken.exit_code == 2
    assert 'p.yaml:5:5: a rule has no key "forse"; did you mean force?' in broken.stderr


def suite(expect: str) -> str:
    head = "apiVersion: policy.habitat.sh/v1\nkind: PolicyTest\npolicy: p.yaml\ncases:\n  - name: the case\n"
    return head + f"    namespace: shop\n    file: pod.yaml\n    expect: {expect}\n"


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("{decision: skip}", ["decision", "- skip", "+ inject"]),
        ("{reason: Invalid}", ["reason", "- Invalid", "+ Injected"]),
        ("{rules: [base, other]}", ["rules", "- base, other", "+ base"]),
        ("{values: {group: mine}}", ["values.group", "- mine", "+ forced (policy rule base)"]),
        ("{values: {ring-key: managed}}", ["values.ring-key", "- managed", "+ nothing (nobody says it)"]),
        ("{problems: ['*ring*']}", ["problems", "- *ring*", "+ none"]),
        ("{warnings: []}", ["warnings", "- nothing like it", "+ policy rule by-label is not applied: it goes by the"]),
    ],
)
def test_case_that_comes_out_otherwise_shows_what_and_how(tmp_path: Path, expect: str, said: list[str]) -> None:
    (tmp_path / "p.yaml").write_text(text_of(RULES))
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "suite.yaml").write_text(suite(expect))
    done = run("policy", "test", tmp_path)
    assert done.exit_code == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == f"FAIL  the case  ({tmp_path}/suite.yaml:5)"
    at = lines.index(said[0])
    assert all(line.startswith(text) for line, text in zip(lines[at : at + 3], said, strict=True))
    assert lines[-1] == "1 cases, 1 not as expected"
    assert json.loads(run("policy", "test", "-o", "json", tmp_path).stdout)[0]["differences"][0]["what"] == said[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (suite("{decison: skip}"), 'suite.yaml:8:14: a map of what is expected has no key "decison"; did you mean'),
        (suite("{values: {chanel: x}}"), "did you mean channel?"),
        (suite("{}"), "nothing is expected"),
        (suite("{decision: skip}").replace("file: pod.yaml", "namespace: x"), 'the key "namespace" is there already'),
        (suite("{decision: skip}").replace("    file: pod.yaml\n", ""), "a case needs its workload once"),
        (suite("{decision: skip}").replace("pod.yaml", "none.yaml"), "none.yaml: No such file"),
        (suite("{decision: skip}").replace("p.yaml", "none.yaml", 1), "none.yaml: No such file"),
        ("a: 1\n", "there is no case"),
    ],
)
def test_suite_that_cannot_be_run_ends_with_2(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "p.yaml").write_text(text_of(RULES))
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "suite.yaml").write_text(content)
    done = run("policy", "test", tmp_path)
    assert done.exit_code == 2
    assert said in done.stderr

# ruff: noqa: E501 - a row of a table is one line
"""What the rules of a policy do to a pod: matching, order, demands, actions."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.policy.making import decided, policy, warned
from tests.unit.making import a_pod, with_redis
from webhook.decide import Situation
from webhook.inject import Outcome, Reason, Settings, inject
from webhook.policy.document import API_VERSION, KIND
from webhook.policy.policy import Policy


def holds(match: str, pod: dict[str, Any] | None = None, *, namespace: str = "shop", labels: Any = None) -> bool:
    rules = policy(f"- name: a\n  match: {match}\n  force: {{channel: stable}}").rules(
        pod or a_pod(), namespace, labels if labels is not None else {}
    )
    return rules.matched == ("a",)


def problems(outcome: Outcome) -> list[str]:
    return [str(problem) for problem in outcome.problems]


# matching -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{}", True),
        ("{namespaces: [shop]}", True),
        ("{namespaces: ['sh*', lab]}", True),
        ("{namespaces: [lab]}", False),
        ("{namespaces: ['!shop']}", False),
        ("{namespaces: ['!lab']}", True),
        ("{namespaceSelector: {matchLabels: {tier: web}}}", True),
        ("{namespaceSelector: {matchLabels: {tier: db}}}", False),
        ("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}", True),
        ("{namespaceSelector: {matchExpressions: [{key: tier, operator: In, values: [web, db]}]}}", True),
        ("{namespaceSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}}", False),
        ("{namespaceSelector: {matchExpressions: [{key: none, operator: NotIn, values: [web]}]}}", True),
        ("{namespaceSelector: {matchExpressions: [{key: tier, operator: Exists}]}}", True),
        ("{namespaceSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}", False),
        ("{podSelector: {matchLabels: {app: redis}}}", True),
        ("{podSelector: {matchLabels: {app: web}}}", False),
        ("{images: ['core/*']}", True),
        ("{images: ['*/redis']}", False),
        ("{images: ['!core/*']}", False),
        ("{namespaces: [shop], images: [other]}", False),
    ],
)
def test_all_criteria_have_to_hold(match: str, *, expected: bool) -> None:
    pod = a_pod()
    pod["metadata"]["labels"] = {"app": "redis"}
    assert holds(match, pod, labels={"tier": "web"}) is expected


def test_pod_with_one_image_that_matches_is_matched() -> None:
    pod = a_pod(spec={"containers": [{"name": "a", "image": "core/redis"}, {"name": "b", "image": "docker.io/x"}]})
    assert holds("{images: ['docker.io/*']}", pod)
    assert holds("{images: ['!core/*']}", pod)


def test_image_of_megabytes_is_matched_like_any_other() -> None:
    """By the beginnings that rules name: all of its own, a hundred thousand million characters, would never end."""
    pod = a_pod(spec={"containers": [{"name": "a", "image": "core/" + "x" * 1_000_000}]})
    assert holds("{images: ['core/*']}", pod)
    assert not holds("{images: ['core/y*']}", pod)


def test_what_is_remembered_of_pods_is_bounded_in_bytes() -> None:
    rules = policy("- {name: a, match: {images: ['core/*']}, force: {channel: stable}}")
    tracemalloc.start()
    try:
        for number in range(100):
            image = f"core/{number}" + "x" * 1_000_000
            rules.rules(a_pod(spec={"containers": [{"name": "a", "image": image}]}), "shop", {})
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 50_000_000


@pytest.mark.parametrize("odd", [{}, {"metadata": None}, {"spec": {"containers": None}}, {"spec": {"containers": [7]}}])
def test_odd_pod_is_matched_without_an_exception(odd: dict[str, Any]) -> None:
    assert not holds("{podSelector: {matchLabels: {a: b}}, images: [x]}", odd)


def test_rules_that_go_by_unknown_labels_are_not_applied_and_the_user_is_told() -> None:
    rules = """
        - {name: by-label, match: {namespaceSelector: {matchLabels: {tier: web}}}, refuse: never}
        - {name: by-name, match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}, force: {channel: a}}
        - {name: elsewhere, match: {namespaces: [lab], namespaceSelector: {matchLabels: {tier: web}}}, refuse: never}
    """
    outcome = decided(rules, a_pod())
    assert outcome.reason is Reason.INJECTED
    assert outcome.spec is not None
    assert outcome.spec.options.channel == "a"
    said = "policy rule by-label is not applied: it goes by the namespace's labels, which are not known here"
    assert outcome.warnings == (said,)


def test_same_pod_in_a_changed_namespace_is_decided_anew() -> None:
    made = policy("- {name: a, match: {namespaceSelector: {matchLabels: {t: x}}}, force: {channel: a}}")
    found = [made.rules(a_pod(), "shop", {"t": value}).matched for value in ("x", "y", "x")]
    assert found == [("a",), (), ("a",)]


NAMES = ("shop", "shop-1", "lab", "s")
GLOBS = ("shop", "s*", "*", "!lab", "sh*p", "*-1", "l*")
IMAGES = ("core/redis", "core/*", "!core/redis", "docker.io/*:1", "*")
REQUIREMENTS = (
    {"key": "tier", "operator": "In", "values": ["web", "db"]},
    {"key": "tier", "operator": "NotIn", "values": ["web"]},
    {"key": "team", "operator": "Exists"},
    {"key": "team", "operator": "DoesNotExist"},
    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]},
)


def some(random: Random, of: Sequence[Any], most: int = 2) -> list[Any]:
    return random.sample(of, random.randint(1, most))


def a_match(random: Random) -> dict[str, Any]:
    made = {
        "namespaces": some(random, GLOBS),
        "namespaceSelector": {"matchExpressions": some(random, REQUIREMENTS)},
        "podSelector": {"matchExpressions": some(random, REQUIREMENTS)},
        "images": some(random, IMAGES),
    }
    return {key: made[key] for key in made if random.random() < 0.4}


def labels(random: Random) -> dict[str, str]:
    made = {"tier": random.choice(["web", "db", "x"]), "team": "a", "other": "b"}
    return {key: value for key, value in made.items() if random.random() < 0.5}


@pytest.mark.parametrize("seed", range(20))
def test_index_finds_what_asking_every_rule_finds(seed: int) -> None:
    random = Random(seed)
    rules = [{"name": f"r{n}", "match": a_match(random), "require": ["service"]} for n in range(60)]
    made = Policy.of(json.dumps({"apiVersion": API_VERSION, "kind": KIND, "rules": rules}).encode())
    for _ in range(40):
        pod = a_pod(image=random.choice(["core/redis", "docker.io/x:1", "y"]))
        pod["metadata"]["labels"] = labels(random)
        about = labels(random) if random.random() < 0.8 else None
        namespace = random.choice(NAMES)
        found = made.rules(pod, namespace, about)
        verdicts = list(made.verdicts(pod, namespace, about))
        assert found.matched == tuple(rule.name for rule, why in verdicts if not why)
        assert len(found.notes) == sum("not known" in why for _, why in verdicts)
        assert made.rules(pod, namespace, about) is found


# order ----------------------------------------------------------------------------------------------------------------

ORDERED = """
    - {name: one, force: {group: one}, defaults: {channel: one}}
    - {name: two, match: {namespaces: [shop]}, force: {group: two, org: two}, defaults: {channel: two, ring: two}}
    - {name: other, match: {namespaces: [lab]}, force: {topology: leader}}
"""


def test_all_rules_that_match_hold_and_the_first_that_says_a_value_wins() -> None:
    rules = policy(ORDERED).rules(a_pod(), "shop", {})
    assert rules.matched == ("one", "two")
    assert [(layer.source, dict(layer.values)) for layer in rules.forced] == [
        ("policy rule one", {"group": "one"}),
        ("policy rule two", {"org": "two"}),
    ]
    assert [dict(layer.values) for layer in rules.defaults] == [{"channel": "one"}, {"ring": "two"}]


def test_rules_named_by_namespace_keep_their_place_among_the_others() -> None:
    rules = """
        - {name: first, match: {namespaces: [shop]}, force: {group: first}}
        - {name: second, force: {group: second}}
        - {name: third, match: {namespaces: [shop, lab]}, force: {group: third}}
    """
    assert policy(rules).rules(a_pod(), "shop", {}).matched == ("first", "second", "third")
    assert policy(rules).rules(a_pod(), "lab", {}).matched == ("second", "third")


def test_demands_of_all_rules_are_gathered() -> None:
    rules = "- {name: a, require: [license]}\n- {name: b, require: [license, group]}"
    found = problems(decided(rules, a_pod({"service": "redis"})))
    assert [line.split(":")[1].strip() for line in found] == ["policy rule a", "policy rule b", "policy rule b"]


# demands --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "annotations", "said"),
    [
        ("require: [group]", {}, "habitat.sh/group: policy rule a: it is missing; set it (allowed: "),
        ("require: [group]", {"group": "g"}, None),
        ("allow: {channel: [stable, 'team-*']}", {"channel": "team-x"}, None),
        ("allow: {channel: [stable]}", {}, None),
        (
            "allow: {channel: [stable]}",
            {"channel": "x"},
            'habitat.sh/channel: policy rule a: "x" is not allowed; allowed: stable',
        ),
        ("allow: {topology: [leader]}", {}, 'habitat.sh/topology: policy rule a: "standalone" is not allowed'),
        ("allow: {shutdown-timeout: {max: 8}}", {"shutdown-timeout": "9"}, '"9" is not allowed; allowed: at most 8'),
        ("allow: {shutdown-timeout: {min: 2}}", {"shutdown-timeout": "1"}, "allowed: at least 2"),
        ("allow: {shutdown-timeout: {min: 2, max: 8}}", {"shutdown-timeout": "8"}, None),
        ("allow: {bind: ['db:*']}", {"bind": "db:a.b,x:y.z"}, '"x:y.z" is not allowed'),
        ("deny: {peer: ['hab-*']}", {"peer": "10.0.0.1,hab-1"}, '"hab-1" is not allowed; not allowed: hab-*'),
        ("deny: {http-port: [9631]}", {}, '"9631" is not allowed'),
        ("deny: {update-strategy: [rolling]}", {"update-strategy": "none"}, None),
        ("refuse: not here", {}, "spec: policy rule a: not here; ask who keeps the policy"),
        ("{refuse: not here, message: Ask Ann.}", {}, "spec: policy rule a: not here; Ask Ann."),
    ],
)
def test_pod_that_does_not_meet_a_demand_is_refused(rule: str, annotations: dict[str, str], said: str | None) -> None:
    body = rule.removeprefix("{").removesuffix("}") if rule.startswith("{") else rule
    outcome = decided(f"- {{name: a, {body}}}", a_pod(with_redis() | annotations))
    if said is None:
        assert problems(outcome) == []
    else:
        assert outcome.reason is Reason.POLICY_DENIED
        assert said in problems(outcome)[0]
        assert outcome.unmet == (("policy rule a", "enforce"),)
        assert "docs/policy.md#a-rule-refused-my-pod" in outcome.message()


@pytest.mark.parametrize(
    ("rule", "container", "where"),
    [
        ("allow: {channel: [stable]}", {"args": ["--channel=x"]}, "spec.containers[app].args"),
        ("allow: {license: [accept]}", {"env": [{"name": "HAB_LICENSE", "value": "no"}]}, "spec.containers[app].env"),
        ("allow: {ring-key: [managed]}", {"env": [{"name": "HAB_RING_KEY", "value": "k"}]}, "spec.containers[app].env"),
        (
            "allow: {builder-url: ['https://a']}",
            {"env": [{"name": "HAB_BLDR_URL", "value": "b"}]},
            "spec.containers[app].env",
        ),
        ("force: {ring-key: managed}", {"env": [{"name": "HAB_RING_KEY", "value": "k"}]}, "spec.containers[app].env"),
        ("force: {license: accept}", {"env": [{"name": "HAB_LICENSE", "value": "no"}]}, "spec.containers[app].env"),
        ("force: {discovery: managed}", {"args": ["--local-gossip-mode"]}, "spec.containers[app].args"),
        ("force: {service: web}", {"args": ["run", "core/redis"]}, "habitat.sh/service"),
        ("force: {package: core/web}", {"args": ["run", "core/redis"]}, "spec.containers[app].args"),
    ],
)
def test_container_does_not_get_around_a_rule_by_its_own_words(
    rule: str, container: dict[str, Any], where: str
) -> None:
    outcome = decided(f"- {{name: a, {rule}}}", a_pod({"license": "accept", "service": "redis"}, **container))
    assert any(p.rule == "policy rule a" for p in outcome.problems), (outcome.reason, outcome.problems)
    assert where in {problem.where for problem in outcome.problems}


def test_peers_do_not_get_around_a_forced_discovery() -> None:
    outcome = decided("- {name: a, force: {discovery: managed}}", a_pod(with_redis(peer="10.0.0.1")))
    assert outcome.spec is not None
    assert (outcome.spec.options.discovery, outcome.spec.options.peer) == ("managed", ())
    assert "habitat.sh/peer has no effect: policy rule a says otherwise" in outcome.warnings


def test_forced_ring_may_be_named_by_its_long_name_at_home() -> None:
    outcome = decided("- {name: a, force: {ring: pay.shop}}", a_pod())
    assert outcome.spec is not None
    assert outcome.spec.options.ring == "pay"


def test_mistakes_and_demands_are_said_together() -> None:
    outcome = decided("- {name: a, require: [org]}", a_pod(with_redis(topology="star")))
    assert outcome.reason is Reason.INVALID
    assert [problem.where for problem in outcome.problems] == ["habitat.sh/topology", "habitat.sh/org"]


def test_value_is_forced_over_a_bad_one_of_the_pod() -> None:
    outcome = decided("- {name: a, force: {topology: leader}}", a_pod(with_redis(topology="star")))
    assert outcome.problems == ()
    assert "habitat.sh/topology has no effect: policy rule a says otherwise" in outcome.warnings


def test_pod_that_says_what_is_forced_is_told_nothing() -> None:
    outcome = decided("- {name: a, force: {topology: leader}}", a_pod(with_redis(topology="leader")))
    assert not any("has no effect" in warning for warning in outcome.warnings)


def test_injecting_twice_under_a_policy_equals_injecting_once() -> None:
    from webhook.inject import apply

    rules = "- {name: a, force: {ring-key: managed, license: accept, channel: stable}, require: [group], defaults: {group: g}}"
    first = decided(rules, a_pod({"service": "redis"}))
    assert first.operations
    again = decided(rules, apply(a_pod({"service": "redis"}), first.operations))
    assert (again.reason, again.operations) == (Reason.ALREADY_CURRENT, [])


# actions --------------------------------------------------------------------------------------------------------------

STRICT = (
    "force: {channel: stable}, defaults: {group: g}, require: [org], deny: {topology: [standalone]}, refuse: not here"
)


@pytest.mark.parametrize("action", ["warn", "audit"])
def test_rule_that_is_not_enforced_changes_nothing_and_says_what_it_would(action: str) -> None:
    outcome = decided(f"- {{name: a, action: {action}, {STRICT}}}", a_pod(with_redis(channel="x")))
    assert outcome.operations == inject(a_pod(with_redis(channel="x")), Situation(namespace="shop")).operations
    said = outcome.warnings if action == "warn" else outcome.audit
    assert [text.split(": ", 2)[0] for text in said] == [
        "spec",
        "habitat.sh/org",
        "habitat.sh/topology",
        "habitat.sh/channel",
        "habitat.sh/group",
    ]
    assert 'policy rule a: it would be forced to "stable"' in said[3]
    assert outcome.unmet == (("policy rule a", action),)
    assert (outcome.audit, outcome.warnings)[action == "audit"] == ()


@pytest.mark.parametrize("action", ["warn", "audit"])
def test_rule_that_is_not_enforced_opts_nothing_in_and_nothing_out(action: str) -> None:
    opted_in = decided(f"- {{name: a, action: {action}, inject: true}}", a_pod({}))
    assert (opted_in.reason, opted_in.operations) == (Reason.NOT_ANNOTATED, [])
    assert "policy rule a: the pod would be injected" in opted_in.warnings + opted_in.audit
    kept = decided(f"- {{name: a, action: {action}, inject: never}}", a_pod())
    assert kept.reason is Reason.INJECTED
    assert "spec: policy rule a: the pod would not be injected" in kept.warnings + kept.audit


# injection itself -----------------------------------------------------------------------------------------------------

OPT_IN = "- {name: a, inject: true, defaults: {service: redis, license: accept}}"


@pytest.mark.parametrize(
    ("rules", "annotations", "labels", "reason"),
    [
        (OPT_IN, {}, {"habitat.sh/injection": "enabled"}, "Injected"),
        (OPT_IN, {}, {}, "NamespaceNotEnabled"),
        (OPT_IN, {}, {"habitat.sh/injection": "disabled"}, "NamespaceDisabled"),
        (OPT_IN, {"inject": "false"}, {"habitat.sh/injection": "enabled"}, "OptedOut"),
        (OPT_IN, {"inject": "true"}, {}, "Injected"),
        ("- {name: a, inject: true}", {}, {"habitat.sh/injection": "enabled"}, "Invalid"),
        ("- {name: a, inject: never}", {"service": "redis"}, {"habitat.sh/injection": "enabled"}, "PolicyNever"),
        ("- {name: a, inject: never}", {"service": "redis", "inject": "true"}, {}, "PolicyNever"),
        (
            "- {name: a, inject: never}\n- {name: b, inject: true}",
            {},
            {"habitat.sh/injection": "enabled"},
            "PolicyNever",
        ),
        (OPT_IN + "\n- {name: b, inject: never}", {}, {"habitat.sh/injection": "enabled"}, "Injected"),
    ],
)
def test_who_is_injected(rules: str, annotations: dict[str, str], labels: dict[str, str], reason: str) -> None:
    assert decided(rules, a_pod(annotations), labels=labels).reason.code == reason


def test_sidecars_and_shared_rings_of_the_policy_add_to_the_installations() -> None:
    made = policy("- {name: a, require: [service]}", more="sidecars: [log]\nsharedRings: [s.infra]\n")
    settings = made.settings(Settings(sidecars=frozenset({"x"}), shared_rings=frozenset({"r.infra"})))
    assert (settings.sidecars, settings.shared_rings) == ({"x", "log"}, {"r.infra", "s.infra"})
    assert made.settings(Settings(shared_rings=None)).shared_rings is None


# rules that do less than they seem to ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("- {name: a, match: {namespaces: [kube-system]}, inject: never}", "it can never match: pods of kube-system"),
        ("- {name: a, match: {namespaces: [kube-system, b]}, inject: never}", "kube-system has no effect"),
        (
            "- {name: a, match: {namespaces: [a, '!a']}, inject: never}",
            "it can never match: namespaces: a is taken out",
        ),
        ("- {name: a, match: {images: ['x/*', '!x*']}, inject: never}", "it can never match: images: x/* is taken out"),
        (
            (
                "- {name: a, match: {podSelector: {matchLabels: {a: b}, "
                "matchExpressions: [{key: a, operator: NotIn, values: [b]}]}}, inject: never}"
            ),
            "it can never match: podSelector wants a=b and a!=b",
        ),
        (
            (
                "- {name: a, match: {podSelector: {matchExpressions: "
                "[{key: a, operator: Exists}, {key: a, operator: DoesNotExist}]}}, inject: never}"
            ),
            "it can never match: podSelector wants a and !a",
        ),
        (
            (
                "- {name: a, match: {namespaceSelector: {matchExpressions: "
                "[{key: a, operator: In, values: [b]}, {key: a, operator: In, values: [c]}]}}, inject: never}"
            ),
            "it can never match: namespaceSelector wants a=b and a=c",
        ),
        (
            "- {name: a, match: {namespaceSelector: {matchLabels: {habitat.sh/injection: disabled}}}, inject: never}",
            "it can never match: pods of a namespace with such a label",
        ),
        ("- {name: a}", "it says nothing"),
        ("- {name: a, inject: never, force: {channel: x}}", "inject: never leaves its pods alone"),
        ("- {name: a, inject: true}", "policy.optIn"),
        (
            "- {name: a, force: {channel: x}, defaults: {channel: z}}",
            "defaults.channel has no effect: the rule forces it",
        ),
        ("- {name: a, force: {channel: x}, require: [channel]}", "require: channel is always said"),
        (
            "- {name: a, force: {channel: x}, allow: {channel: [z]}}",
            "force.channel: x is not allowed by the rule itself",
        ),
        (
            "- {name: a, force: {channel: x}}\n- {name: b, force: {channel: z}}",
            "force.channel has no effect: rule a says it",
        ),
        (
            (
                "- {name: a, match: {namespaces: ['s*']}, force: {channel: x}}\n"
                "- {name: b, match: {namespaces: [shop]}, force: {channel: z}}"
            ),
            "force.channel has no effect: rule a says it first",
        ),
        ("- {name: a, inject: never}\n- {name: b, match: {images: [x]}, inject: true}", "inject has no effect: rule a"),
    ],
)
def test_rule_that_does_less_than_it_seems_to_is_warned_of(rules: str, said: str) -> None:
    assert any(said in text for text in warned(rules)), warned(rules)


@pytest.mark.parametrize(
    "rules",
    [
        "- {name: a, match: {namespaces: [shop, '!lab']}, force: {channel: x}}",
        "- {name: a, match: {podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [b]}]}}, inject: never}",
        "- {name: a, match: {namespaces: [lab]}, force: {channel: x}}\n- {name: b, force: {channel: z}}",
        "- {name: a, action: audit, force: {channel: x}}\n- {name: b, force: {channel: z}}",
    ],
)
def test_rule_that_does_what_it_says_is_not_warned_of(rules: str) -> None:
    assert warned(rules) == []

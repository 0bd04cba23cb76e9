"""Policies that are refused: each mistake with line and column, all at once, quickly, and in little memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.policy.making import HEADER, policy, refused, text_of
from webhook.globs import Glob, Globs
from webhook.policy.grammar import MOST_RULES
from webhook.policy.policy import MOST_ABOUT_ONE, Policy
from webhook.policy.reader import MOST_BYTES, PolicyError
from webhook.policy.shapes import MOST_ISSUES

ONE = "- name: a\n  force: {channel: stable}\n"


def of(*lines: str) -> str:
    """A policy with one rule `a` and further lines of it; the first stands on line 5."""
    return HEADER + "rules:\n  - name: a\n" + "".join(f"    {line}\n" for line in lines)


MISTAKES = {
    # wrong types
    "rules no list": (HEADER + "rules: none\n", '3:8: here has to be a list, and this is the text "none"'),
    "rule no map": (HEADER + "rules: [a]\n", '3:9: here has to be a rule, and this is the text "a"'),
    "force no map": (of("force: stable"), "5:12: here has to be a map of options"),
    "value a list": (of("force: {channel: [a]}"), "5:22: the value is no single value"),
    "value a boolean": (of("force: {channel: yes}"), "5:22: the value is not a text; quote it"),
    "value empty": (of("force:", "  channel:"), "6:"),
    "name a number": (HEADER + "rules: [{name: 7}]\n", "3:16: here has to be a rule's name, and this is the number 7"),
    "namespaces a text": (of("match: {namespaces: shop}"), "5:25: here has to be a list"),
    "label a number": (of("match: {podSelector: {matchLabels: {a: 1}}}"), "quote it"),
    "key no text": (HEADER + "rules: []\n7: 8\n", "4:1: a key has to be a text, and this is the number 7; quote it"),
    "key a list": (HEADER + "rules: []\n? [a]\n: 8\n", "a key has to be a text"),
    "match empty": (of("match:"), "5:11: here has to be a match, and this is empty"),
    # unknown
    "unknown key": (of("forced: {channel: stable}"), '5:5: a rule has no key "forced"; did you mean force?'),
    "unknown top key": (HEADER + "rule: []\n", "did you mean rules?"),
    "unknown option": (of("force: {chanel: stable}"), "did you mean channel?"),
    "option with prefix": (of("force: {habitat.sh/channel: stable}"), "5:13: "),
    "option inject": (of("force: {inject: true}"), "say inject: true or inject: never in the rule itself"),
    "unknown action": (of("action: enforced"), "did you mean enforce?"),
    "unknown operator": (of("match: {podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}"), "In"),
    "other version": ("apiVersion: policy.habitat.sh/v2\nkind: Policy\nrules: []\n", "1:13: "),
    "other kind": ("apiVersion: policy.habitat.sh/v1\nkind: ConfigMap\nrules: []\n", "2:7: "),
    "no header": ("rules: []\n", "1:1: a policy needs the key apiVersion; write apiVersion: policy.habitat.sh/v1"),
    "no name": (HEADER + "rules: [{force: {channel: stable}}]\n", "3:9: a rule needs the key name"),
    # values, by the kinds of the annotations
    "bad choice": (of("force: {topology: star}"), '5:23: topology: "star" is not known; allowed: standalone, leader'),
    "bad port": (of("defaults: {http-port: 99999}"), "allowed: a whole number from 1 to 65535"),
    "bad in allow": (of("allow: {ring: [Shop]}"), '5:20: ring: "Shop" is not a ring\'s name'),
    "pattern of no value": (of("allow: {topology: ['star*']}"), "matches none of its values"),
    "pattern of a number": (of("deny: {http-port: ['80*']}"), "is a number"),
    "range of a text": (of("allow: {channel: {min: 1}}"), "here has to be a list"),
    "range backwards": (of("allow: {http-port: {min: 9, max: 8}}"), "no number is from 9 to 8"),
    "range of nothing": (of("allow: {http-port: {}}"), "a range needs min, max or both"),
    "required option unknown": (of("require: [licence]"), "did you mean license?"),
    "bad shared ring": (HEADER + "sharedRings: [shared]\nrules: []\n", "3:15: "),
    "bad sidecar": (HEADER + "sidecars: [Log]\nrules: []\n", "3:12: "),
    # selectors
    "In without values": (of("match: {podSelector: {matchExpressions: [{key: a, operator: In}]}}"), "In needs values"),
    "Exists with values": (
        of("match: {podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}"),
        "Exists takes no values",
    ),
    "bad label": (of("match: {podSelector: {matchLabels: {'a b': c}}}"), "is not a label's key"),
    "selector empty": (of("match: {podSelector: {}}"), "the selector is empty"),
    # names
    "regular expression": (of("match: {namespaces: ['^shop-.+$']}"), "in which * stands for any characters"),
    "name with a space": (HEADER + "rules: [{name: a b, inject: never}]\n", "is not a rule's name"),
    "name twice": (
        text_of("- {name: a, inject: never}\n- {name: a, inject: never}"),
        '5:5: the rule "a" is there already',
    ),
    # YAML
    "duplicate key": (of("force: {channel: a, channel: b}"), '5:25: the key "channel" is there already, on line 5'),
    "duplicate top key": (HEADER + "kind: Policy\nrules: []\n", '3:1: the key "kind" is there already, on line 2'),
    "anchor": (of("force: &x {channel: a}"), "5:12: anchors, aliases and tags are not allowed here"),
    "alias": (of("force: &x {channel: a}", "defaults: *x"), "6:15: anchors, aliases and tags are not allowed here"),
    "merge key": (of("<<: {inject: never}"), "5:5: << is not allowed here"),
    "tag": (of("force: !!python/object/apply:os.system [ls]"), "5:12: the tag"),
    "exclamation mark unquoted": (
        of("match: {namespaces: [!shop]}"),
        "5:31: did not find expected whitespace or line break; this is not YAML: indent with spaces, and quote",
    ),
    "no YAML": (HEADER + "rules: [\n", "4:1: "),
    "a tab": (HEADER + "rules:\n\t- a\n", "4:1: "),
    "two documents": (HEADER + "rules: []\n---\n" + HEADER + "rules: []\n", "4:1: the file has 2 documents"),
    "empty": ("# nothing\n", "1:1: the file is empty"),
    "nothing": ("", "1:1: the file is empty"),
    "not UTF-8": ((HEADER + "rules: []\n# ").encode() + b"\xff\n", "4:3: byte 0xFF is not UTF-8"),
    "a control character": (HEADER + "rules: []\n# \x07\n", "4:3: the character U+0007"),
}


@pytest.mark.parametrize(("content", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake_is_refused_with_its_place(content: str | bytes, said: str) -> None:
    issues = refused(content)
    assert any(said in issue for issue in issues), issues
    assert all(re.match(r"[1-9]\d*:[1-9]\d*: .+; .+", issue) for issue in issues), issues


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file() -> None:
    issues = refused(of("force: {topology: star}", "acton: warn", "require: [licence]", "deny: {http-port: [x]}"))
    assert [issue.split(":")[0] for issue in issues] == ["5", "6", "7", "8"]


def test_a_file_of_mistakes_shows_some_and_counts_the_others() -> None:
    rules = "".join(f"  - {{name: r{n}, oops: 1}}\n" for n in range(MOST_ISSUES + 7))
    with pytest.raises(PolicyError) as caught:
        Policy.of((HEADER + "rules:\n" + rules).encode(), "p.yaml")
    assert (len(caught.value.issues), caught.value.left_out) == (MOST_ISSUES, 7)
    assert str(caught.value).endswith("p.yaml: and 7 more mistakes")


BOMBS = {
    "laughs": "a: &a [x, x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)),
    "depth": HEADER + "rules: " + "[" * 100_000,
    "depth of maps": HEADER + "rules: " + "{a: " * 50_000,
    "many values": HEADER + "rules: [" + "a," * 400_000 + "]\n",
    "many keys": HEADER + "".join(f"k{n}: 1\n" for n in range(MOST_BYTES // 20)),
    "long text": HEADER + "rules: [{name: " + "a" * 900_000 + "}]\n",
    "long number": HEADER + "rules: [{name: a, allow: {http-port: {max: 4" + "0" * 900_000 + "}}}]\n",
    "long key": HEADER + "a" * 900_000 + ": 1\n",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_bomb_is_refused_and_its_message_is_short(content: str) -> None:
    issues = refused(content)
    assert issues
    assert max(map(len, issues)) < 1000


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 10 * 1024 * 1024])
def test_file_over_a_configmaps_size_is_refused_without_being_read_on(tmp_path: Path, size: int) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(HEADER.encode() + b"#" * (size - len(HEADER)))
    with pytest.raises(PolicyError, match=f"larger than {MOST_BYTES} bytes"):
        Policy.load(file)


def test_more_rules_than_allowed_are_refused() -> None:
    rules = "".join(f"- {{name: r{n}, inject: never}}\n" for n in range(MOST_RULES + 1))
    assert (
        f"the list has {MOST_RULES + 1} entries; allowed: at most {MOST_RULES}"
        in refused(HEADER + "rules:\n" + rules)[0]
    )


@pytest.mark.parametrize("match", ["{}", "{namespaces: ['*']}", "{namespaces: ['shop*']}", "{images: ['!x']}"])
def test_more_rules_about_one_pod_than_a_decision_can_look_at_are_refused(match: str) -> None:
    def rules(count: int) -> str:
        return "".join(f"- {{name: r{n}, match: {match}, require: [org]}}\n" for n in range(count))

    assert "more than 1,000 rules can be about the same pod" in refused(text_of(rules(MOST_ABOUT_ONE + 1)))[0]
    assert len(policy(rules(MOST_ABOUT_ONE)).document.rules) == MOST_ABOUT_ONE


def test_as_many_rules_as_allowed_about_different_pods_are_read() -> None:
    rules = "".join(f"- {{name: r{n}, match: {{namespaces: [n{n}]}}, inject: never}}\n" for n in range(MOST_RULES))
    assert len(policy(rules).document.rules) == MOST_RULES


def test_everything_that_is_allowed_is_read() -> None:
    made = policy(ONE, more="sidecars: [log]\nsharedRings: [shared.infra]\n")
    assert made.document.sidecars == {"log"}
    assert made.document.shared_rings == {"shared.infra"}
    assert policy("- {name: a, force: {http-port: 9700, probes: [readiness, startup]}}").document.rules[0].force == {
        "http-port": "9700",
        "probes": "readiness,startup",
    }
    assert Policy.of((HEADER + "rules: []\n").encode()).document.rules == ()


# patterns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("shop", "shop", True),
        ("shop", "shop2", False),
        ("*", "", True),
        ("prod-*", "prod-", True),
        ("prod-*", "xprod-1", False),
        ("*-prod", "a-prod", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("a*a", "a", False),
        ("ab*ba", "aba", False),
        ("a**c", "abc", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
    ],
)
def test_only_the_star_is_special(pattern: str, text: str, *, expected: bool) -> None:
    assert Glob.of(pattern).matches(text) is expected


def test_pattern_that_blows_up_a_backtracking_matcher_is_matched_at_once() -> None:
    """A matcher that tries every way would take 2**300 steps here, and the test would never end."""
    assert not Glob.of("*a" * 300 + "*b").matches("a" * 100_000)
    assert Glob.of("*a" * 300).matches("a" * 100_000)


def test_exclamation_mark_takes_out() -> None:
    assert Globs.of(["prod-*", "!prod-lab"]).matches("prod-1")
    assert not Globs.of(["prod-*", "!prod-lab"]).matches("prod-lab")
    assert Globs.of(["!lab"]).matches("shop")
    assert not Globs.of(["!lab"]).matches("lab")

"""Rings of this namespace and of others: their names, who may join, and what becomes of the pod."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.making import a_pod, env, injected, with_redis
from webhook.decide import Layer, Rules
from webhook.inject import Settings, Situation, apply, inject
from webhook.kinds import RING
from webhook.rings import Ring, shared_rings

SHARED = Ring("infra", "shared")
LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
"""apimachinery's IsValidLabelValue."""
OBJECT_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain, as the names of Secrets are."""


def dns_labels(longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(rf"[a-z0-9](?:[-a-z0-9]{{0,{longest - 2}}}[a-z0-9])?", fullmatch=True)


NAMES, NAMESPACES = dns_labels(50), dns_labels(63)


def joining(*rings: str, namespace: str = "shop") -> Situation:
    """A pod's namespace, in an installation that shares these rings."""
    return Situation(namespace=namespace, settings=Settings(shared_rings=frozenset(rings)))


# names ----------------------------------------------------------------------------------------------------------------


def test_a_ring_is_named_short_at_home_and_in_full_elsewhere() -> None:
    assert (SHARED.label_in("infra"), SHARED.label_in("shop")) == ("shared", "shared.infra")
    assert (SHARED.service, SHARED.service_dns("k8s.example")) == (
        "habitat-ring-shared",
        "habitat-ring-shared.infra.svc.k8s.example",
    )
    assert SHARED.key_secret_in("infra") == "habitat-ring-shared-key"
    assert SHARED.key_secret_in("shop") == "habitat-ring-shared.infra-key"
    assert str(SHARED) == "shared.infra"


def test_both_names_mean_one_ring() -> None:
    assert Ring.of("shared", "infra") == Ring.of("shared.infra", "infra") == Ring.of("shared.infra", "shop") == SHARED
    assert Ring.of("shared", "shop") == Ring("shop", "shared")


@given(NAMES, NAMESPACES, NAMESPACES)
def test_what_is_written_on_a_pod_reads_as_the_same_ring(name: str, home: str, elsewhere: str) -> None:
    assume(len(f"{name}.{home}") <= 63)
    ring = Ring(home, name)
    for namespace in (home, elsewhere):
        label = ring.label_in(namespace)
        assert Ring.of(label, namespace) == ring
        assert RING.parse(label) == label
        assert LABEL_VALUE.fullmatch(label)
        assert OBJECT_NAME.fullmatch(ring.key_secret_in(namespace))
    assert len(ring.service) <= 63


@given(NAMES, NAMES, NAMESPACES, NAMESPACES, NAMESPACES)
def test_two_rings_have_no_name_in_common(one: str, other: str, home: str, away: str, namespace: str) -> None:
    first, second = Ring(home, one), Ring(away, other)
    assume(first != second)
    assert first.label_in(namespace) != second.label_in(namespace)
    assert first.key_secret_in(namespace) != second.key_secret_in(namespace)
    assert first.service_dns("cluster.local") != second.service_dns("cluster.local")


@pytest.mark.parametrize(
    "label", ["", ".", "shared.", ".infra", "a.b.c", "Shared", "a_b", "a.B", "-a", "a" * 51, "a" * 50 + "." + "b" * 13]
)
def test_what_a_user_labels_by_hand_may_be_no_ring(label: str) -> None:
    with pytest.raises(ValueError, match="is not a ring's name"):
        Ring.of(label, "shop")


# the setting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rings"),
    [
        ("", set()),
        (" , ", set()),
        ("shared.infra", {"shared.infra"}),
        ("shared.infra,logs.platform", {"shared.infra", "logs.platform"}),
        ("shared.infra, logs.platform,\nshared.infra", {"shared.infra", "logs.platform"}),
    ],
)
def test_shared_rings_are_a_list(text: str, rings: set[str]) -> None:
    assert shared_rings(text) == rings


@pytest.mark.parametrize("word", ["shared", "a.b.c", "Shared.infra", ".infra", "shared.", "*", "a" * 51 + ".b"])
def test_a_shared_ring_without_its_namespace_is_refused_by_name(word: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: name\.namespace") as refused:
        shared_rings(f"logs.platform,{word}")
    assert f'"{word}"' in str(refused.value)


# pods -----------------------------------------------------------------------------------------------------------------


def test_pod_joins_a_shared_ring_of_another_namespace() -> None:
    pod = a_pod(with_redis(ring="shared.infra", ring_key="managed", discovery="dns"))
    container, outcome = injected(pod, joining("shared.infra"))
    service = "habitat-ring-shared.infra.svc.cluster.local"
    said = env(container)
    assert said["HABITAT_RING"] == "shared.infra"
    assert said["HABITAT_RING_SERVICE"] == service
    assert said["HAB_RING_KEY"] == {"secretKeyRef": {"name": "habitat-ring-shared.infra-key", "key": "ring-key"}}
    assert f"--peer={service}" in container["args"]
    assert apply(pod, outcome.operations)["metadata"]["labels"]["habitat.sh/ring"] == "shared.infra"
    assert outcome.warnings == ()


def test_a_rings_own_namespace_needs_no_list_and_may_use_either_name() -> None:
    here = Situation(namespace="infra")
    results = []
    for name in ("shared.infra", "shared"):
        pod = a_pod(with_redis(ring=name, ring_key="managed"))
        after = apply(pod, injected(pod, here)[1].operations)
        assert after["metadata"]["labels"]["habitat.sh/ring"] == "shared"
        del after["metadata"]["annotations"]["habitat.sh/ring"]
        results.append(after)
    assert results[0] == results[1]  # the record's digest, too: changing the name restarts nothing twice


def test_ring_that_is_not_shared_is_refused_with_what_to_do() -> None:
    outcome = inject(a_pod(with_redis(ring="shared.infra")), joining("logs.platform", "shared.other"))
    [problem] = outcome.problems
    assert str(problem) == (
        'habitat.sh/ring: "shared.infra" is a ring of namespace infra that is not shared with others; '
        "allowed: a ring of this namespace, such as shared, or a shared one: logs.platform, shared.other; "
        "to share it, ask the platform team to list shared.infra in the webhook's --shared-rings"
    )


def test_without_shared_rings_the_refusal_names_none() -> None:
    [problem] = inject(a_pod(with_redis(ring="shared.infra"))).problems
    assert problem.allowed.startswith("allowed: a ring of this namespace, such as shared; to share it, ask")


def test_refusal_shows_a_few_of_many_shared_rings() -> None:
    many = [f"r{i}.infra" for i in range(9)]
    [problem] = inject(a_pod(with_redis(ring="shared.infra")), joining(*many)).problems
    assert "a shared one: r0.infra, r1.infra, r2.infra, r3.infra, r4.infra, …; to share it" in problem.allowed


def test_refusal_comes_together_with_all_other_problems_and_in_every_mode() -> None:
    for more in ({"discovery": "none"}, {"peer": "10.0.0.1"}, {"discovery": "dns"}):
        outcome = inject(a_pod(with_redis(ring="shared.infra", group="a b") | more))
        assert [p.where for p in outcome.problems] == ["habitat.sh/group", "habitat.sh/ring"]


def test_ring_that_a_namespace_or_a_policy_says_is_held_to_the_same_list() -> None:
    layer = Layer("namespace shop", {"ring": "shared.infra"})
    for rules in (Rules(defaults=(layer,)), Rules(forced=(layer,))):
        refused = inject(a_pod(), Situation(rules=rules))
        [problem] = refused.problems
        assert problem.what.endswith("not shared with others (from namespace shop)")
        listed = Settings(shared_rings=frozenset({"shared.infra"}))
        container, _ = injected(a_pod(), Situation(rules=rules, settings=listed))
        assert env(container)["HABITAT_RING"] == "shared.infra"


def test_where_it_is_not_known_what_is_shared_a_ring_is_taken_with_a_warning() -> None:
    anywhere = Settings(shared_rings=None)
    container, outcome = injected(a_pod(with_redis(ring="shared.infra")), Situation(settings=anywhere))
    assert env(container)["HABITAT_RING"] == "shared.infra"
    assert outcome.warnings == ("habitat.sh/ring: the webhook refuses shared.infra unless its --shared-rings lists it",)
    assert injected(a_pod(with_redis(ring="shared")), Situation(settings=anywhere))[1].warnings == ()


def test_pod_that_was_injected_is_refused_once_its_ring_is_no_longer_shared() -> None:
    pod = a_pod(with_redis(ring="shared.infra"))
    after = apply(pod, inject(pod, joining("shared.infra")).operations)
    assert inject(after, joining("shared.infra")).reason.code == "AlreadyCurrent"
    assert inject(after, joining()).reason.code == "Invalid"

"""What the run calls a whole ring, and that it says so when one does not form or does not heal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.demo import scene, story
from tests.demo.install import confined
from tests.demo.rings import Sight, Watcher, problems
from tests.support.controller_rights import RIGHTS, SHARED_RINGS, shipped


def ring(*lists: str) -> list[Sight]:
    """Pods with the addresses 1, 2, …; each text has the addresses that one has been told of."""
    return [Sight(f"uid-{n}", f"pod-{n}", "r", str(n), tuple(text), False) for n, text in enumerate(lists, 1)]


@pytest.mark.parametrize("lists", [("",), ("2", "1"), ("23", "13", "12"), ("234", "134", "124", "123", "123")])
def test_a_ring_whose_lists_are_full_of_others_is_whole(lists: tuple[str, ...]) -> None:
    assert problems("r", len(lists), ring(*lists)) == []


@pytest.mark.parametrize(
    ("lists", "size", "said"),
    [
        (("2", "1"), 3, "has 2 pods, 2 with an address, instead of 3"),
        (("23", "13", ""), 3, "pod-3 of the ring r has been told of 0 others instead of 2"),
        (("23", "13", "1"), 3, "pod-3 of the ring r has been told of 1 others instead of 2"),
        (("123", "13", "12"), 3, "pod-1 of the ring r has been told of itself"),
        (("239", "13", "12"), 3, "pod-1 of the ring r has been told of 9, where no pod of its ring is"),
        (("234", "134", "124", "123", "678", "578", "568", "567"), 8, "make 2 groups that do not know each other"),
    ],
)
def test_a_ring_that_is_not_whole_is_told_of(lists: tuple[str, ...], size: int, said: str) -> None:
    (sentence,) = problems("r", size, ring(*lists))
    assert said in sentence


@pytest.fixture
def members(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Three pods of a ring that no controller looks after, in the place of the demo's namespace."""
    monkeypatch.setattr(story, "DEMO", namespace)
    monkeypatch.setattr(scene, "FORM_SECONDS", 1)
    monkeypatch.setattr(scene, "HEAL_SECONDS", 1)
    for name in ("a", "b", "c"):
        about = {"name": name, "namespace": namespace, "labels": {"habitat.sh/ring": "redis"}}
        spec = {"containers": [{"name": "redis", "image": "core/redis"}]}
        cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}))
    cluster.kubectl("wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    found: list[dict[str, Any]] = cluster.get("pods", "-n", namespace)["items"]
    return found


def test_rings_that_do_not_form_fail_the_run(cluster: Cluster, members: list[dict[str, Any]]) -> None:
    wrong = scene.play(cluster)
    assert any("of the ring redis has been told of 0 others instead of 2, after 1 s" in text for text in wrong)
    assert any("the ring shop has 0 pods" in text for text in wrong)


def test_a_ring_that_does_not_heal_fails_the_run(cluster: Cluster, members: list[dict[str, Any]]) -> None:
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in members}
    with Watcher(cluster, story.DEMO, {"redis": 3}) as watcher:
        for name in addresses:
            others = "\n".join(address for other, address in addresses.items() if other != name)
            cluster.kubectl("annotate", "pod", name, "-n", story.DEMO, f"habitat.sh/peers={others}")
        assert watcher.follow(lambda _: None, lambda: not watcher.problems(), seconds=60)
        wrong = scene._heal(cluster, watcher, "redis")
    assert wrong == ["the ring redis has 2 pods, 2 with an address, instead of 3, 1 s after a was deleted"]


def test_confined_rights_write_in_the_named_namespaces_only() -> None:
    given = shipped(RIGHTS, SHARED_RINGS)
    made = confined(given, ["one", "two"])
    everywhere = {v for d in made if d["kind"] == "ClusterRole" for rule in d["rules"] for v in rule["verbs"]}
    assert everywhere == {"list", "watch"}
    bound = {
        (d["roleRef"]["kind"], d["roleRef"]["name"], d["metadata"].get("namespace")) for d in made if "roleRef" in d
    }
    roles = {(d["kind"], d["metadata"]["name"], d["metadata"].get("namespace")) for d in made if "rules" in d}
    assert bound == roles
    for name in ("one", "two"):
        assert rights(made, name) == rights(given, None)


def rights(documents: list[dict[str, Any]], namespace: str | None) -> set[tuple[str, ...]]:
    """What the ClusterRoles and the Roles of a namespace allow, in single rights."""
    return {
        (verb, group, resource, name)
        for d in documents
        if d["kind"] == "ClusterRole" or (d["kind"] == "Role" and d["metadata"]["namespace"] == namespace)
        for rule in d["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }

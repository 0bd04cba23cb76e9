"""What is known of every ring, whichever comes last: an event of the watch, or the answer to a write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from webhook.ring.index import Index
from webhook.ring.pods import Member, member
from webhook.rings import Ring

RING = Ring("shop", "payments")


def pod(version: int, uid: str = "one", ring: str = "payments", **fields: Any) -> Member:
    metadata = {"namespace": "shop", "name": uid, "uid": uid, "labels": {"habitat.sh/ring": ring}}
    return replace(member({"metadata": metadata}), version=version, managed=True, injected=True, **fields)


def test_pod_that_is_gone_does_not_come_back_by_the_answer_to_a_write() -> None:
    """The watch may tell of the deletion before the thread that wrote has read its answer."""
    index = Index(frozenset())
    index.put(pod(1, address="10.0.0.1"))
    written = pod(2, address="10.0.0.1", peers=("10.0.0.2",))
    index.remove(pod(3))
    index.answered(written)
    assert index.members(RING) == []
    assert index.rings() == []


def test_answer_counts_until_the_watch_shows_something_newer() -> None:
    index = Index(frozenset())
    index.put(pod(1))
    index.answered(pod(3, peers=("10.0.0.2",)))
    index.put(pod(2))
    assert [m.peers for m in index.members(RING)] == [("10.0.0.2",)]
    assert index.put(pod(4, peers=("10.0.0.2",), address="10.0.0.1")) == {RING}
    assert [m.address for m in index.members(RING)] == ["10.0.0.1"]


def test_write_of_our_own_that_the_watch_shows_too_is_nothing_new() -> None:
    index = Index(frozenset())
    index.put(pod(1))
    index.answered(pod(2, peers=("10.0.0.2",)))
    assert index.put(pod(2, peers=("10.0.0.2",))) == set()


def test_change_of_somebody_else_that_an_answer_has_brought_already_is_looked_at_all_the_same() -> None:
    """Such as an address: the answer has it, and nobody was told."""
    index = Index(frozenset())
    index.put(pod(1, address="10.0.0.1"))
    index.answered(pod(3, address="10.0.0.9", peers=("10.0.0.2",)))
    assert index.put(pod(2, address="10.0.0.9")) == {RING}
    assert index.put(pod(3, address="10.0.0.9", peers=("10.0.0.2",))) == set()
    index.answered(pod(5, ring="other"))
    assert index.put(pod(4, ring="other")) == {Ring("shop", "other")}


def test_version_that_is_lower_counts_after_a_cluster_was_restored_from_a_backup() -> None:
    index = Index(frozenset())
    index.put(pod(900, address="10.0.0.1"))
    assert index.put(pod(20, address="10.0.0.2")) == {RING}
    assert [m.address for m in index.members(RING)] == ["10.0.0.2"]


def test_rings_that_an_object_concerns_are_those_of_the_pods_that_mount_it_now() -> None:
    index = Index(frozenset())
    index.put(pod(1, config_map="tuning"))
    index.put(pod(1, uid="two", ring="other", config_secret="tuning"))
    assert index.mounting("ConfigMap", "shop", "tuning") == {RING}
    assert index.mounting("Secret", "shop", "tuning") == {Ring("shop", "other")}
    assert index.mounting("ConfigMap", "elsewhere", "tuning") == set()
    index.put(pod(2, ring="other", config_map="tuning"))
    assert index.mounting("ConfigMap", "shop", "tuning") == {Ring("shop", "other")}
    index.put(pod(3, ring="other"))
    assert index.mounting("ConfigMap", "shop", "tuning") == set()
    index.remove(pod(1, uid="two"))
    assert index.mounting("Secret", "shop", "tuning") == set()


def test_answer_that_comes_after_something_newer_changes_nothing() -> None:
    index = Index(frozenset())
    index.put(pod(1))
    index.put(pod(3, gone=True))
    index.answered(pod(2, peers=("10.0.0.2",)))
    assert [m.gone for m in index.members(RING)] == [True]


def test_pod_that_goes_over_to_another_ring_concerns_both() -> None:
    index = Index(frozenset())
    assert index.put(pod(1)) == {RING}
    assert index.put(pod(2, ring="other")) == {RING, Ring("shop", "other")}
    assert index.members(RING) == []
    assert index.remove(pod(3)) == {Ring("shop", "other")}
    assert index.remove(pod(3)) == set()


def test_pod_of_a_ring_that_is_not_shared_is_filed_with_those_that_have_none() -> None:
    here, there = Index(frozenset()), Index(frozenset({"shared.infra"}))
    assert here.put(pod(1, ring="shared.infra")) == {Ring("shop", "")}
    assert there.put(pod(1, ring="shared.infra")) == {Ring("infra", "shared")}

"""What `status` finds in a ring: each code by the pods, Services and Secrets that bring it, and what brings none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.ring_pods import a_member, injected_pod, labelled_pod, stored
from webhook.ring import service
from webhook.ring.diagnosis import Secrets, build, doubtful, managed_keys
from webhook.ring.findings import BY_CONTROLLER, Code, Severity, listed
from webhook.ring.pods import Member, member
from webhook.ring.report import Finding, Presence, Report, RingStatus, Scope, Seeded, State
from webhook.rings import Ring

DOCS = Path(__file__).parents[2] / "docs"
DEFAULT, SHARED = Ring("shop", "default"), Ring("infra", "shared")
HERE = Scope("shop")
KEY = ("shop", "habitat-ring-default-key")

A, B, C, D = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"


def report(
    *members: Member,
    services: list[dict[str, Any]] | None = None,
    secrets: Secrets | None = None,
    scope: Scope = HERE,
) -> Report:
    """Each ring that a member names has its Service, unless other Services are given."""
    if services is None:
        services = [service.desired(ring) for ring in {m.ring for m in members if m.ring}]
    return build(members, services, secrets or {}, scope)


def only(found: Report) -> RingStatus:
    (status,) = found.rings
    return status


def codes(found: Report) -> list[str]:
    return [f.code.code for f in found.every_finding]


def finding(found: Report, code: Code) -> Finding:
    """The one finding there is; it has this code."""
    (one,) = found.every_finding
    assert one.code is code
    return one


def couple(**facts: Any) -> tuple[Member, Member]:
    """Two pods that name each other."""
    return a_member("a", A, peers=[B], **facts), a_member("b", B, peers=[A], **facts)


# a ring that is well --------------------------------------------------------------------------------------------------


def test_ring_whose_pods_name_each_other_has_no_findings() -> None:
    found = report(*couple())
    status = only(found)
    assert codes(found) == []
    assert (status.ring, status.in_part, status.keys) == (DEFAULT, False, ())
    assert status.service.presence is Presence.PRESENT
    assert [(p.member.name, p.state, p.seeded) for p in status.pods] == [
        ("a", State.RUNNING, Seeded.YES),
        ("b", State.RUNNING, Seeded.YES),
    ]
    assert [[(p.address, p.pod.name if p.pod else "") for p in pod.peers] for pod in status.pods] == [
        [(B, "b")],
        [(A, "a")],
    ]


def test_first_pod_alone_is_seeded_without_a_list() -> None:
    found = report(a_member("a", A))
    assert codes(found) == []
    assert only(found).pods[0].seeded is Seeded.FIRST


@pytest.mark.parametrize("list_of_b", [[A], []], ids=["listed", "not listed"])
def test_pod_that_only_lists_others_connects_as_well_as_one_that_is_listed(list_of_b: list[str]) -> None:
    """Whoever is asked knows who asks; so C, which names A, is connected with both."""
    members = [a_member("a", A, peers=[B]), a_member("b", B, peers=list_of_b), a_member("c", C, peers=[A])]
    assert Code.ISLANDS.code not in codes(report(*members))


def test_pod_without_an_address_is_neither_seeded_nor_wrong() -> None:
    found = report(*couple(), a_member("c", running=False))
    assert codes(found) == []
    pod = only(found).pods[2]
    assert (pod.state, pod.seeded) == (State.STARTING, Seeded.NONE)


def test_pod_that_goes_counts_for_nothing() -> None:
    found = report(*couple(), a_member("c", C, peers=[D], going=True))
    assert codes(found) == []
    pod = only(found).pods[2]
    assert (pod.state, pod.seeded) == (State.GOING, Seeded.NONE)


def test_pod_whose_container_has_run_before_is_restarting() -> None:
    found = report(a_member("a", A, running=False, started=True))
    assert only(found).pods[0].state is State.RESTARTING


def test_pod_with_discovery_dns_belongs_to_the_ring_and_needs_no_list() -> None:
    found = report(*couple(), a_member("c", C, discovery="dns"))
    assert codes(found) == []
    assert only(found).pods[2].seeded is Seeded.NONE
    assert len(only(found).graph.nodes) == 2


@pytest.mark.parametrize("discovery", [{"discovery": "none"}, {"peer": "192.0.2.1"}], ids=["none", "external"])
def test_pod_of_another_discovery_is_in_no_ring(discovery: dict[str, str]) -> None:
    found = report(a_member("a", A, **discovery))
    assert (codes(found), found.rings) == ([], ())
    assert [p.member.name for p in found.outside] == ["a"]


# peers ----------------------------------------------------------------------------------------------------------------


def test_pod_without_a_peer_though_others_live_is_found() -> None:
    found = report(*couple(), a_member("c", C, age=10))
    one = finding(found, Code.NO_PEER)
    assert one.pods == ("shop/c",)
    assert one.message == "c: no live peer in the list, though 2 other pods live in the ring"
    assert only(found).pods[2].seeded is Seeded.NO


def test_oldest_pod_counts_as_first_and_is_found_all_the_same_when_it_has_no_peer() -> None:
    """If its container restarts now, it is stranded (supervisor.md §0)."""
    found = report(a_member("a", A, age=900), a_member("b", B, peers=[A]))
    assert finding(found, Code.NO_PEER).pods == ("shop/a",)
    assert [p.seeded for p in only(found).pods] == [Seeded.FIRST, Seeded.YES]


def test_oldest_pod_that_nobody_has_been_told_of_is_not_seeded_beside_others() -> None:
    found = report(a_member("old", C, age=900), *couple())
    assert finding(found, Code.NO_PEER).pods == ("shop/old",)
    assert [(p.member.name, p.seeded) for p in only(found).pods if p.seeded is not Seeded.YES] == [("old", Seeded.NO)]


def test_two_groups_that_do_not_name_each_other_are_islands() -> None:
    apart = a_member("c", C, peers=[D]), a_member("d", D, peers=[C]), a_member("e", "10.0.0.5", peers=[D])
    one = finding(report(*couple(), *apart), Code.ISLANDS)
    assert one.message == "2 groups that do not name each other: c, d and e | a and b"
    assert one.pods == ("shop/a", "shop/b")


def test_pod_alone_beside_a_group_is_no_island_but_has_no_peer() -> None:
    assert codes(report(*couple(), a_member("c", C), a_member("d", D))) == [Code.NO_PEER.code]


def test_address_that_nobody_has_is_found() -> None:
    found = report(a_member("a", A, peers=[B, "10.9.9.9"]), a_member("b", B, peers=[A]))
    one = finding(found, Code.DEAD_PEER)
    assert one.message == "10.9.9.9, which no live pod of the ring has, is named by a"
    assert one.pods == ("shop/a",)
    assert [p.pod for p in only(found).pods[0].peers][1:] == [None]


def test_address_of_a_pod_that_goes_is_found_with_its_name() -> None:
    found = report(a_member("a", A, peers=[B, C]), a_member("b", B, peers=[A]), a_member("c", C, going=True))
    assert finding(found, Code.DEAD_PEER).message == "10.0.0.3, which is c, a pod that is going, is named by a"


def test_address_of_a_pod_that_is_no_member_is_found_with_its_name() -> None:
    hand = member(stored(labelled_pod("hand"), C))
    found = report(a_member("a", A, peers=[B, C]), a_member("b", B, peers=[A]), hand)
    assert codes(found) == [Code.NOT_INJECTED.code, Code.DEAD_PEER.code]
    assert found.every_finding[1].message == "10.0.0.3, which is hand, no member, is named by a"


def test_many_dead_addresses_are_one_finding() -> None:
    dead = [f"10.9.9.{n}" for n in range(5)]
    found = report(a_member("a", A, peers=[B, *dead]), a_member("b", B, peers=[A, dead[0]]))
    one = finding(found, Code.DEAD_PEER)
    assert one.message.startswith("10.9.9.0, which no live pod of the ring has, is named by a and b; ")
    assert one.message.endswith("; 10.9.9.2, which no live pod of the ring has, is named by a; and 2 more")
    assert one.pods == ("shop/a", "shop/b")


def test_address_of_another_ring_s_pod_is_found_with_that_ring() -> None:
    other = a_member("x", C, ring="other")
    found = report(a_member("a", A, peers=[B, C]), a_member("b", B, peers=[A]), other)
    one = finding(found, Code.FOREIGN_PEER)
    assert one.message == "10.0.0.3, which is shop/x of the ring other.shop, is named by a"
    assert one.pods == ("shop/a",)


def test_own_address_in_the_list_is_found() -> None:
    found = report(a_member("a", A, peers=[A, B]), a_member("b", B, peers=[A]))
    assert finding(found, Code.OWN_ADDRESS).pods == ("shop/a",)
    alone = report(a_member("a", A, peers=[A]))
    assert codes(alone) == [Code.OWN_ADDRESS.code]


def test_same_address_with_another_port_is_another_supervisor() -> None:
    found = report(a_member("a", A, peers=[f"{B}:9639"]), a_member("b", B, peers=[A], gossip_port="9639"))
    assert codes(found) == []
    wrong = report(a_member("a", A, peers=[B]), a_member("b", B, peers=[A], gossip_port="9639"))
    assert codes(wrong) == [Code.NO_PEER.code, Code.DEAD_PEER.code]


def test_pod_that_runs_without_an_ipv4_address_is_found() -> None:
    found = report(*couple(), a_member("c", "fd00::3"))
    assert finding(found, Code.NO_IPV4).pods == ("shop/c",)


# the Service ----------------------------------------------------------------------------------------------------------


def test_missing_service_is_found_where_there_are_pods() -> None:
    found = report(*couple(), services=[])
    assert finding(found, Code.SERVICE_MISSING).message == "there is no Service shop/habitat-ring-default"
    assert only(found).service.presence is Presence.MISSING


def test_service_is_not_missed_where_no_pod_needs_one() -> None:
    found = report(a_member("a", A, going=True), services=[])
    assert codes(found) == []
    assert only(found).service.presence is Presence.UNNEEDED


def test_drifted_service_is_found_with_what_has_changed() -> None:
    drifted = service.desired(DEFAULT)
    drifted["spec"]["selector"] = {"app": "web"}
    found = report(*couple(), services=[drifted])
    one = finding(found, Code.SERVICE_DRIFTED)
    (sentence,) = only(found).service.drift
    assert one.message == f"the Service shop/habitat-ring-default: {sentence}"
    assert 'spec.selector is "app=web"' in sentence


def test_service_of_somebody_else_is_found() -> None:
    foreign = service.desired(DEFAULT)
    del foreign["metadata"]["labels"]
    found = report(*couple(), services=[foreign])
    finding(found, Code.SERVICE_FOREIGN)
    assert only(found).service.presence is Presence.FOREIGN
    assert report(services=[foreign]).rings == ()


def test_service_of_an_empty_ring_is_a_note() -> None:
    found = report(services=[service.desired(DEFAULT)])
    assert finding(found, Code.RING_EMPTY).message == "no pod of this namespace is in this ring"
    assert found.count(Severity.ERROR) == 0


def test_other_services_are_no_rings() -> None:
    other = {"metadata": {"name": "web", "namespace": "shop", "labels": service.labels("web")}, "spec": {}}
    assert report(services=[other]).rings == ()


def test_services_that_may_not_be_listed_are_not_judged() -> None:
    found = build(couple(), None, {}, HERE)
    assert codes(found) == []
    assert only(found).service.presence is Presence.UNCHECKED


# keys -----------------------------------------------------------------------------------------------------------------


def test_managed_key_that_is_there_is_no_finding() -> None:
    found = report(*couple(ring_key="managed"), secrets={KEY: True})
    assert codes(found) == []
    (key,) = only(found).keys
    assert (key.namespace, key.secret, key.managed, key.presence) == (*KEY, True, Presence.PRESENT)


def test_managed_key_that_may_not_be_asked_for_is_not_judged() -> None:
    found = report(*couple(ring_key="managed", running=False), secrets={KEY: None})
    assert codes(found) == []
    assert only(found).keys[0].presence is Presence.UNCHECKED
    assert only(found).pods[0].state is State.STARTING


def test_secrets_to_look_for_are_those_of_managed_keys_of_pods_that_are_there() -> None:
    members = [
        *couple(ring_key="managed"),
        a_member("own", C, ring_key="my-key"),
        a_member("none", D),
        a_member("gone", "10.0.0.5", ring="late", ring_key="managed", going=True),
        a_member("far", "10.0.0.6", "web", ring="shared.infra", ring_key="managed"),
    ]
    assert managed_keys(members) == {KEY, ("web", "habitat-ring-shared.infra-key")}


def test_pods_wait_for_a_key_that_was_not_made_yet() -> None:
    found = report(*couple(ring_key="managed", running=False), secrets={KEY: False})
    assert codes(found) == [Code.KEY_NOT_MADE.code, Code.WAITS_FOR_KEY.code]
    assert found.every_finding[1].pods == ("shop/a", "shop/b")
    assert {p.state for p in only(found).pods} == {State.WAITS_FOR_KEY}


def test_key_that_a_running_pod_has_used_is_lost() -> None:
    young = a_member("c", C, peers=[A], ring_key="managed", running=False)
    found = report(*couple(ring_key="managed"), young, secrets={KEY: False})
    assert codes(found) == [Code.KEY_LOST.code, Code.WAITS_FOR_KEY.code]
    assert "Restore it from a pod that still runs" in found.every_finding[0].message
    assert found.every_finding[0].pods == ("shop/a", "shop/b", "shop/c")
    assert found.every_finding[1].pods == ("shop/c",)


def test_key_whose_revision_the_service_knows_is_lost() -> None:
    marked = service.with_key_revision(service.desired(DEFAULT), "default.shop-20260301120000")
    found = report(*couple(ring_key="managed", running=False), secrets={KEY: False}, services=[marked])
    assert codes(found) == [Code.KEY_LOST.code, Code.WAITS_FOR_KEY.code]
    assert "default.shop-20260301120000" in found.every_finding[0].message


def test_missing_copy_of_a_shared_ring_s_key_is_never_called_lost() -> None:
    home = a_member("h", A, "infra", ring="shared", ring_key="managed", peers=[B])
    guest = a_member("g", B, ring="shared.infra", ring_key="managed", peers=[A])
    secrets: Secrets = {
        ("infra", "habitat-ring-shared-key"): True,
        ("shop", "habitat-ring-shared.infra-key"): False,
    }
    found = report(home, guest, secrets=secrets, scope=Scope())
    one = finding(found, Code.KEY_NOT_MADE)
    assert one.message.endswith("the controller copies it from infra/habitat-ring-shared-key")
    assert one.pods == ("shop/g",)
    assert [(k.namespace, k.presence) for k in only(found).keys] == [
        ("infra", Presence.PRESENT),
        ("shop", Presence.MISSING),
    ]


def test_own_key_is_not_looked_at() -> None:
    found = report(*couple(ring_key="my-key"), secrets={("shop", "my-key"): False})
    assert codes(found) == []
    (key,) = only(found).keys
    assert (key.secret, key.managed, key.presence) == ("my-key", False, Presence.UNCHECKED)


def test_key_on_some_pods_only_is_found() -> None:
    found = report(a_member("a", A, peers=[B], ring_key="managed"), a_member("b", B, peers=[A]), secrets={KEY: True})
    one = finding(found, Code.KEYS_DIFFER)
    assert one.pods == ("shop/b",)
    assert one.message == "b: without a ring key, though other pods of the ring have one"


# labels ---------------------------------------------------------------------------------------------------------------


def test_pod_labelled_by_hand_is_found_and_is_no_member() -> None:
    hand = member(stored(labelled_pod("hand"), C))
    found = report(*couple(), hand)
    assert finding(found, Code.NOT_INJECTED).pods == ("shop/hand",)
    pod = only(found).pods[2]
    assert (pod.state, pod.seeded) == (State.NOT_INJECTED, Seeded.NONE)


def test_pods_labelled_by_hand_alone_need_no_service() -> None:
    found = report(member(stored(labelled_pod("hand"), A)), services=[])
    assert codes(found) == [Code.NOT_INJECTED.code]


@pytest.mark.parametrize("label", ["habitat.sh/ring", "habitat.sh/service"])
def test_member_that_has_lost_a_label_is_found(label: str) -> None:
    found = report(*couple(), member(stored(injected_pod("c"), C, labels={label: None})))
    one = finding(found, Code.LABEL_REMOVED)
    assert one.pods == ("shop/c",)
    assert label in one.message


def test_label_that_is_no_ring_s_name_is_found() -> None:
    for pod in (injected_pod("odd"), labelled_pod("odd")):
        found = report(member(stored(pod, A, labels={"habitat.sh/ring": "Default_Ring"})))
        one = finding(found, Code.NOT_A_RING)
        assert one.message == "no ring's name: shop/odd has habitat.sh/ring=Default_Ring"
        assert found.rings == ()


# shared rings, and rings seen in part ---------------------------------------------------------------------------------


def guests() -> tuple[Member, Member]:
    """Pods of shop in the ring shared.infra; B is a member that nobody in shop has."""
    return a_member("g1", A, peers=[B], ring="shared.infra"), a_member("g2", C, peers=[A, B], ring="shared.infra")


def test_ring_that_is_known_not_to_be_shared_is_refused() -> None:
    found = report(*guests(), services=[], scope=Scope("shop", shared=frozenset({"logs.platform"})))
    one = finding(found, Code.NOT_SHARED)
    assert one.pods == ("shop/g1", "shop/g2")
    assert one.message == "not shared: shop/g1 names the ring shared.infra; shop/g2 names the ring shared.infra"
    assert found.rings == ()


@pytest.mark.parametrize("shared", [None, frozenset({"shared.infra"})], ids=["not said", "listed"])
def test_ring_of_another_namespace_is_seen_in_part_and_its_addresses_are_not_judged(
    shared: frozenset[str] | None,
) -> None:
    found = report(*guests(), services=[], scope=Scope("shop", shared=shared))
    status = only(found)
    assert (status.ring, status.in_part) == (SHARED, True)
    assert codes(found) == [Code.SEEN_IN_PART.code]
    assert status.service.presence is Presence.UNCHECKED
    assert [p.seeded for p in status.pods] == [Seeded.UNKNOWN, Seeded.YES]


def test_all_namespaces_show_a_shared_ring_whole() -> None:
    home = a_member("h", B, "infra", ring="shared", peers=[A])
    found = report(home, *guests(), scope=Scope(shared=frozenset({"shared.infra"})))
    assert codes(found) == []
    assert only(found).in_part is False
    assert [p.member.namespace for p in only(found).pods] == ["infra", "shop", "shop"]
    stale = report(*guests(), scope=Scope())
    assert codes(stale) == [Code.NO_PEER.code, Code.DEAD_PEER.code]


def test_pod_alone_in_sight_of_a_shared_ring_may_be_seeded_or_not() -> None:
    found = report(a_member("g", A, ring="shared.infra"), services=[])
    assert codes(found) == [Code.SEEN_IN_PART.code]
    assert only(found).pods[0].seeded is Seeded.UNKNOWN


def test_pod_with_an_empty_list_beside_others_in_sight_is_found_even_in_part() -> None:
    found = report(*guests(), a_member("g3", D, ring="shared.infra"), services=[])
    assert codes(found) == [Code.NO_PEER.code, Code.SEEN_IN_PART.code]
    assert found.every_finding[0].pods == ("shop/g3",)


def test_ring_at_home_is_in_doubt_only_while_a_list_names_somebody_who_is_not_in_sight() -> None:
    whole, stale = couple(), a_member("c", C, peers=[A, "10.9.9.9"])
    assert doubtful(whole, HERE) == frozenset()
    assert doubtful([*whole, stale], HERE) == {DEFAULT}
    assert doubtful([*whole, stale], Scope()) == frozenset()
    assert doubtful([*whole, stale], Scope("shop", shared=frozenset())) == frozenset()
    assert doubtful(guests(), HERE) == frozenset()


def test_ring_at_home_with_members_elsewhere_is_not_judged_by_what_is_not_in_sight() -> None:
    stale = a_member("c", C, peers=[A, "10.9.9.9"])
    found = report(*couple(), stale, scope=Scope("shop", elsewhere=frozenset({DEFAULT})))
    assert codes(found) == [Code.SEEN_IN_PART.code]
    assert codes(report(*couple(), stale)) == [Code.DEAD_PEER.code]


# configuration --------------------------------------------------------------------------------------------------------


def test_different_generations_of_one_configuration_are_a_note() -> None:
    found = report(
        a_member("a", A, peers=[B], config_map="web", generation="aaaa"),
        a_member("b", B, peers=[A], config_map="web", generation="bbbb"),
    )
    one = finding(found, Code.ROLLOUT)
    assert one.message == "2 versions of the ConfigMap web (aaaa: a, bbbb: b)"
    assert found.count(Severity.ERROR) == 0


def test_different_configurations_have_different_generations() -> None:
    found = report(
        a_member("a", A, peers=[B], config_map="one", generation="aaaa"),
        a_member("b", B, peers=[A], config_map="two", generation="bbbb"),
    )
    assert codes(found) == []


def test_pod_that_was_not_told_of_a_generation_yet_is_no_rollout() -> None:
    found = report(
        a_member("a", A, peers=[B], config_secret="web", generation="aaaa"),
        a_member("b", B, peers=[A], config_secret="web"),
    )
    assert codes(found) == []


# all together ---------------------------------------------------------------------------------------------------------


def test_rings_are_in_order_and_what_is_in_none_comes_last() -> None:
    found = report(
        a_member("z", A, "shop", ring="b"),
        a_member("y", B, "shop", ring="a"),
        a_member("x", C, "cart"),
        a_member("w", D, "shop", discovery="none"),
        scope=Scope(),
    )
    assert [str(status.ring) for status in found.rings] == ["default.cart", "a.shop", "b.shop"]
    assert [p.member.name for p in found.outside] == ["w"]
    assert codes(found) == []


def test_names_in_a_sentence_are_three_and_a_number() -> None:
    assert [listed(list("abcde")[:n]) for n in range(1, 6)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 1 more",
        "a, b, c and 2 more",
    ]


def test_pods_of_other_namespaces_are_named_in_full() -> None:
    members = [a_member(f"g{n}", f"10.0.1.{n}", ring="shared.infra") for n in range(2)]
    found = report(*members, a_member("h", A, "infra", ring="shared"), scope=Scope())
    assert finding(found, Code.NO_PEER).message.startswith("h, shop/g0 and shop/g1: ")


def test_codes_are_unique_words() -> None:
    assert len({code.code for code in Code}) == len(Code)
    assert all(re.fullmatch("[A-Z][A-Za-z0-9]+", code.code) for code in Code)


def test_every_code_is_in_the_documentation_with_what_it_means_and_what_to_do() -> None:
    page = (DOCS / "troubleshooting.md").read_text()
    _, _, section = page.partition("\n## Rings\n")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    expected = [row(code) for code in Code]
    assert rows == expected, "the table should be:\n" + "\n".join(expected)


def row(code: Code) -> str:
    """A row of docs/troubleshooting.md; what is said above the table for all is not repeated."""
    advice = code.advice.replace(BY_CONTROLLER, "*Controller.*").strip() or "Nothing."
    severity = " (note)" if code.severity is Severity.NOTE else ""
    return f"| `{code.code}`{severity} | {code.meaning} | {advice} |"

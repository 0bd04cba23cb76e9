"""The benchmark of rings: pods as the webhook makes them, and figures that mean what they are called."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.rings import figures
from bench.rings.__main__ import scale, write
from bench.rings.ground import OURS, REFERENCE, Design
from bench.rings.observer import Content, Observer, Projection
from bench.rings.run import Cost, Healed, Result, Up
from bench.rings.scale import Scale, deployment
from tests.kube.server import scripted
from webhook.kube.client import Client
from webhook.options import INJECTED
from webhook.ring.pods import member
from webhook.rings import Ring


def test_the_pods_are_members_of_their_ring_without_asking_the_webhook() -> None:
    made = deployment("redis-3-0", "ring-3")
    template = made["spec"]["template"]
    pod = member({**template, "metadata": template["metadata"] | {"namespace": "default", "name": "a", "uid": "1"}})
    assert made["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert INJECTED in template["metadata"]["annotations"]
    assert (pod.ring, pod.managed, pod.injected) == (Ring("default", "ring-3"), True, True)


@pytest.mark.parametrize("one", [Scale(100), Scale(5000), Scale(5000, 50), Scale(103, 2)])
def test_the_deployments_of_a_scale_have_all_its_pods(one: Scale) -> None:
    found = list(one.deployments().values())
    assert sum(replicas for _, replicas in found) == one.pods
    assert len({ring for ring, _ in found}) == one.rings


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    with scripted(lambda request: request.hang_up()) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
    return Observer(client, config_maps=False)


def pod(name: str, address: str = "", *peers: str, gone: bool = False, ring: str = "a") -> Projection:
    return Projection(f"uid-{name}", name, ring, "redis", address, peers, gone)


def test_a_pod_waits_from_its_address_to_its_first_peers_and_the_first_of_a_ring_for_nobody(observer: Observer) -> None:
    for one in (pod("1"), pod("1", "10.0.0.1"), pod("2", "10.0.0.2"), pod("3", "10.0.0.3", ring="b")):
        observer.see_pod(None, one)
    assert observer.waits() == []
    observer.see_pod(None, pod("2", "10.0.0.2", "10.0.0.1"))
    first = observer.waits()
    observer.see_pod(None, pod("2", "10.0.0.2", "10.0.0.1", "10.0.0.9"))
    observer.see_pod(None, pod("1", "10.0.0.1", "10.0.0.2"))
    assert len(first) == 1
    assert observer.waits() == first
    assert (observer.addresses, observer.told) == (3, 2)
    assert observer.lists == 3


def test_lists_are_right_when_they_are_full_and_all_in_them_live(observer: Observer) -> None:
    observer.see_pod(None, pod("1", "10.0.0.1"))
    assert observer.right()
    observer.see_pod(None, pod("2", "10.0.0.2", "10.0.0.1"))
    assert not observer.right()
    observer.see_pod(None, pod("1", "10.0.0.1", "10.0.0.2"))
    assert observer.right()
    assert observer.in_one_piece()
    observer.see_pod(None, pod("2", "10.0.0.2", "10.0.0.1", gone=True))
    assert not observer.right()
    assert len(observer.dead()) == 1


def test_the_reference_has_told_of_a_pod_when_its_config_map_has_the_address(observer: Observer) -> None:
    told = Observer(observer.client, config_maps=True)
    told.see_pod(None, pod("1", "10.0.0.1"))
    told.see_config_map(None, Content("a", frozenset({"10.0.0.1", "10.0.0.2"}), 17))
    assert not told.right()
    told.see_pod(None, pod("2", "10.0.0.2"))  # the other watch is sometimes the faster one
    assert told.told == 2
    assert told.waits() == [0.0]
    assert told.right()
    assert told.list_bytes == 17


def result(design: Design, wait: float) -> Result:
    cost = Cost(writes=120, refused=0, list_bytes=2048, cpu_seconds=0.5, server_seconds=3.0)
    return Result(
        scale=Scale(100),
        design=design,
        up=Up(pods_a_second=40.0, waits=[wait] * 99, cost=cost),
        any_tenth=Healed(10, 0.1, 0.0, cost),
        worst_tenth=Healed(10, 0.1, 1.5, cost),
        at_start=50.0,
        at_scale=52.0,
        at_most=53.0,
        cuts=0,
    )


def test_the_table_has_the_reference_beside_ours_and_the_ratio_below() -> None:
    made = figures.section([result(OURS, 0.1), result(REFERENCE, 0.05)])
    assert [row[1] for row in made.rows] == [OURS.name, REFERENCE.name, "ours in terms of it"]
    at = made.columns.index("p99 s")
    assert [row[at] for row in made.rows] == ["0.100", "0.050", "2×"]
    assert {len(row) for row in made.rows} == {len(made.columns)}
    assert [verdict.met for verdict in made.verdicts[0]] == [True, True, True, True]
    assert made.verdicts[1:] == [[], []]


def test_a_page_is_written_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    with pytest.raises(BenchError, match="add them where the table should be"):
        write(page, "new")
    page.write_text("before\n<!-- written by `make bench-rings` -->\nold\n<!-- to here -->\nafter\n")
    write(page, "new")
    assert page.read_text() == "before\n<!-- written by `make bench-rings` -->\nnew\n<!-- to here -->\nafter\n"


def test_a_scale_is_read_as_it_is_written() -> None:
    assert scale("100") == Scale(100)
    assert scale("5000/50") == Scale(5000, rings=50)
    assert scale("5000/50@20") == Scale(5000, rings=50, rate=20)
    for wrong in ("many", "10", "100/50", "100/0", "@3"):
        with pytest.raises(argparse.ArgumentTypeError, match="PODS"):
            scale(wrong)

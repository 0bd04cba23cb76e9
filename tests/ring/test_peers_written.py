"""What a look writes first, and when it looks again: pods that wait for their peers come before lists to be mended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.kube.server import Request, Scripted, scripted
from tests.support.ring_pods import injected_pod, stored
from webhook.kube.client import Client
from webhook.log import Log
from webhook.ring.index import Index
from webhook.ring.metrics import Metrics
from webhook.ring.pods import Member, member
from webhook.ring.reconcile.peers import Peers
from webhook.ring.reconcile.writes import Batch, Change, Writer

SEEDS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
YOUNG = "web-22"


def pod(number: int, peers: list[str] | None) -> dict[str, Any]:
    return stored(injected_pod(f"web-{number}"), f"10.0.0.{number}", peers=peers)


def bereft() -> list[dict[str, Any]]:
    """Twenty pods whose lists name a pod that has died, and a young one without a list."""
    return [pod(number, [one for one in SEEDS if one != f"10.0.0.{number}"]) for number in range(2, 22)] + [
        pod(22, None)
    ]


@dataclass(slots=True)
class Stock:
    """An API server's pods. written: the names of those that were patched, in that order. refuses: those it refuses."""

    pods: dict[str, dict[str, Any]]
    written: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    before: bytes = b""

    def __post_init__(self) -> None:
        self.before = orjson.dumps(self.pods)

    def restore(self) -> None:
        """Have the pods be as they were in the beginning."""
        self.pods = orjson.loads(self.before)

    def answer(self, request: Request) -> None:
        """To a patch: the pod as it was, with the list that was written."""
        name = request.path.partition("?")[0].rpartition("/")[2]
        self.written.append(name)
        if name in self.refuses:
            request.send(500, {"kind": "Status", "code": 500, "reason": "InternalError", "message": "no"})
            return
        found = self.pods[name]
        for operation in orjson.loads(request.body):
            if operation["op"] == "add":
                found["metadata"]["annotations"]["habitat.sh/peers"] = operation["value"]
        request.send(200, found)


@pytest.fixture
def stock() -> Stock:
    return Stock({one["metadata"]["name"]: one for one in bereft()})


@pytest.fixture
def server(stock: Stock) -> Iterator[Scripted]:
    with scripted(stock.answer) as made:
        yield made


@dataclass(slots=True)
class Bench:
    writer: Writer
    peers: Peers
    metrics: Metrics


@pytest.fixture
def bench(server: Scripted, tmp_path: Path) -> Iterator[Bench]:
    """With one write at a time."""
    with at_work(server, tmp_path, workers=1) as made:
        yield made


@contextlib.contextmanager
def at_work(server: Scripted, folder: Path, *, workers: int) -> Iterator[Bench]:
    client = Client.connect(server.kubeconfig(folder / "config"))
    metrics, log = Metrics(), Log("error")
    writer = Writer(client, workers=workers, rings=2, allowed=lambda: True, metrics=metrics, log=log)
    try:
        yield Bench(writer, Peers(writer, Index(frozenset()), metrics, log), metrics)
    finally:
        writer.stop()
        client.close()


def members(stock: Stock) -> list[Member]:
    return [member(one) for one in stock.pods.values()]


def observed(metrics: Metrics) -> float:
    return metrics.exposition.registry.get_sample_value("habitat_webhook_peers_written_seconds_count") or 0.0


def test_pod_without_peers_is_written_before_all_lists_that_lost_a_name(bench: Bench, stock: Stock) -> None:
    batch = bench.peers.look(members(stock), {})
    assert stock.written[0] == YOUNG
    assert (batch.well, batch.more, len(batch.results)) == (True, False, 21)


def test_pod_whose_write_has_failed_holds_up_nobody_the_next_time(bench: Bench, stock: Stock) -> None:
    stock.refuses = {YOUNG}
    assert not bench.peers.look(members(stock), {}).well
    stock.written.clear()
    stock.restore()
    bench.peers.look(members(stock), {})
    assert stock.written[-1] == YOUNG
    stock.refuses.clear()
    assert bench.peers.look(members(stock), {}).well
    stock.written.clear()
    stock.restore()
    bench.peers.look(members(stock), {})
    assert stock.written[0] == YOUNG


def changes(stock: Stock) -> list[Change]:
    return [Change(m, peers=("10.0.0.99",)) for m in members(stock)]


def test_writes_that_take_too_long_end_and_go_on_with_the_next_look(bench: Bench, stock: Stock) -> None:
    batch = bench.writer.write(changes(stock), lambda _: None, seconds=0)
    assert (len(batch.results), batch.left, batch.well, batch.more) == (1, 20, True, True)


def test_writes_of_which_none_succeeds_are_not_gone_on_with_at_once(bench: Bench, stock: Stock) -> None:
    stock.refuses = set(stock.pods)
    batch = bench.writer.write(changes(stock), lambda _: None, seconds=0)
    assert (batch.left, batch.well, batch.more) == (20, False, False)
    assert not Batch([], 0).more


def test_slow_writes_of_one_ring_keep_no_other_ring_waiting(stock: Stock, server: Scripted, tmp_path: Path) -> None:
    """Such as those of pods whose patches some webhook holds up."""
    begun, release = threading.Semaphore(0), threading.Event()
    answer = stock.answer

    def slow(request: Request) -> None:
        if request.path.partition("?")[0].endswith(("/web-2", "/web-3")):
            begun.release()
            release.wait(10)
        answer(request)

    server.answer = slow
    with at_work(server, tmp_path, workers=2) as bench:
        stuck = threading.Thread(target=bench.writer.write, args=(changes(stock)[:2], lambda _: None))
        stuck.start()
        try:
            assert begun.acquire(timeout=10)
            assert begun.acquire(timeout=10)
            batch = bench.writer.write(changes(stock)[5:9], lambda _: None)
            assert (len(batch.results), batch.well) == (4, True)
        finally:
            release.set()
            stuck.join(10)


def test_time_to_the_first_peers_is_counted_once_and_only_of_first_peers(bench: Bench, stock: Stock) -> None:
    """A controller that stood by has seen the addresses of pods whose first peers another one has written."""
    for one in members(stock):
        bench.peers.address_seen(one.uid)
    bench.peers.look(members(stock), {})
    assert observed(bench.metrics) == 1

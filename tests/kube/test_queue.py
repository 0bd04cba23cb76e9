from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.controlplane.client import wait_for
from webhook.kube.queue import WorkQueue

SECONDS = 30


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(first=1.0, most=60.0, clock=clock)


def test_keys_come_in_the_order_they_were_added_in(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "a", "c"):
        queue.add(key)
    assert len(queue) == 3
    assert [queue.get(0) for _ in range(4)] == ["a", "b", "c", None]


def test_key_is_with_one_worker_at_a_time(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.get(0) == "a"
    queue.add("a")
    queue.add("a")
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"
    queue.done("a")
    assert queue.get(0) is None


def test_done_without_another_change_leaves_nothing(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.get(0)
    queue.done("a")
    assert len(queue) == 0
    queue.add("a")
    assert queue.get(0) == "a"


def test_earliest_of_several_times_counts(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    clock.now += 4.9
    assert queue.get(0) is None
    clock.now += 0.1
    assert queue.get(0) == "a"
    queue.done("a")
    clock.now += 100
    assert queue.get(0) is None


def test_time_that_comes_while_the_key_is_worked_on_queues_it_again(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    queue.add_after("a", 5)
    assert queue.get(0) == "a"
    clock.now += 5
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"


def test_added_after_no_time_is_added_now(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0)
    assert queue.get(0) == "a"


def test_delay_of_a_failing_key_doubles_up_to_the_longest(queue: WorkQueue[str], clock: Clock) -> None:
    for expected in (1, 2, 4, 8, 16, 32, 60, 60):
        queue.add("a")
        assert queue.get(0) == "a"
        delay = queue.retry("a")
        queue.done("a")
        assert 0.8 * expected <= delay <= expected
        clock.now += delay - 0.01
        assert queue.get(0) is None
        clock.now += 0.02
        assert queue.get(0) == "a"
        queue.done("a")


def test_thousand_failures_are_no_overflow(queue: WorkQueue[str]) -> None:
    assert max(queue.retry("a") for _ in range(2000)) <= 60


def test_success_and_other_keys_do_not_count_as_failures(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.retry("a")
    queue.forget("a")
    assert queue.retry("a") <= 1
    assert queue.retry("b") <= 1
    queue.forget("unknown")


def test_keys_need_no_order_among_each_other() -> None:
    clock = Clock()
    queue: WorkQueue[object] = WorkQueue(clock=clock)
    keys = [("shop", "web"), "pods", None]
    for key in keys[:2]:
        queue.add_after(key, 1)
    clock.now += 1
    assert [queue.get(0), queue.get(0)] == keys[:2]


def test_worker_that_waits_gets_what_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(queue.get, SECONDS) for _ in range(2)]
        queue.add_after("later", 0.02)
        queue.add("now")
        assert {one.result(SECONDS) for one in waiting} == {"now", "later"}


def test_worker_that_waits_for_a_late_key_wakes_for_an_earlier_one() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("late", 3600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.get)
        queue.add_after("early", 0.02)
        assert waiting.result(SECONDS) == "early"


def test_shutdown_ends_every_wait_and_drops_what_is_left() -> None:
    queue: WorkQueue[str] = WorkQueue()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(queue.get) for _ in range(3)]
        queue.shutdown()
        assert [one.result(SECONDS) for one in waiting] == [None] * 3
    queue.add("a")
    queue.add_after("b", 0.001)
    assert queue.get(0.01) is None


def test_many_workers_never_meet_at_a_key_and_lose_no_change() -> None:
    queue: WorkQueue[int] = WorkQueue()
    wanted = [0] * 7
    looked = [0] * 7
    busy = [threading.Lock() for _ in wanted]
    met: list[int] = []

    def work() -> None:
        while (key := queue.get(SECONDS)) is not None:
            if not busy[key].acquire(blocking=False):
                met.append(key)
            looked[key] = wanted[key]
            busy[key].release()
            queue.done(key)

    def change(key: int) -> None:
        for number in range(1, 501):
            wanted[key] = number
            (queue.add if number % 3 else lambda k: queue.add_after(k, 0.0005))(key)

    with ThreadPoolExecutor(4) as workers, ThreadPoolExecutor(7) as changers:
        running = [workers.submit(work) for _ in range(4)]
        for changer in [changers.submit(change, key) for key in range(7)]:
            changer.result(SECONDS)
        wait_for("the last look at every key", lambda: looked == wanted, seconds=SECONDS)
        queue.shutdown()
        for one in running:
            one.result(SECONDS)
    assert met == []

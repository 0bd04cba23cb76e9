"""What holds for every rollout, whatever happens to the ring meanwhile: a machine that does it all in any order."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from webhook.ring.rollout import Memory, Pace, Plan, Pod, plan

SETS = ("a", "b", "c")
FLAG = st.booleans()


@dataclass
class Told:
    """A pod that was ready in a wave: from when on it may hold others back."""

    at: float
    generation: str


class Rollouts(RuleBasedStateMachine):
    """A ring, a controller that asks after every event, and an API server between them.

    `pods` is what the controller sees, `stored` what the API server has: the generation of each pod. They differ while
    the informer lags. A content is "set:version"; a pod mounts the content of its set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.pods: dict[str, Pod] = {}
        self.stored: dict[str, str | None] = {}
        self.content = dict.fromkeys(SETS, 0)
        self.member_of: dict[str, str] = {}
        self.memory = Memory()
        self.next_at: float | None = None
        self.told: dict[str, Told] = {}
        self.last_wave = -math.inf
        self.in_flight: dict[str, float] = {}
        self.lagging = self.failing = self.breaks_pods = False

    @initialize(
        parts=st.integers(1, 6), seconds=st.floats(0.1, 10), more=st.floats(0, 30), sizes=st.lists(st.integers(0, 9))
    )
    def start(self, parts: int, seconds: float, more: float, sizes: list[int]) -> None:
        self.pace = Pace(parts, seconds, seconds + more)
        for name, size in zip(SETS, sizes, strict=False):
            for _ in range(size):
                self.arrive(name, leader=False, running=True, ready=True, known=True)

    def wanted(self, name: str) -> str:
        return f"{name}:{self.content[name]}"

    def ask(self) -> Plan:
        """One call of `plan`, judged, and carried out."""
        pods = list(self.pods.values())
        made = plan(pods, self.memory, self.now, self.pace)
        self.memory, self.next_at = made.memory, made.next_at
        self.judge(pods, made.patch)
        for pod in made.patch:
            self.patch(pod)
        assert self.next_at is None or self.next_at > self.now
        if any(p.wanted not in (None, p.generation) for p in self.pods.values()):
            assert self.next_at is not None, "a pod is stale, and nobody will look again"
        return made

    def judge(self, pods: list[Pod], patch: tuple[Pod, ...]) -> None:
        stale = [p for p in pods if p.wanted not in (None, p.generation)]
        assert set(patch) <= set(stale), "unchanged content caused a write"
        assert len(set(patch)) == len(patch)
        for pod in patch:
            if pod.uid in self.in_flight and self.stored[pod.uid] != pod.generation:
                assert self.now >= self.in_flight[pod.uid] + self.pace.patience, "told again before it could be seen"
        wave = [p for p in patch if p.running and p.generation is not None]
        for pod in stale:
            if not pod.running or pod.generation is None:
                assert pod in patch or pod.uid in self.memory.sent, "neither told at once nor in flight"
        if not wave:
            return
        assert self.now >= self.last_wave + self.pace.seconds, "two waves too close"
        changing = {p.wanted for p in stale}
        running = [p for p in pods if p.running and p.wanted in changing]
        assert len(wave) <= math.ceil(len(running) / self.pace.parts)
        for name, count in Counter(p.wanted for p in wave).items():
            of_set = [p for p in running if p.wanted == name]
            assert count <= math.ceil(len(of_set) / self.pace.parts)
            assert count == 1 or not any(p.leader for p in of_set)
        for uid, told in self.told.items():
            pod = self.pods[uid]
            broken = pod.generation == pod.wanted and not pod.ready
            in_flight = pod.generation != told.generation
            assert not (broken or in_flight) or self.now >= told.at + self.pace.patience, "a wave over broken pods"
        self.last_wave = self.now

    def patch(self, pod: Pod) -> None:
        """Compare and swap, as the controller does it."""
        assert pod.wanted is not None
        if self.failing or self.stored[pod.uid] != pod.generation:
            self.memory = self.memory.without(pod.uid)
            self.told.pop(pod.uid, None)
            return
        if pod.running and pod.generation is not None and pod.ready:
            self.told[pod.uid] = Told(self.now, pod.wanted)
        else:
            self.told.pop(pod.uid, None)
        self.in_flight[pod.uid] = self.now
        self.stored[pod.uid] = pod.wanted
        if self.breaks_pods:
            self.pods[pod.uid] = replace(self.pods[pod.uid], ready=False)
        if not self.lagging:
            self.pods[pod.uid] = replace(self.pods[pod.uid], generation=pod.wanted)

    @rule(
        name=st.sampled_from(SETS),
        leader=FLAG,
        running=FLAG,
        ready=FLAG,
        known=FLAG,
    )
    def arrive(self, name: str, *, leader: bool, running: bool, ready: bool, known: bool) -> None:
        uid = f"u{len(self.member_of)}"
        seen = self.wanted(name) if known else None
        self.member_of[uid], self.stored[uid] = name, seen
        ready = running and ready
        self.pods[uid] = Pod(uid, uid, seen, self.wanted(name), running, ready, leader, float(len(self.member_of)))

    @rule(name=st.sampled_from(SETS), back=FLAG)
    def change_content(self, name: str, *, back: bool) -> None:
        self.content[name] += -1 if back else 1
        for uid, member_of in self.member_of.items():
            if member_of == name and uid in self.pods:
                self.pods[uid] = replace(self.pods[uid], wanted=self.wanted(name))

    @rule(name=st.sampled_from(SETS), there=FLAG)
    def content_is_deleted_and_made_again(self, name: str, *, there: bool) -> None:
        for uid, pod in self.pods.items():
            if self.member_of[uid] == name:
                self.pods[uid] = replace(pod, wanted=self.wanted(name) if there else None)

    @rule(data=st.data(), what=st.sampled_from(["dies", "ready", "running"]))
    def pod_changes(self, data: st.DataObject, what: str) -> None:
        assume(self.pods)
        uid = data.draw(st.sampled_from(sorted(self.pods)))
        pod = self.pods[uid]
        if what == "dies":
            del self.pods[uid]
            self.told.pop(uid, None)
        elif what == "ready":
            self.pods[uid] = replace(pod, ready=pod.running and not pod.ready)
        else:
            self.pods[uid] = replace(pod, running=not pod.running, ready=False)

    @rule(seconds=st.floats(0.01, 40))
    def time_passes(self, seconds: float) -> None:
        """With the controller looking when it said it would."""
        until = self.now + seconds
        while self.next_at is not None and self.next_at <= until:
            self.now = self.next_at
            self.ask()
        self.now = until

    @precondition(lambda self: not self.lagging)
    @rule()
    def informer_lags(self) -> None:
        self.lagging = True

    @precondition(lambda self: self.lagging)
    @rule()
    def informer_catches_up(self) -> None:
        self.lagging = False
        self.pods = {uid: replace(p, generation=self.stored[uid]) for uid, p in self.pods.items()}

    @rule(fail=FLAG, breaks=FLAG)
    def weather(self, *, fail: bool, breaks: bool) -> None:
        self.failing, self.breaks_pods = fail, breaks

    @rule()
    def controller_starts_afresh(self) -> None:
        """The one thing that may bring a wave early: all that was known of the last one is gone."""
        self.memory, self.next_at = Memory(), None
        self.told, self.in_flight, self.last_wave = {}, {}, -math.inf

    @invariant()
    def every_event_is_looked_at(self) -> None:
        if hasattr(self, "pace"):
            self.ask()
            self.ask()

    def teardown(self) -> None:
        """Once nothing happens any more, every pod gets what it should have, and then nothing is written."""
        if not hasattr(self, "pace"):
            return
        self.failing = False
        self.informer_catches_up()
        began, pods = self.now, len(self.pods)
        self.ask()
        while self.next_at is not None:
            self.now = self.next_at
            self.ask()
            assert self.now - began <= (pods + 2) * self.pace.patience
        for uid, pod in self.pods.items():
            assert pod.wanted in (None, pod.generation)
            assert self.stored[uid] == pod.generation
        self.now += 1000
        assert self.ask().patch == ()
        assert self.memory.sent == {}


TestRollouts: Any = Rollouts.TestCase

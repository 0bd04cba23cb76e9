"""One design at one scale: from no pods to all of them, and then twice a tenth of them dies at once."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.process import CpuClock, memory, peak
from bench.rings.ground import Design, Ground, ground
from bench.rings.observer import Observer, Sight, by_ring
from bench.rings.scale import Scale
from bench.summary import percentile
from tests.controlplane.processes import tail
from tests.controlplane.progress import Progress
from webhook.kube.client import Client
from webhook.ring.membership import K

_PATIENCE_SECONDS = 900.0
_QUIET_SECONDS = 2.0
"""Without a further write: what was set off is over."""

_POLL_SECONDS = 0.2
_TENTH = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a phase. writes: requests, however they were answered; refused: those that were not answered with 2xx.

    list_bytes: of all lists that were written. cpu_seconds: of the controller. server_seconds: CPU of kube-apiserver,
    for everybody.
    """

    writes: int
    refused: int
    list_bytes: int
    cpu_seconds: float
    server_seconds: float


@dataclass(frozen=True, slots=True)
class Up:
    """From no pods to all. pods_a_second: as their addresses came up, which is the load. waits: seconds of each pod."""

    pods_a_second: float
    waits: list[float]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Healed:
    """After `died` pods died within `dying` seconds. seconds: from the last death until all was right."""

    died: int
    dying: float
    seconds: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Result:
    """any_tenth, worst_tenth: after the deaths of either. at_…: MiB of RSS at the start,
    when all pods were there, and at its highest. cuts: see Observer.
    """

    scale: Scale
    design: Design
    up: Up
    any_tenth: Healed
    worst_tenth: Healed
    at_start: float
    at_scale: float
    at_most: float
    cuts: int

    def p(self, percent: int) -> float:
        """Seconds from an address to being told, of so many percent of the pods at most."""
        return percentile(self.up.waits, percent)

    def document(self) -> dict[str, Any]:
        """All of it but each pod's own time."""
        waits = {"p50_s": self.p(50), "p99_s": self.p(99), "most_s": max(self.up.waits)}
        whole = asdict(self) | {"design": self.design.name}
        whole["up"] = waits | {name: value for name, value in whole["up"].items() if name != "waits"}
        return whole


def measure(design: Design, scale: Scale, directory: Path) -> Result:
    """On a control plane of its own. directory: an empty folder."""
    with (
        ground(directory, scale) as at,
        design.start(at) as running,
        contextlib.closing(Client.connect(at.cluster.kubeconfig, user_agent="bench-observer")) as client,
        Observer(client, config_maps=design.config_maps) as seen,
        Progress(f"{design.name}, {scale} pods") as progress,
    ):
        replicas = {name: count for name, (_, count) in scale.deployments().items()}
        one = _One(at, design, running.pid, running.log, seen, progress, replicas)
        at_start = memory(running.pid).resident
        up = one.up()
        at_scale = memory(running.pid).resident
        any_tenth = one.a_tenth_dies(worst=False)
        worst_tenth = one.a_tenth_dies(worst=True)
        return Result(scale, design, up, any_tenth, worst_tenth, at_start, at_scale, peak(running.pid), seen.cuts)


@dataclass(frozen=True, slots=True)
class _One:
    """replicas: of each Deployment, as they should be now."""

    at: Ground
    design: Design
    pid: int
    log: Path
    seen: Observer
    progress: Progress
    replicas: dict[str, int]

    def up(self) -> Up:
        pods, seen = self.at.scale.pods, self.seen
        phase = _Phase(self)
        self.at.resize(self.replicas)

        def all_told() -> bool:
            self.progress.label = f"{self.design.name}: {seen.addresses:,} of {self.at.scale} pods"
            return seen.addresses == seen.told == pods and seen.right()

        self._wait("every pod to be told of others", all_told)
        cost = phase.end()
        if not seen.in_one_piece():
            raise BenchError("the lists that were written do not connect the ring: that is a bug, no figure")
        first, last = (f(s.address_at or 0.0 for s in seen.live()) for f in (min, max))
        return Up((pods - 1) / (last - first), seen.waits(), cost)

    def a_tenth_dies(self, *, worst: bool) -> Healed:
        """A tenth of each ring, by chance. worst: with those that are in the most lists, otherwise without them."""
        seen = self.seen
        victims = self._victims(worst=worst)
        before = len(seen.dead())
        self.at.choose(victims)
        self.quiet()
        for sight in victims:
            self.replicas[sight.pod.app] -= 1
        phase = _Phase(self)
        self.at.resize(self.replicas)
        self.progress.label = f"{self.design.name}: {len(victims):,} of {self.at.scale} pods die"
        self._wait("a tenth of the pods to die", lambda: len(seen.dead()) - before >= len(victims))
        self._wait("all lists to be right again", seen.right)
        cost = phase.end()
        deaths = [s.gone_at for s in victims if s.gone_at is not None]
        if len(deaths) != len(victims) or len(seen.dead()) != before + len(victims):
            raise BenchError("other pods than the chosen ones have died; run it again")
        healed = max(0.0, seen.right_since() - max(deaths))
        return Healed(len(victims), max(deaths) - min(deaths), healed, cost)

    def _victims(self, *, worst: bool) -> list[Sight]:
        chance = random.Random(4)
        victims = []
        for ring, sights in by_ring(sorted(self.seen.live(), key=lambda s: s.pod.name)).items():
            count = -(-len(sights) // _TENTH)
            most = self.seen.most_listed(ring, min(K, count))
            others = [s for s in sights if s.pod.uid not in {m.pod.uid for m in most}]
            chosen = most if worst else []
            victims += [*chosen, *chance.sample(others, count - len(chosen))]
        return victims

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not done():
            for process in self.at.cluster.processes.values():
                process.check()
            if time.monotonic() > until:
                raise BenchError(f"waited {_PATIENCE_SECONDS:.0f} s in vain for {what}; {self.log}:\n{tail(self.log)}")
            self.progress.tick()
            time.sleep(_POLL_SECONDS)

    def quiet(self) -> None:
        """Until nothing is written any more."""
        lists, since = self.seen.lists, time.monotonic()
        while time.monotonic() < since + _QUIET_SECONDS:
            if self.seen.lists != lists:
                lists, since = self.seen.lists, time.monotonic()
            self.progress.tick()
            time.sleep(_POLL_SECONDS)


class _Phase:
    """Counts from its making until `end`."""

    def __init__(self, one: _One) -> None:
        self._one = one
        self._writes = len(one.at.writes(one.design.user))
        self._list_bytes = one.seen.list_bytes
        self._clocks = [CpuClock(pid) for pid in (one.pid, one.at.cluster.processes["kube-apiserver"].pid)]

    def end(self) -> Cost:
        """When all is quiet."""
        self._one.quiet()
        cpu_seconds, server_seconds = (clock.seconds() for clock in self._clocks)
        writes = self._one.at.writes(self._one.design.user)[self._writes :]
        refused = sum(not 200 <= call.code < 300 for call in writes)
        return Cost(len(writes), refused, self._one.seen.list_bytes - self._list_bytes, cpu_seconds, server_seconds)

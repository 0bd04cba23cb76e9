"""What happens to a cluster, as a list of steps that Hypothesis can make and shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hypothesis import strategies as st

from tests.ring.model.world import RINGS, World

NODES = 3


class Step(Protocol):
    def apply(self, world: World) -> None: ...


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float

    def apply(self, world: World) -> None:
        world.run(self.seconds)


@dataclass(frozen=True, slots=True)
class Arrive:
    """start: seconds until the container starts, None for never. late: seconds until the file has the list."""

    ring: int = 0
    count: int = 1
    node: int = 0
    start: float | None = 0
    late: float = 0

    def apply(self, world: World) -> None:
        for _ in range(self.count):
            world.arrive(RINGS[self.ring], node=f"n{self.node}", start=self.start, late=self.late)


@dataclass(frozen=True, slots=True)
class Delete:
    """pod: which one, counted from the oldest, around."""

    pod: int
    graceful: bool = True

    def apply(self, world: World) -> None:
        if world.pods:
            world.delete(world.pods[self.pod % len(world.pods)], graceful=self.graceful)


@dataclass(frozen=True, slots=True)
class Restart:
    pod: int
    clean: bool = True
    back: float = 1

    def apply(self, world: World) -> None:
        if world.pods:
            world.restart(world.pods[self.pod % len(world.pods)], clean=self.clean, back=self.back)


@dataclass(frozen=True, slots=True)
class RestartNode:
    node: int
    back: float = 1

    def apply(self, world: World) -> None:
        world.restart_node(f"n{self.node}", self.back)


@dataclass(frozen=True, slots=True)
class Down:
    seconds: float

    def apply(self, world: World) -> None:
        world.controller_goes_down(self.seconds)


@dataclass(frozen=True, slots=True)
class HandOver:
    cut_off: float

    def apply(self, world: World) -> None:
        world.hand_over(self.cut_off)


@dataclass(frozen=True, slots=True)
class Relist:
    behind: float

    def apply(self, world: World) -> None:
        world.relist(self.behind)


POD = st.integers(0, 11)
NODE = st.integers(0, NODES - 1)
WAIT = st.integers(0, 40) | st.integers(0, 200)


def arrivals(start: st.SearchStrategy[float | None], late: int) -> st.SearchStrategy[Arrive]:
    lates = st.just(0) | st.integers(0, late) if late else st.just(0)
    return st.builds(Arrive, st.integers(0, 1), st.integers(1, 4), NODE, start, lates)


STARTS = st.just(0) | st.integers(0, 90)
STEPS = st.one_of(
    arrivals(STARTS, 90),
    st.builds(Wait, WAIT),
    st.builds(Delete, POD, st.booleans()),
    st.builds(Restart, POD, st.booleans(), st.integers(0, 5)),
    st.builds(RestartNode, NODE, st.integers(0, 30)),
    st.builds(Down, st.integers(1, 150)),
    st.builds(HandOver, st.integers(0, 20)),
    st.builds(Relist, st.integers(0, 20)),
)


def play(world: World, steps: Sequence[Step]) -> World:
    for step in steps:
        step.apply(world)
    return world

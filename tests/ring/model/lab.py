"""A few Supervisors on a bench, as when the observations of supervisor.md §0 were made: files written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.ring.model.clock import Clock
from tests.ring.model.peersfile import nowhere
from tests.ring.model.supervisor import SUSPECT, Supervisor

STEP = 0.05
"""Seconds between two looks of `when`."""


class Lab:
    """seed: of the phases of every loop, and of the moment at which the test goes on after `wait`."""

    def __init__(self, seed: int) -> None:
        self.clock, self.random = Clock(), Random(seed)
        self.files: dict[str, str | None] = {}
        self.exits: dict[str, int] = {}
        self.listening: dict[str, Supervisor] = {}
        self.names = {}
        self.starts = 0

    def at(self, address: str) -> Supervisor | None:
        found = self.listening.get(address)
        return found if found is not None and found.running else None

    def resolve(self, name: str) -> str | None:
        return self.names.get(name) or nowhere(name)

    def start(
        self, address: str, text: str | None = None, *, key: str = "", peers: list[str] | None = None
    ) -> Supervisor:
        """A new process at an address. text: of its peers file, None for no file."""
        self.files[address] = text
        self.starts += 1
        self.listening[address] = Supervisor(
            self.clock,
            self,
            self.random,
            identity=f"{address}#{self.starts}",
            address=address,
            file=None if peers is not None else lambda: self.files[address],
            peers=peers,
            key=key,
            resolve=self.resolve,
            exited=lambda code: self.exits.update({address: code}),
        )
        return self.listening[address]

    def write(self, address: str, text: str | None) -> None:
        self.files[address] = text

    def wait(self, seconds: float) -> None:
        """And a little, so that no two loops are in step with the test."""
        self.clock.run_until(self.clock.now + seconds + self.random.uniform(0, 4))

    def when(self, holds: Callable[[], bool], within: float) -> float:
        """Seconds until it holds. Fails when it does not within that many."""
        began = self.clock.now
        while not holds():
            assert self.clock.now - began <= within, f"not within {within} s"
            self.clock.run_until(self.clock.now + STEP)
        return self.clock.now - began

    def exited(self, address: str) -> bool:
        return address in self.exits


def health(of: Supervisor, seen_by: Supervisor) -> int | None:
    known = seen_by.members.get(of.identity)
    return known.health if known else None


def joined(*supervisors: Supervisor) -> bool:
    """Whether each has all the others in its census as alive."""
    return all(a.sees(b) for a in supervisors for b in supervisors if a is not b)


def strangers(*supervisors: Supervisor) -> bool:
    """Whether none has heard of another."""
    ours = {s.identity for s in supervisors}
    return all(not (ours - {s.identity}) & set(s.members) for s in supervisors)


def labs(count: int = 40) -> Iterator[Lab]:
    """The same experiment in many phases."""
    return map(Lab, range(count))


def alive_in(seen_by: Supervisor, of: Supervisor) -> bool:
    known = seen_by.members.get(of.identity)
    return known is not None and known.health <= SUSPECT

"""Nodes: they give pods addresses, start their containers, and bring annotations into files, in their own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.ring.model.apiserver import Addresses, ApiServer, Stored
from tests.ring.model.clock import Clock
from tests.ring.model.supervisor import SUSPECT, USAGE, Supervisor
from webhook.rings import Ring

REPORT_SECONDS = 1.5  # the longest until a change of a container is in the pod's status
BACK_OFF_SECONDS = 10.0  # after a container that ended by itself
Delay = tuple[float, float]
PROMPT: Delay = (0.005, 0.17)
"""From an annotation to its file (supervisor.md §0)."""


@dataclass(eq=False, slots=True)
class Pod:
    """What is true of a pod on its node, whatever the API server has been told of it.

    start: seconds from its address to its container, None for one that never starts (no image). late: the longest
    that an annotation takes to its file. file: what its container has mounted.
    """

    stored: Stored
    start: float | None
    late: float
    address: str = ""
    process: Supervisor | None = None
    processes: int = 0
    file: str = ""
    gone: bool = False
    down: bool = False
    syncs_due: int = 0
    reported: float = 0.0

    @property
    def ring(self) -> Ring:
        return self.stored.ring

    @property
    def running(self) -> Supervisor | None:
        return self.process if self.process is not None and self.process.running else None

    def files(self) -> set[str]:
        """Every address that its file has, or will have."""
        return {line for text in (self.file, self.stored.peers or "") for line in text.split("\n") if line}

    def sync(self) -> None:
        """The kubelet brings the annotation as it is now, however long it has been there."""
        self.syncs_due -= 1
        self.file = self.stored.peers or ""


class Nodes:
    """All kubelets, the network between the pods, and who has been given which address.

    keyed: every ring has its key. Without one, an address is not given to another ring while anything of the old ring
    still has it; `remembered` says so of what the nodes cannot see. projection: of every annotation, instead of
    PROMPT. names: `--peer=<the ring's Service>` in place of the file, resolved by this at each start.
    """

    def __init__(
        self,
        clock: Clock,
        server: ApiServer,
        random: Random,
        *,
        keyed: bool,
        projection: Delay = PROMPT,
        names: Callable[[Pod], str | None] | None = None,
        remembered: Callable[[str, Ring], bool] = lambda address, ring: False,
        reused_after: float | None = None,
    ) -> None:
        self.clock, self.server, self.random = clock, server, random
        self.keyed, self.projection, self.names, self.remembered = keyed, projection, names, remembered
        self.addresses = Addresses()
        self.reused_after = reused_after
        self.given_back: dict[str, float] = {}
        self.pods: list[Pod] = []
        self.by_address: dict[str, Pod] = {}
        self.processes: list[tuple[Ring, Supervisor]] = []
        self.exits: list[tuple[str, int]] = []
        self.address_changes = 0
        server.annotated = self._project

    def at(self, address: str) -> Supervisor | None:
        pod = self.by_address.get(address)
        return pod.running if pod is not None else None

    # -- arrivals and deaths ------------------------------------------------------------------------------------------
    def create(self, pod: Pod) -> None:
        self.pods.append(pod)
        self.server.create(pod.stored)
        self.clock.after(self.random.uniform(0.1, 2), self._sandbox, pod)

    def _sandbox(self, pod: Pod) -> None:
        if pod.gone or pod.stored.deleting:
            return
        self._give_address(pod)
        if pod.start is not None:
            self.clock.after(pod.start + self.random.uniform(0.1, 3), self._start, pod)

    def _give_address(self, pod: Pod) -> None:
        pod.address = self.addresses.take(lambda address: self._forbidden(address, pod))
        self.by_address[pod.address] = pod
        self._report(pod, address=pod.address, running_since=None)

    def _forbidden(self, address: str, pod: Pod) -> bool:
        """Assumptions (b) and (c) of tests/ring/test_model.py."""
        if address in pod.files():
            return True
        if self.reused_after is not None:
            return self.clock.now < self.given_back.get(address, 0.0) + self.reused_after
        return not self.keyed and any(self._has(address, ring) for ring in self._rings() if ring != pod.ring)

    def _rings(self) -> set[Ring]:
        return {pod.ring for pod in self.pods}

    def _has(self, address: str, ring: Ring) -> bool:
        members = (pod for pod in self.pods if pod.ring == ring)
        if any(address in pod.files() for pod in members) or self.remembered(address, ring):
            return True
        living = [process for of, process in self.processes if of == ring and process.running]
        return any(
            (address in p.initial and not p.seeding_over)
            or any(known.address == address and known.health <= SUSPECT for known in p.members.values())
            for p in living
        )

    def delete(self, pod: Pod, *, graceful: bool) -> None:
        if pod.stored.deleting:
            return
        if graceful:
            self.server.update(pod.stored, deleting=True)
            self.clock.after(self.random.uniform(0, 2), self._end, pod, self.random.uniform(0, 1))
        else:
            self._stop(pod, clean=False)
            pod.gone = True
            self.clock.after(self.random.uniform(0, 10), self._remove, pod)

    def _end(self, pod: Pod, seconds: float) -> None:
        self._stop(pod, clean=True)
        pod.gone = True
        self.clock.after(seconds, self._remove, pod)

    def _remove(self, pod: Pod) -> None:
        self.server.remove(pod.stored)
        if pod in self.pods:
            self.pods.remove(pod)
            self._release(pod)

    def _release(self, pod: Pod) -> None:
        if self.by_address.get(pod.address) is pod:
            del self.by_address[pod.address]
        self.given_back[pod.address] = self.clock.now
        self.addresses.give_back(pod.address)
        pod.address = ""

    # -- containers ---------------------------------------------------------------------------------------------------
    def _start(self, pod: Pod) -> None:
        if pod.gone or pod.stored.deleting or pod.down or pod.running or not pod.address:
            return
        peers = None
        if self.names is not None:
            answer = self.names(pod)
            if answer is None:
                self._exited(pod, USAGE)
                return
            peers = [answer]
        pod.processes += 1
        pod.process = Supervisor(
            self.clock,
            self,
            self.random,
            identity=f"{pod.stored.uid}/{pod.processes}",
            address=pod.address,
            file=None if peers else lambda: pod.file,
            peers=peers,
            key=str(pod.ring) if self.keyed else "",
            exited=lambda code: self._exited(pod, code),
        )
        self.processes.append((pod.ring, pod.process))
        self._report(pod, running_since=self.clock.now)

    def _exited(self, pod: Pod, code: int) -> None:
        self.exits.append((pod.stored.uid, code))
        self._report(pod, running_since=None, restarts=pod.processes)
        self.clock.after(BACK_OFF_SECONDS, self._start, pod)

    def _stop(self, pod: Pod, *, clean: bool) -> None:
        process = pod.running
        if process is not None and clean:
            process.terminate()
        elif process is not None:
            process.kill()

    def restart(self, pod: Pod, *, clean: bool, back: float) -> None:
        """Its container only. back: seconds until it runs again."""
        if pod.running is None or pod.stored.deleting:
            return
        self._stop(pod, clean=clean)
        self._report(pod, running_since=None, restarts=pod.processes)
        self.clock.after(back, self._start, pod)

    def restart_node(self, node: str, back: float) -> None:
        """Everything on it dies at once and comes back under new addresses; until then the API server knows nothing."""
        for pod in [p for p in self.pods if p.stored.node == node and p.address and not p.down]:
            self._stop(pod, clean=False)
            pod.down = True
            self.clock.after(back + self.random.uniform(0.5, 3), self._come_back, pod)

    def _come_back(self, pod: Pod) -> None:
        pod.down = False
        if pod.gone or pod.stored.deleting:
            return
        self.address_changes += 1
        self._release(pod)
        if self.random.random() < 0.5:
            pod.file = pod.stored.peers or ""  # the volume is made anew
        self._give_address(pod)
        if pod.start is not None:
            self.clock.after(self.random.uniform(0.1, 5), self._start, pod)

    # -- what the API server hears, and what is heard from it ----------------------------------------------------------
    def _report(self, pod: Pod, **changes: object) -> None:
        """In order for one pod."""
        pod.reported = max(pod.reported, self.clock.now + self.random.uniform(0.01, REPORT_SECONDS))
        self.clock.at(pod.reported, lambda: self.server.update(pod.stored, **changes))

    def _project(self, stored: Stored) -> None:
        pod = next((p for p in self.pods if p.stored is stored), None)
        if pod is None:
            return
        delay = self.random.uniform(*self.projection)
        if pod.late:
            delay = self.random.choice((delay, self.random.uniform(0, pod.late), pod.late))
        pod.syncs_due += 1
        self.clock.after(delay, pod.sync)

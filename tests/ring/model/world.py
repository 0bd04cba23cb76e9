"""A cluster with two rings, nodes, an API server and two controllers, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.ring.model.apiserver import ApiServer, Stored
from tests.ring.model.clock import Clock
from tests.ring.model.controllers import Controller, Policy
from tests.ring.model.kubelet import PROMPT, Delay, Nodes, Pod
from tests.ring.model.supervisor import Supervisor
from webhook.ring import membership
from webhook.rings import Ring

RINGS = (Ring("infra", "shared"), Ring("apps", "default"))
NAMESPACES = {RINGS[0]: ("infra", "apps"), RINGS[1]: ("apps",)}
"""Where the pods of a ring are; the first ring is a shared one."""

JOIN_SECONDS = 12.0
NODE_START_SECONDS = 8.0
"""The longest until the pods of a node that is back run again."""
SKEW_SECONDS = 2.0
LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Design:
    """How a ring is meant to come together: the real one, or one that is known to fail.

    projection: seconds from a write to the file. dns: `--peer=<the ring's Service>`, and no file. reused_after: seconds
    after which an address goes to anybody, whoever still has it; None for assumption (b) of test_model.py.
    """

    policy: Policy = membership.plan
    projection: Delay = PROMPT
    dns: bool = False
    reused_after: float | None = None


class World:
    """seed: of all phases, lags and small delays. careful: restarts keep apart."""

    def __init__(
        self, seed: int = 0, *, keyed: bool = False, careful: bool = True, design: Design | None = None
    ) -> None:
        design = design or Design()
        self.careful = careful
        self.clock, self.random = Clock(), Random(seed)
        self.server = ApiServer(self.clock)
        self.nodes = Nodes(
            self.clock,
            self.server,
            self.random,
            keyed=keyed,
            projection=design.projection,
            names=self._resolve if design.dns else None,
            remembered=lambda address, ring: any(c.has_seen(address, ring) for c in self.controllers),
            reused_after=design.reused_after,
        )
        self.controllers = [
            Controller(self.clock, self.server, self.random, design.policy, self.random.uniform(-1, 1) * SKEW_SECONDS)
            for _ in range(2)
        ]
        self.arrivals = self.deaths = 0
        self._uids = count(1)
        self._joined_at: dict[Ring, float] = {}
        self._leader = self.controllers[0]
        self._term = 0  # grows whenever somebody else leads, or nobody
        self._lead()

    # -- pods ---------------------------------------------------------------------------------------------------------
    def arrive(self, ring: Ring, *, node: str = "n0", start: float | None = 0.0, late: float = 0.0) -> Pod:
        """A new pod, under the first free name: a StatefulSet's comes back under its old one."""
        uid = next(self._uids)
        namespace = NAMESPACES[ring][uid % len(NAMESPACES[ring])]
        name = next(n for n in (f"{ring.name}-{i}" for i in count()) if f"{namespace}/{n}" not in self.server.pods)
        pod = Pod(Stored(namespace, name, f"u{uid:03}", ring, node, self.clock.now), start, late)
        self.nodes.create(pod)
        self.arrivals += 1
        return pod

    def delete(self, pod: Pod, *, graceful: bool) -> None:
        self.deaths += 1
        self.nodes.delete(pod, graceful=graceful)

    def restart(self, pod: Pod, *, clean: bool, back: float) -> None:
        self._when_the_last_has_joined({pod.ring}, back)
        self.nodes.restart(pod, clean=clean, back=back)

    def restart_node(self, node: str, back: float) -> None:
        rings = {pod.ring for pod in self.pods if pod.stored.node == node}
        self._when_the_last_has_joined(rings, back + NODE_START_SECONDS)
        self.nodes.restart_node(node, back)

    def _when_the_last_has_joined(self, rings: set[Ring], back: float) -> None:
        """Waits until whatever restarted in the rings has been back for a while: assumption (a) of test_model.py."""
        if self.careful:
            self.run(max(0.0, *(self._joined_at.get(ring, 0.0) - self.clock.now for ring in rings or RINGS)))
        self._joined_at |= dict.fromkeys(rings, self.clock.now + back + JOIN_SECONDS)

    @property
    def pods(self) -> list[Pod]:
        return self.nodes.pods

    def members(self, ring: Ring) -> list[Pod]:
        return [pod for pod in self.pods if pod.ring == ring and not pod.gone]

    def _resolve(self, pod: Pod) -> str | None:
        """The ring's Service, which publishes who is not ready, too: any of its records may come first."""
        ring = (stored for stored in self.server.pods.values() if stored.ring == pod.ring and not stored.deleting)
        addresses = [stored.address for stored in ring if stored.address]
        return self.random.choice(addresses) if addresses else None

    # -- controllers --------------------------------------------------------------------------------------------------
    def _lead(self, behind: float = 0.0) -> None:
        self._term += 1
        self._leader.connect(behind)
        self._leader.leading = True

    def controller_goes_down(self, seconds: float) -> None:
        """No controller for that long; then one that knows nothing but what it lists."""
        self._leader.leading = False
        self._leader.disconnect()
        self._term += 1
        self.clock.after(seconds, self._if_still(self._lead))

    def hand_over(self, cut_off: float) -> None:
        """The leader hears nothing for so long, then another leads, while it acts once more on what it knows."""
        if not self._leader.leading:
            return
        self._leader.disconnect()
        self._term += 1
        self.clock.after(cut_off, self._if_still(self._take_over))

    def _take_over(self) -> None:
        old, self._leader = self._leader, next(c for c in self.controllers if c is not self._leader)
        self._lead()
        old.leading = False
        old.act_on_everything()

    def relist(self, behind: float) -> None:
        """The informer loses its watch, and lists from a replica that is behind."""
        if self._leader.leading:
            self._lead(behind)

    def _if_still(self, call: Callable[[], None]) -> Callable[[], None]:
        term = self._term
        return lambda: call() if term == self._term else None

    # -- time and judgement -------------------------------------------------------------------------------------------
    def run(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now + seconds)

    def settle(self, seconds: float) -> list[str]:
        """Nothing happens any more: what is still wrong after that long, [] as soon as nothing is and nothing moves."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.run(LOOK_SECONDS)
            moving = not self._leader.leading or any(p.syncs_due or not p.address or p.down for p in self.pods)
            if not moving and not self.problems():
                return []
        return self.problems()

    @property
    def writes(self) -> int:
        return sum(c.writes for c in self.controllers)

    @property
    def churn(self) -> int:
        """Pods that came, pods that went, addresses that changed."""
        return self.arrivals + self.deaths + self.nodes.address_changes

    def problems(self) -> list[str]:
        return [
            *(f"{uid} exited with {code}" for uid, code in self.nodes.exits),
            *self._merged(),
            *(problem for ring in RINGS for problem in (*self._lists(ring), *self._islands(ring))),
        ]

    def _merged(self) -> list[str]:
        ring_of = {process.identity: ring for ring, process in self.nodes.processes}
        return [
            f"{process.identity} of {ring} has met {identity} of {ring_of[identity]}"
            for ring, process in self.nodes.processes
            for identity in process.members
            if ring_of[identity] != ring
        ]

    def _lists(self, ring: Ring) -> list[str]:
        members = self.members(ring)
        live = {pod.address for pod in members if pod.address}
        found = []
        for pod in members:
            listed = (pod.stored.peers or "").split("\n") if pod.stored.peers else []
            if pod.address in listed:
                found.append(f"{pod.stored.uid} lists itself")
            if not set(listed) <= live:
                found.append(f"{pod.stored.uid} lists {sorted(set(listed) - live)}, which nobody has")
            if not listed and any(other.running for other in members if other is not pod):
                found.append(f"{pod.stored.uid} has no peers")
        return found

    def _islands(self, ring: Ring) -> list[str]:
        running = [p for pod in self.members(ring) if (p := pod.running) is not None]
        groups = components(running)
        if len(groups) > 1:
            said = " | ".join(" ".join(sorted(p.identity for p in group)) for group in groups)
            return [f"{len(groups)} rings instead of {ring}: {said}"]
        pairs = ((a, b) for a in running for b in running if a is not b)
        return [f"{a.identity} does not see {b.identity}" for a, b in pairs if not a.sees(b)]


def components(processes: list[Supervisor]) -> list[list[Supervisor]]:
    """Who knows whom, over any number of others."""
    left, groups = list(processes), []
    while left:
        group, front = [], [left.pop(0)]
        while front:
            one = front.pop()
            group.append(one)
            met = [other for other in left if one.sees(other) or other.sees(one)]
            left = [other for other in left if other not in met]
            front += met
        groups.append(group)
    return groups

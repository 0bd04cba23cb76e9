"""Rings as a watch of their pods shows them: who has an address, whom each has been told of, what is wrong with it.

Nothing here asks the controller. It reads what every client of the API server can read.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.controlplane.client import Cluster, WaitError
from webhook.kube.client import Client
from webhook.kube.informer import Informer
from webhook.log import Log

MOST_PEERS = 3
_SYNC_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A pod as far as its ring goes. address: "" while it has none. gone: it is being deleted, or has ended."""

    uid: str
    name: str
    ring: str
    address: str
    peers: tuple[str, ...]
    gone: bool

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Self:
        metadata, status = pod["metadata"], pod.get("status", {})
        return cls(
            uid=metadata["uid"],
            name=metadata["name"],
            ring=metadata.get("labels", {}).get("habitat.sh/ring", ""),
            address=status.get("podIP", ""),
            peers=tuple(metadata.get("annotations", {}).get("habitat.sh/peers", "").split()),
            gone="deletionTimestamp" in metadata or status.get("phase") in ("Succeeded", "Failed"),
        )


@dataclass(frozen=True, slots=True)
class Happening:
    """One pod has changed; at: `time.monotonic()` when the watch said so; None for a pod that is not there."""

    at: float
    old: Sight | None
    new: Sight | None

    @property
    def pod(self) -> Sight:
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def has_gone(self) -> bool:
        return (self.new is None or self.new.gone) and self.old is not None and not self.old.gone

    @property
    def is_addressed(self) -> bool:
        return self.new is not None and bool(self.new.address) and not (self.old and self.old.address)

    @property
    def is_told(self) -> bool:
        return self.new is not None and not self.new.gone and self.new.peers != (self.old.peers if self.old else ())


class Watcher:
    """Watches the pods of some rings of one namespace, inside its `with` block; `live` is the picture as far as
    `follow` has shown it.

    rings: name -> how many pods it is to have. Raises ConfigError, and WaitError at the block's begin.
    """

    def __init__(self, cluster: Cluster, namespace: str, rings: Mapping[str, int]) -> None:
        self.rings = dict(rings)
        self.live: dict[str, Sight] = {}
        self.addressed: dict[str, float] = {}
        """Pod uid -> when it got its address, gone pods among them."""

        self._queue: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._client = Client.connect(cluster.kubeconfig, user_agent="habitat-webhook-demo", connections=2)
        self._informer = Informer(
            self._client,
            f"/api/v1/namespaces/{namespace}/pods",
            Sight.of,
            lambda old, new: self._queue.put(Happening(time.monotonic(), old, new)),
            name="demo",
            labels=f"habitat.sh/ring in ({','.join(self.rings)})",
            log=Log("warning", sys.stderr.buffer),
        )

    def __enter__(self) -> Self:
        self._informer.start()
        if not self._informer.wait_synced(_SYNC_SECONDS):
            raise WaitError(f"{self._client.url} did not list pods in {_SYNC_SECONDS:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        self._informer.stop()
        self._client.close()

    def follow(self, show: Callable[[Happening], None], done: Callable[[], bool], *, seconds: float) -> bool:
        """Take what happens, one after the other, until `done`; False when that does not come in time."""
        deadline = time.monotonic() + seconds
        while not done():
            try:
                happening = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            self._take(happening)
            show(happening)
        return True

    def members(self, ring: str) -> list[Sight]:
        return [pod for pod in self.live.values() if pod.ring == ring]

    def problems(self) -> list[str]:
        """A sentence for each thing that is not as it should be with one of the rings; none when all are whole."""
        return [text for ring, size in self.rings.items() for text in problems(ring, size, self.members(ring))]

    def dead(self) -> set[str]:
        """Addresses in lists that no live pod of the list's ring has."""
        mine = {ring: {pod.address for pod in self.members(ring)} for ring in self.rings}
        return {address for pod in self.live.values() for address in pod.peers if address not in mine[pod.ring]}

    def waiting_since(self, pod: Sight) -> float:
        """When the pod had an address and there was somebody to tell it of."""
        others = [self.addressed[p.uid] for p in self.members(pod.ring) if p.address and p.uid != pod.uid]
        return max(self.addressed[pod.uid], min(others, default=0.0))

    def _take(self, happening: Happening) -> None:
        pod = happening.pod
        if happening.new is None or pod.gone:
            self.live.pop(pod.uid, None)
            return
        self.live[pod.uid] = pod
        if happening.is_addressed:
            self.addressed.setdefault(pod.uid, happening.at)


def problems(ring: str, size: int, pods: Sequence[Sight]) -> list[str]:
    """What keeps the live pods of a ring from being one whole ring, a sentence each. size: how many there are to be."""
    addresses = {pod.address for pod in pods if pod.address}
    if len(addresses) != size or len(pods) != size:
        return [f"the ring {ring} has {len(pods)} pods, {len(addresses)} with an address, instead of {size}"]
    wrong = []
    for pod in pods:
        where = f"{pod.name} of the ring {ring}"
        if pod.address in pod.peers:
            wrong.append(f"{where} has been told of itself")
        if dead := sorted(set(pod.peers) - addresses):
            wrong.append(f"{where} has been told of {', '.join(dead)}, where no pod of its ring is")
        others = len(set(pod.peers) & addresses - {pod.address})
        if others < min(MOST_PEERS, size - 1):
            wrong.append(f"{where} has been told of {others} others instead of {min(MOST_PEERS, size - 1)}")
    islands = _groups(pods)
    if islands > 1:
        wrong.append(f"the lists of the ring {ring} make {islands} groups that do not know each other")
    return wrong


def _groups(pods: Sequence[Sight]) -> int:
    """How many groups the lists connect, whichever way they point."""
    groups = [{pod.address} for pod in pods]
    for pod in pods:
        near = {pod.address, *pod.peers}
        touched = [g for g in groups if g & near]
        groups = [g for g in groups if not g & near] + [set().union(*touched)]
    return len(groups)

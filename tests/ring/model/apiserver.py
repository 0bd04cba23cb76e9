"""The pods as the API server has them, and their addresses as the cluster hands them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.ring.model.clock import Clock
from webhook.inject.membership import PEERS_VOLUME
from webhook.inject.record import Record
from webhook.options import INJECTED, PEERS
from webhook.ring.pods import PEERS_MANAGER, SELECTOR, Member, member
from webhook.ring.service import RING_LABEL
from webhook.rings import Ring

EPOCH = 1_760_000_000
"""What the clocks of the cluster show when a run begins."""

CONTAINER = "app"
_RECORD = Record("0.1.0", CONTAINER, "digest").text()


def timestamp(seconds: float) -> str:
    """As the API has it, in whole seconds. seconds: of a run."""
    return datetime.fromtimestamp(EPOCH + int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(seconds: float) -> float:
    return EPOCH + seconds


@dataclass(slots=True)
class Stored:
    """A pod, as far as rings look at it. Times in seconds of the run; running_since by the clock of its node."""

    namespace: str
    name: str
    uid: str
    ring: Ring
    node: str
    created: float
    address: str = ""
    deleting: bool = False
    running_since: float | None = None
    restarts: int = 0
    peers: str | None = None
    written: float | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def json(self) -> dict[str, Any]:
        state = {"waiting": {"reason": "ContainerCreating"}}
        if self.running_since is not None:
            state = {"running": {"startedAt": timestamp(self.running_since)}}
        annotations = {INJECTED: _RECORD} | ({} if self.peers is None else {PEERS: self.peers})
        metadata = {
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "creationTimestamp": timestamp(self.created),
            "labels": {RING_LABEL: self.ring.label_in(self.namespace), SELECTOR: "web"},
            "annotations": annotations,
        }
        if self.deleting:
            metadata["deletionTimestamp"] = timestamp(self.created)
        if self.written is not None:
            metadata["managedFields"] = [{"manager": PEERS_MANAGER, "time": timestamp(self.written)}]
        return {
            "metadata": metadata,
            "spec": {
                "nodeName": self.node,
                "containers": [{"name": CONTAINER}],
                "volumes": [{"name": PEERS_VOLUME, "downwardAPI": {}}],
            },
            "status": {
                "phase": "Running" if self.restarts or self.running_since is not None else "Pending",
                "podIPs": [{"ip": self.address}] if self.address else [],
                "conditions": [{"type": "Ready", "status": str(self.running_since is not None)}],
                "containerStatuses": [{"name": CONTAINER, "state": state, "restartCount": self.restarts}],
            },
        }


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch tells: a pod at a version. member: None when it is gone."""

    key: str
    version: int
    member: Member | None


@dataclass(slots=True)
class ApiServer:
    """watchers are told of every change at once; whoever is slow is so by itself."""

    clock: Clock
    pods: dict[str, Stored] = field(default_factory=dict)
    watchers: list[Callable[[Event], None]] = field(default_factory=list)
    annotated: Callable[[Stored], None] = lambda pod: None
    version: int = 0
    _history: dict[str, list[tuple[float, Event]]] = field(default_factory=dict)

    def create(self, pod: Stored) -> None:
        assert pod.key not in self.pods
        self.pods[pod.key] = pod
        self._changed(pod)

    def update(self, pod: Stored, **changes: Any) -> None:
        """A kubelet's or a user's write; nothing when the pod is gone, or is another one by now."""
        if self.pods.get(pod.key) is pod:
            for name, value in changes.items():
                setattr(pod, name, value)
            self._changed(pod)

    def remove(self, pod: Stored) -> None:
        if self.pods.get(pod.key) is pod:
            del self.pods[pod.key]
            self._changed(pod)

    def patch_peers(self, seen: Member, text: str) -> bool:
        """The controller's write: only if the uid and the annotation are what it has seen. Whether it was done."""
        pod = self.pods.get(f"{seen.namespace}/{seen.name}")
        if pod is None or pod.uid != seen.uid:
            return False
        if pod.peers != (None if seen.peers is None else "\n".join(seen.peers)):
            return False
        pod.peers, pod.written = text, self.clock.now
        self._changed(pod)
        self.annotated(pod)
        return True

    def _changed(self, pod: Stored) -> None:
        self.version += 1
        said = member(pod.json()) if pod.key in self.pods else None
        event = Event(pod.key, self.version, said)
        self._history.setdefault(pod.key, []).append((self.clock.now, event))
        for watcher in self.watchers:
            watcher(event)

    def snapshot(self, at: float) -> Iterator[Event]:
        """A list as it was then: what a replica answers that is behind."""
        for history in self._history.values():
            known = [event for time, event in history if time <= at]
            if known:
                yield known[-1]


@dataclass(slots=True)
class Addresses:
    """IPv4 addresses, those given back last first: the worst that an IPAM can do."""

    free: list[str] = field(default_factory=list)
    made: int = 0

    def take(self, forbidden: Callable[[str], bool]) -> str:
        for address in reversed(self.free):
            if not forbidden(address):
                self.free.remove(address)
                return address
        self.made += 1
        return f"10.0.{self.made >> 8}.{self.made & 255}"

    def give_back(self, address: str) -> None:
        if address:
            self.free.append(address)

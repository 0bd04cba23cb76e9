"""What anybody can see from outside: when a pod has its address, and when somebody is told of whom.

Two watches in the benchmark's own process, which is neither of the controllers.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from bench.errors import BenchError
from bench.rings.scale import APP
from tests.ring.live.installation import connected
from webhook.kube.client import Client
from webhook.kube.informer import Informer
from webhook.log import Log
from webhook.options import PEERS
from webhook.ring.membership import K
from webhook.ring.service import RING_LABEL

CONFIG_MAP_LABEL = "bench.habitat.sh/ring"
ADDRESSES = "peers"
"""The key of the reference's ConfigMap, an address a line."""

Peers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Projection:
    uid: str
    name: str
    ring: str
    app: str
    address: str
    peers: Peers
    gone: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A ConfigMap of the reference. size: bytes of its addresses."""

    ring: str
    addresses: frozenset[str]
    size: int


@dataclass(slots=True)
class Sight:
    """A pod as it is now. Times are of time.monotonic(), None for not yet.

    told_at: its first peers, or the first ConfigMap that has its address. listed_at: its list as it is.
    """

    pod: Projection
    address_at: float | None = None
    told_at: float | None = None
    listed_at: float | None = None
    gone_at: float | None = None


class Observer:
    """client: for nothing else. config_maps: the design tells by ConfigMaps and not by the pods' annotations."""

    def __init__(self, client: Client, *, config_maps: bool) -> None:
        self._config_maps = config_maps
        self.client = client
        self.watches = 0
        client.on_call = self._called
        self._lock = threading.Lock()
        self._sights: dict[str, Sight] = {}
        self._by_address: dict[str, Sight] = {}
        self._content: dict[str, frozenset[str]] = {}
        self._content_at: dict[str, float] = {}
        self.addresses = 0
        self.told = 0
        self.lists = 0
        self.list_bytes = 0
        log = Log("error", sys.stderr.buffer)
        self._informers: list[Informer[Any]] = [
            Informer(client, "/api/v1/pods", _pod, self.see_pod, name="pods", labels=RING_LABEL, log=log)
        ]
        if config_maps:
            self._informers.append(
                Informer(
                    client,
                    "/api/v1/configmaps",
                    _config_map,
                    self.see_config_map,
                    name="configmaps",
                    labels=CONFIG_MAP_LABEL,
                    log=log,
                )
            )

    def __enter__(self) -> Self:
        for informer in self._informers:
            informer.start()
            if not informer.wait_synced(30.0):
                raise BenchError(f"the watch on {informer.name} did not begin within 30 s; see standard output for why")
        return self

    def __exit__(self, *_: object) -> None:
        for informer in self._informers:
            informer.stop()

    @property
    def cuts(self) -> int:
        """How often a watch was begun anew: what came meanwhile was seen late. Raises BenchError if it was not seen."""
        for informer in self._informers:
            if informer.relists:
                raise BenchError(f"the watch on {informer.name} broke, so its times are not known; run it again")
        return self.watches - len(self._informers)

    def _called(self, verb: str, resource: str, status: int) -> None:
        del resource, status
        self.watches += verb == "watch"

    # -- what comes ---------------------------------------------------------------------------------------------------
    def see_pod(self, old: Projection | None, new: Projection | None) -> None:
        now = time.monotonic()
        with self._lock:
            if new is None or new.gone:
                about = new or old
                if about is not None and (sight := self._sights.get(about.uid)) is not None and sight.gone_at is None:
                    sight.gone_at = now
                    self._by_address.pop(sight.pod.address, None)
                return
            sight = self._sights.setdefault(new.uid, Sight(new))
            before, sight.pod = sight.pod, new
            if new.address and sight.address_at is None:
                sight.address_at = now
                self.addresses += 1
                self._by_address[new.address] = sight
                if new.address in self._content.get(new.ring, ()):
                    self._tell(sight, now)
            if new.peers and (sight.listed_at is None or new.peers != before.peers):
                sight.listed_at = now
                self.lists += 1
                self.list_bytes += len("\n".join(new.peers))
                if not self._config_maps:
                    self._tell(sight, now)

    def see_config_map(self, _: Content | None, new: Content | None) -> None:
        now = time.monotonic()
        if new is None:
            return
        with self._lock:
            added = new.addresses - self._content.get(new.ring, frozenset())
            self._content[new.ring], self._content_at[new.ring] = new.addresses, now
            self.lists += 1
            self.list_bytes += new.size
            for address in added:
                if (sight := self._by_address.get(address)) is not None and sight.pod.ring == new.ring:
                    self._tell(sight, now)

    def _tell(self, sight: Sight, now: float) -> None:
        if sight.told_at is None:
            sight.told_at = now
            self.told += 1

    # -- what is asked ------------------------------------------------------------------------------------------------
    def live(self) -> list[Sight]:
        with self._lock:
            return [s for s in self._sights.values() if s.gone_at is None]

    def dead(self) -> list[Sight]:
        with self._lock:
            return [s for s in self._sights.values() if s.gone_at is not None]

    def waits(self) -> list[float]:
        """Seconds from its address to being told, of every pod but the first of each ring, which waits for nobody."""
        waits = []
        for sights in by_ring(self.live()).values():
            sights.sort(key=lambda s: s.address_at or 0.0)
            waits += [max(0.0, s.told_at - s.address_at) for s in sights[1:] if s.told_at and s.address_at]
        return waits

    def right(self) -> bool:
        """Whether every list is full and all in it are alive, or every ConfigMap names the live pods and no other."""
        if self._config_maps:
            return all(
                self._content.get(ring) == frozenset(s.pod.address for s in sights)
                for ring, sights in by_ring(self.live()).items()
            )
        return all(_full(sights) for sights in by_ring(self.live()).values())

    def right_since(self) -> float:
        """When the last list came that made it right; only while it is."""
        if self._config_maps:
            return max(self._content_at.values())
        return max(s.listed_at or 0.0 for s in self.live())

    def most_listed(self, ring: str, count: int) -> list[Sight]:
        """The pods of a ring whose death concerns the most others."""
        sights = by_ring(self.live())[ring]
        listed = Counter(address for s in sights for address in s.pod.peers)
        return sorted(sights, key=lambda s: (-listed[s.pod.address], s.pod.name))[:count]

    def in_one_piece(self) -> bool:
        """Whether the lists of each ring connect it."""
        return self._config_maps or all(
            connected({s.pod.address: list(s.pod.peers) for s in sights}) for sights in by_ring(self.live()).values()
        )


def _full(sights: list[Sight]) -> bool:
    """Whether nothing is missing: those of small rings and of a young ring's seeds are longer."""
    addresses = {s.pod.address for s in sights}
    least = min(K, len(sights) - 1)
    return all(
        len(s.pod.peers) >= least and s.pod.address not in s.pod.peers and addresses.issuperset(s.pod.peers)
        for s in sights
    )


def by_ring(sights: Iterable[Sight]) -> dict[str, list[Sight]]:
    """Ring -> its pods, in the order they came in."""
    found: dict[str, list[Sight]] = defaultdict(list)
    for sight in sights:
        found[sight.pod.ring].append(sight)
    return found


def _pod(raw: dict[str, Any]) -> Projection:
    metadata = raw["metadata"]
    said = metadata["annotations"].get(PEERS, "")
    return Projection(
        uid=metadata["uid"],
        name=metadata["name"],
        ring=metadata["labels"][RING_LABEL],
        app=metadata["labels"][APP],
        address=raw["status"].get("podIP", ""),
        peers=tuple(line for line in said.split("\n") if line),
        gone="deletionTimestamp" in metadata,
    )


def _config_map(raw: dict[str, Any]) -> Content:
    text = raw["data"][ADDRESSES]
    return Content(raw["metadata"]["labels"][CONFIG_MAP_LABEL], frozenset(text.split()), len(text))

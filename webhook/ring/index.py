"""The members of every ring, as of the last event or the last answer to a write, whichever is newer."""

from __future__ import annotations

import threading
from collections import defaultdict

from webhook.ring.pods import Member
from webhook.rings import Ring


class Index:
    """Ring -> its pods. From any thread.

    A pod that is in no ring of ours is filed under the ring "" of its namespace, since its configuration is kept
    current as well; so is one that calls itself a member of a ring of another namespace that is not shared.
    shared: "name.namespace" of the rings that pods of other namespaces may join.
    """

    def __init__(self, shared: frozenset[str]) -> None:
        self._shared = shared
        self._lock = threading.Lock()
        self._rings: dict[Ring, dict[str, Member]] = defaultdict(dict)
        self._of: dict[str, Ring] = {}
        self._ahead: set[str] = set()  # uids that are here as an answer has them, which the watch has not shown yet
        self._mounts: dict[tuple[str, str, str], set[str]] = defaultdict(set)  # kind, namespace, name -> uids

    def admitted(self, member: Member) -> bool:
        """Whether it may be in the ring that it names."""
        ring = member.ring
        return ring is not None and (ring.namespace == member.namespace or str(ring) in self._shared)

    def put(self, member: Member) -> set[Ring]:
        """Take in what a pod is now, unless something newer is known; the rings that this concerns, with the one that
        the pod has left.
        """
        with self._lock:
            known = self._known(member.uid)
            if known is not None and member.uid in self._ahead and known.version > member.version:
                # Somebody's change, which an answer to a write of ours has brought already without anybody's looking.
                return {self._of[member.uid], self._place(member)}
            # Any other version of the watch counts, also a lower one: a cluster may have been restored from a backup.
            self._ahead.discard(member.uid)
            return self._put(member)

    def answered(self, member: Member) -> None:
        """Take in a pod as the answer to a write has it, unless something newer is known, or that it is no more: the
        watch may have told of its end before the answer is read, and would not tell of it again.
        """
        with self._lock:
            known = self._known(member.uid)
            if known is not None and known.version < member.version:
                self._ahead.add(member.uid)
                self._put(member)

    def remove(self, member: Member) -> set[Ring]:
        """The pod is no more; the ring that it was in."""
        with self._lock:
            ring = self._of.pop(member.uid, None)
            if ring is None:
                return set()
            self._drop(ring, member.uid)
            self._ahead.discard(member.uid)
        return {ring}

    def _put(self, member: Member) -> set[Ring]:
        now, before, known = self._place(member), self._of.get(member.uid), self._known(member.uid)
        if before is not None:
            self._drop(before, member.uid)
        self._of[member.uid] = now
        self._rings[now][member.uid] = member
        for mounted in _mounted(member):
            self._mounts[mounted].add(member.uid)
        if known is not None and known == member and before == now:
            return set()
        return {now} if before is None else {now, before}

    def _place(self, member: Member) -> Ring:
        return member.ring if self.admitted(member) and member.ring else Ring(member.namespace, "")

    def _known(self, uid: str) -> Member | None:
        ring = self._of.get(uid)
        return None if ring is None else self._rings[ring].get(uid)

    def _drop(self, ring: Ring, uid: str) -> None:
        for mounted in _mounted(self._rings[ring].pop(uid)):
            self._mounts[mounted].discard(uid)
            if not self._mounts[mounted]:
                del self._mounts[mounted]
        if not self._rings[ring]:
            del self._rings[ring]

    def members(self, ring: Ring) -> list[Member]:
        """As of this moment."""
        with self._lock:
            return list(self._rings[ring].values()) if ring in self._rings else []

    def size(self, ring: Ring) -> int:
        """How many pods are filed there."""
        with self._lock:
            return len(self._rings[ring]) if ring in self._rings else 0

    def rings(self) -> list[Ring]:
        """All, with the "" of namespaces that have pods without a ring."""
        with self._lock:
            return list(self._rings)

    def mounting(self, kind: str, namespace: str, name: str) -> set[Ring]:
        """Rings with a pod of that namespace whose configuration is that object. kind: "ConfigMap" or "Secret"."""
        with self._lock:
            return {self._of[uid] for uid in self._mounts.get((kind, namespace, name), ())}


def _mounted(member: Member) -> list[tuple[str, str, str]]:
    """Kind, namespace and name of the objects that its configuration comes from."""
    found = (("ConfigMap", member.config_map), ("Secret", member.config_secret))
    return [(kind, member.namespace, name) for kind, name in found if name]

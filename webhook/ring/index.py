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

    def admitted(self, member: Member) -> bool:
        """Whether it may be in the ring that it names."""
        ring = member.ring
        return ring is not None and (ring.namespace == member.namespace or str(ring) in self._shared)

    def put(self, member: Member) -> set[Ring]:
        """Take in what a pod is now, unless something newer is known; the rings that this concerns, with the one that
        the pod has left.
        """
        with self._lock:
            return self._put(member)

    def answered(self, member: Member) -> None:
        """Take in a pod as the answer to a write has it, unless something newer is known, or that it is no more: the
        watch may have told of its end before the answer is read, and would not tell of it again.
        """
        with self._lock:
            if member.uid in self._of:
                self._put(member)

    def remove(self, member: Member) -> set[Ring]:
        """The pod is no more; the ring that it was in."""
        with self._lock:
            ring = self._of.pop(member.uid, None)
            if ring is None:
                return set()
            self._drop(ring, member.uid)
        return {ring}

    def _put(self, member: Member) -> set[Ring]:
        now = member.ring if self.admitted(member) and member.ring else Ring(member.namespace, "")
        before = self._of.get(member.uid)
        known = self._rings[before].get(member.uid) if before else None
        if known is not None and before is not None and known.version > member.version:
            # Somebody's change, which an answer to a write of ours has brought already without anybody's looking.
            return {before, now}
        if before is not None and before != now:
            self._drop(before, member.uid)
        self._of[member.uid] = now
        self._rings[now][member.uid] = member
        if known is not None and known == member and before == now:
            return set()
        return {now} if before is None else {now, before}

    def _drop(self, ring: Ring, uid: str) -> None:
        self._rings[ring].pop(uid, None)
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
            return {
                ring
                for ring, members in self._rings.items()
                for m in members.values()
                if m.namespace == namespace and (m.config_map if kind == "ConfigMap" else m.config_secret) == name
            }

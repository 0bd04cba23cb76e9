"""Managed ring keys: made once, copied to the namespaces that share the ring, and missed when they are gone.

The controller may create Secrets and not read them. Whether one is there, a dry run of its creation says.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from webhook.kube.client import ApiError, Client
from webhook.ring import keys, service
from webhook.ring.metrics import Metrics, Result
from webhook.ring.pods import Member
from webhook.ring.reconcile.steps import Steps
from webhook.ring.reconcile.tell import Tell
from webhook.ring.reconcile.writes import NotLeadingError
from webhook.rings import Ring

TRY_SECONDS = 1.0
"""Between two looks for a key whose making has failed, at the least."""


class Keys:
    """allowed: asked before each write. tell: an event about a member's owner and the ring's Service. check: seconds
    after which it is looked anew whether a key is there.
    """

    def __init__(
        self,
        client: Client,
        *,
        check: float,
        allowed: Callable[[], bool],
        metrics: Metrics,
        tell: Tell,
    ) -> None:
        self._client = client
        self._check = check
        self._allowed = allowed
        self._metrics = metrics
        self._tell = tell
        self._lock = threading.Lock()  # rings are looked at by several threads
        self._looked: dict[tuple[Ring, str], float] = {}  # ring and namespace -> when its Secret was last looked for
        self._tried: dict[tuple[Ring, str], float] = {}  # the same, also when that has failed
        self._missing: set[tuple[Ring, str]] = set()

    def clear(self) -> None:
        """Leadership begins or ends: what is remembered of an earlier one is old."""
        with self._lock:
            self._looked, self._tried, self._missing = {}, {}, set()
            self._metrics.keys_missing.set(0)

    def look(self, ring: Ring, members: Sequence[Member], found: Mapping[str, Any] | None, steps: Steps) -> str | None:
        """Have every namespace with a member that takes a managed key have it, each a step of its own.

        found: the ring's Service. Returns the revision of a key that was made just now, to note on the Service, None
        for no new one. Raises NotLeadingError.
        """
        users = self._users(ring, members)
        if not users:
            self.forget(ring)
            return None
        now, made = time.monotonic(), list[str]()
        revision = service.key_revision(found) if found else None
        everybody = [m for pods in users.values() for m in pods]
        todo = {ring.namespace: partial(self._own, ring, revision, everybody, made)}
        todo |= {n: partial(self._copy, ring, n, pods) for n, pods in users.items() if n != ring.namespace}
        for namespace, step in todo.items():
            waits = self._waits((ring, namespace), now)
            if waits > 0:
                steps.times.append(waits)
                continue
            with self._lock:
                self._tried[ring, namespace] = now
            steps.run(step)
            steps.times.append(self._check)
        return next(iter(made), None)

    def tell_made(self, ring: Ring, members: Sequence[Member], revision: str) -> None:
        """Say that the ring has a key now."""
        users = [m for pods in self._users(ring, members).values() for m in pods]
        self._tell(ring, users, "Normal", "RingKeyCreated", f"The ring {ring} has got its key {revision}.")

    def _users(self, ring: Ring, members: Sequence[Member]) -> dict[str, list[Member]]:
        """Who takes the key from us, by namespace."""
        users: dict[str, list[Member]] = defaultdict(list)
        for m in members:
            if not m.gone and m.key_secret == ring.key_secret_in(m.namespace):
                users[m.namespace].append(m)
        return users

    def _waits(self, place: tuple[Ring, str], now: float) -> float:
        """Seconds until the Secret is to be looked for: a namespace full of new pods is no reason to ask for each."""
        with self._lock:
            looked = self._looked.get(place, -self._check) + self._check
            return max(looked, self._tried.get(place, -TRY_SECONDS) + TRY_SECONDS) - now

    def _own(self, ring: Ring, revision: str | None, users: Sequence[Member], made: list[str]) -> None:
        """The key itself, in the ring's own namespace; the revision goes into `made` when it was made just now."""
        place, started = (ring, ring.namespace), any(m.started for m in users)
        if revision or started:
            exists = self._exists(ring, ring.namespace)
            standing = keys.judge(exists=exists, revision_known=revision, started=started)
            if standing is keys.Standing.LOST:
                self._lost(place, users, keys.lost(ring, ring.namespace, revision))
                return
            if standing is keys.Standing.PRESENT:
                self._found(place)
                return
        key = keys.new_key(ring, datetime.now(UTC), secrets.token_bytes(keys.KEY_BYTES))
        if self._create(ring.namespace, keys.secret(ring, ring.namespace, key)):
            made.append(key.revision)
        self._found(place)

    def _copy(self, ring: Ring, namespace: str, users: Sequence[Member]) -> None:
        """The key for the pods of another namespace. A copy that differs is reported and left as it is."""
        place = (ring, namespace)
        own = f"/api/v1/namespaces/{ring.namespace}/secrets/{ring.key_secret_in(ring.namespace)}"
        there = f"/api/v1/namespaces/{namespace}/secrets/{ring.key_secret_in(namespace)}"
        source, copy = self._read(own), self._read(there)
        if source is None:
            return  # told of already
        if copy is None:
            try:
                wanted = keys.copy_of(source, ring, namespace)
            except ValueError as error:  # it quotes nothing
                self._lost(place, users, f"the ring {ring} has no key that could be copied: {error}")
                return
            self._create(namespace, wanted)
        elif not keys.same(source, copy):
            self._lost(
                place,
                users,
                f"the Secret {namespace}/{ring.key_secret_in(namespace)} is not the key of the ring {ring}: its pods "
                "cannot join. Delete it, and it is copied anew",
            )
            return
        self._found(place)

    def _exists(self, ring: Ring, namespace: str) -> bool:
        return not self._create(namespace, keys.probe(ring, namespace), dry_run=True)

    def _create(self, namespace: str, body: dict[str, Any], *, dry_run: bool = False) -> bool:
        """False when there is one already."""
        if not self._allowed():
            raise NotLeadingError
        result: Result = "ok"
        try:
            self._client.create(f"/api/v1/namespaces/{namespace}/secrets", body, dry_run=dry_run)
        except ApiError as error:
            result = "conflict" if error.reason == "AlreadyExists" else "error"
            if error.reason != "AlreadyExists":
                raise
            return False
        finally:
            if not dry_run:
                self._metrics.writes["secret", result].inc()
        return True

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            return self._client.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def _found(self, place: tuple[Ring, str]) -> None:
        with self._lock:
            self._looked[place] = time.monotonic()
            self._missing.discard(place)
            self._metrics.keys_missing.set(len(self._missing))

    def _lost(self, place: tuple[Ring, str], users: Sequence[Member], note: str) -> None:
        with self._lock:
            self._looked[place] = time.monotonic()
            self._missing.add(place)
            self._metrics.keys_missing.set(len(self._missing))
        self._tell(place[0], users, "Warning", "RingKeyMissing", note[:1].upper() + note[1:] + ".")

    def forget(self, ring: Ring) -> None:
        """Nobody takes the ring's key from us any more."""
        with self._lock:
            self._looked = {place: at for place, at in self._looked.items() if place[0] != ring}
            self._tried = {place: at for place, at in self._tried.items() if place[0] != ring}
            self._missing = {place for place in self._missing if place[0] != ring}
            self._metrics.keys_missing.set(len(self._missing))

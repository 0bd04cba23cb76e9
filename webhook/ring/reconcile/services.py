"""The ring's headless Service: made, mended, and taken away when the ring has long been empty."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from webhook.kube.client import ApiError, Client
from webhook.kube.events import Kind, Recorder
from webhook.ring import service
from webhook.ring.metrics import Metrics, Result
from webhook.ring.pods import Owner
from webhook.ring.reconcile.writes import NotLeadingError
from webhook.rings import Ring

MANAGER = "habitat-webhook-controller"
FOREIGN_SECONDS = 60.0
LAG_SECONDS = 1.0
"""Within which the watch shows what was made just now."""

_NAMED = 3


class Services:
    """store: "namespace/name" -> the Services with our label. allowed: asked before each write."""

    def __init__(
        self,
        client: Client,
        store: Mapping[str, dict[str, Any]],
        *,
        linger: float,
        allowed: Callable[[], bool],
        metrics: Metrics,
        events: Recorder,
    ) -> None:
        self._client = client
        self._store = store
        self._linger = linger
        self._allowed = allowed
        self._metrics = metrics
        self._events = events
        self._empty_since: dict[Ring, float] = {}
        self._made: dict[Ring, tuple[float, dict[str, Any]]] = {}  # until the watch shows it
        self._lock = threading.Lock()  # rings are looked at by several threads
        self._foreign: dict[Ring, float] = {}  # ring -> when its name was last seen to be taken

    def clear(self) -> None:
        """Leadership begins or ends: what is remembered of an earlier one is old."""
        with self._lock:
            self._empty_since, self._made, self._foreign = {}, {}, {}
            self._metrics.foreign.set(0)

    def rings(self) -> list[Ring]:
        """Those that have a Service of ours, with or without members."""
        return [ring for found in self._store.values() if (ring := service.ring_of(found)) is not None]

    def of(self, ring: Ring) -> dict[str, Any] | None:
        """The ring's Service, as last seen; None when there is none of ours."""
        found = self._store.get(f"{ring.namespace}/{ring.service}")
        at, made = self._made.get(ring, (-LAG_SECONDS, None))
        if found is not None or time.monotonic() - at > LAG_SECONDS:
            self._made.pop(ring, None)
            return found
        return made

    def needed(self, ring: Ring, owners: Iterable[Owner], revision: str | None) -> float | None:
        """The ring has members: have its Service be there and right. Seconds until it should be looked at again.

        owners: (namespace of the ring) who to tell when it cannot be. revision: of the managed key, None without.
        Raises ApiError, NotLeadingError.
        """
        self._empty_since.pop(ring, None)
        found = self.of(ring)
        if found is None:
            waits = self._foreign.get(ring, -FOREIGN_SECONDS) + FOREIGN_SECONDS - time.monotonic()
            return waits if waits > 0 else self._create(ring, owners, revision)
        self._not_foreign(ring)
        if found["metadata"].get("deletionTimestamp"):
            return LAG_SECONDS
        if service.needs_recreation(found):
            reasons = service.drift(found)
            self._write(lambda: self._client.delete(_path(ring), uid=found["metadata"]["uid"]))
            made = self._write(lambda: self._client.create(_collection(ring), service.replacement(found)))
            self._say(made, "Warning", "ServiceRecreated", f"Made anew, since it cannot be mended: {_list(reasons)}.")
            return None
        mended = service.repair(found)
        reasons = service.drift(found)
        if revision and service.key_revision(found) is None:
            mended = service.with_key_revision(mended or found, revision)
        if mended is not None:
            body = {"apiVersion": "v1", "kind": "Service"} | mended
            made = self._write(lambda: self._client.replace(_path(ring), body, manager=MANAGER))
            if reasons:
                self._say(made, "Warning", "ServiceRepaired", f"Somebody had changed it: {_list(reasons)}.")
        return None

    def empty(self, ring: Ring) -> float | None:
        """The ring has no members: have its Service go when that has lasted. Raises ApiError, NotLeadingError."""
        self._not_foreign(ring)
        found = self.of(ring)
        if found is None or found["metadata"].get("deletionTimestamp"):
            self._empty_since.pop(ring, None)
            return None
        left = self._empty_since.setdefault(ring, time.monotonic()) + self._linger - time.monotonic()
        if left > 0:
            return left
        self._write(lambda: self._client.delete(_path(ring), uid=found["metadata"]["uid"]))
        self._empty_since.pop(ring, None)
        return None

    def _create(self, ring: Ring, owners: Iterable[Owner], revision: str | None) -> float | None:
        wanted = service.desired(ring)
        if revision:
            wanted = service.with_key_revision(wanted, revision)
        try:
            made = self._write(lambda: self._client.create(_collection(ring), wanted, manager=MANAGER))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return self._taken(ring, owners)
        self._not_foreign(ring)
        self._made[ring] = (time.monotonic(), made)
        self._say(made, "Normal", "RingFormed", f"The ring {ring} has its Service.")
        return None

    def _taken(self, ring: Ring, owners: Iterable[Owner]) -> float:
        """Somebody has a Service of this name: us, and we have not seen it yet, or a stranger."""
        pages = self._client.list(
            f"/api/v1/namespaces/{ring.namespace}/services", fields=f"metadata.name={ring.service}"
        )
        found = [item for items, _ in pages for item in items]
        if not found or service.is_ours(found[0]):
            return LAG_SECONDS
        with self._lock:
            self._foreign[ring] = time.monotonic()
            self._metrics.foreign.set(len(self._foreign))
        label = f"{service.MANAGED_BY[0]}={service.MANAGED_BY[1]}"
        note = (
            f"The ring {ring} needs a Service named {ring.service}, and this one is not the webhook's: it lacks the "
            f"label {label}. It is left alone; peers are found without it, its DNS name is not the ring's. "
            "Rename or delete it, or call the ring otherwise."
        )
        self._say(found[0], "Warning", "ForeignService", note)
        for owner in owners:
            self._events.event(owner.reference(ring.namespace), "Warning", "ForeignService", note)
        return FOREIGN_SECONDS

    def _not_foreign(self, ring: Ring) -> None:
        with self._lock:
            self._foreign.pop(ring, None)
            self._metrics.foreign.set(len(self._foreign))

    def _say(self, found: Mapping[str, Any] | None, kind: Kind, reason: str, note: str) -> None:
        if found:
            metadata = found["metadata"]
            about = {"apiVersion": "v1", "kind": "Service"} | {k: metadata[k] for k in ("namespace", "name", "uid")}
            self._events.event(about, kind, reason, note)

    def say(self, ring: Ring, kind: Kind, reason: str, note: str) -> None:
        """An event about the ring, on its Service; nothing while that is not there."""
        self._say(self.of(ring), kind, reason, note)

    def _write(self, call: Callable[[], Any]) -> Any:
        if not self._allowed():
            raise NotLeadingError
        result: Result = "ok"
        try:
            return call()
        except ApiError as error:
            result = "conflict" if error.status == 409 else "gone" if namespace_goes(error) else "error"
            if result == "gone":
                raise
            if error.status == 404 or (error.status == 409 and error.reason == "Conflict"):
                return None  # another one by now: the watch will tell, and we look again
            raise
        finally:
            self._metrics.writes["service", result].inc()


def namespace_goes(error: ApiError) -> bool:
    """Whether a write was refused because its namespace is being deleted, or is not there: nothing to be done."""
    return "NamespaceTerminating" in error.causes or (error.status == 404 and "namespaces" in error.message)


def _collection(ring: Ring) -> str:
    return f"/api/v1/namespaces/{ring.namespace}/services"


def _path(ring: Ring) -> str:
    return f"{_collection(ring)}/{ring.service}"


def _list(sentences: list[str]) -> str:
    more = f"; and {len(sentences) - _NAMED} more" if len(sentences) > _NAMED else ""
    return "; ".join(sentences[:_NAMED]) + more

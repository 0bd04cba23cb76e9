"""Live configuration: what the mounted ConfigMaps and Secrets hold now, told to the pods in waves (rollout.py)."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webhook.kube.client import ApiError, Client
from webhook.ring import rollout
from webhook.ring.pods import Member
from webhook.ring.reconcile.tell import Tell
from webhook.ring.reconcile.writes import DONE, Change, Writer, Written
from webhook.rings import Ring


@dataclass(frozen=True, slots=True)
class Version:
    """An object as of a resourceVersion, without its content."""

    namespace: str
    name: str
    version: str


Versions = Mapping[str, Version]
"""All such objects by "namespace/name", from a watch of their metadata alone."""

_RETRY_SECONDS = 1.0
_WAVE_SECONDS = 1.0
"""How long the writes of a wave may take, since the ring's new pods wait meanwhile. What is left is in a later wave."""

_LEAST_SECONDS = 0.05
_RESOURCES = {"ConfigMap": "configmaps", "Secret": "secrets"}


class Configs:
    """config_maps, secrets: what there is; secrets None when they are not watched. tell: an event for the ring."""

    def __init__(
        self,
        client: Client,
        writer: Writer,
        *,
        config_maps: Versions,
        secrets: Versions | None,
        pace: rollout.Pace,
        tell: Tell,
    ) -> None:
        self._client = client
        self._writer = writer
        self._versions: dict[str, Versions] = {"ConfigMap": config_maps}
        if secrets is not None:
            self._versions["Secret"] = secrets
        self._pace = pace
        self._tell = tell
        self._lock = threading.Lock()
        self._generations: dict[tuple[str, str], tuple[str, str]] = {}  # (kind, key) -> (resourceVersion, generation)
        self._memories: dict[Ring, rollout.Memory] = {}

    def wanted(self, members: Sequence[Member]) -> dict[str, str]:
        """What each mounts: uid -> generation. Without those that mount nothing we may look at. Raises ApiError."""
        found = {}
        for m in members:
            kind, name = ("ConfigMap", m.config_map) if m.config_map else ("Secret", m.config_secret)
            if name and not m.gone and kind in self._versions:
                generation = self._generation(kind, m.namespace, name)
                if generation:
                    found[m.uid] = generation
        return found

    def clear(self) -> None:
        """Leadership begins or ends: what is remembered of an earlier one is old."""
        self._memories.clear()

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """The object is no more."""
        with self._lock:
            self._generations.pop((kind, f"{namespace}/{name}"), None)

    def look(self, ring: Ring, members: Sequence[Member], wanted: Mapping[str, str]) -> float | None:
        """Tell the pods whose turn it is; seconds until the next look. members: those that are not about to get it with
        their first peers. A write that has failed comes again with the next look. Raises NotLeadingError.
        """
        by_uid = {m.uid: m for m in members if not m.gone and m.injected and m.uid in wanted}
        if not by_uid:
            self._memories.pop(ring, None)
            return None
        pods = [
            rollout.Pod(
                uid=m.uid,
                name=m.name,
                generation=m.generation,
                wanted=wanted[m.uid],
                running=m.running_since is not None,
                ready=m.ready,
                leader=m.leader,
                created=m.created,
            )
            for m in by_uid.values()
        ]
        now = time.monotonic()
        plan = rollout.plan(pods, self._memories.get(ring, rollout.Memory()), now, self._pace)
        memory, failed = plan.memory, False
        for note in plan.notes:
            self._tell(ring, [], "Warning", "ConfigurationStalls", note[:1].upper() + note[1:] + ".")
        if plan.patch:
            changes = [Change(by_uid[p.uid], generation=p.wanted) for p in plan.patch]
            batch = self._writer.write(changes, _nothing, seconds=_WAVE_SECONDS)
            begun = {w.change.member.uid for w in batch.results if w.result in DONE}
            for change in changes:
                if change.member.uid not in begun:
                    memory = memory.without(change.member.uid)
            failed = batch.left > 0 or not batch.well
        self._memories[ring] = memory
        if failed:
            return _RETRY_SECONDS
        return None if plan.next_at is None else max(_LEAST_SECONDS, plan.next_at - time.monotonic())

    def _generation(self, kind: str, namespace: str, name: str) -> str | None:
        """None when there is no such object. Read again only when its resourceVersion has changed."""
        key = f"{namespace}/{name}"
        found = self._versions[kind].get(key)
        if found is None:
            return None
        with self._lock:
            known = self._generations.get((kind, key))
        if known and known[0] == found.version:
            return known[1]
        try:
            content = self._client.get(f"/api/v1/namespaces/{namespace}/{_RESOURCES[kind]}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        parts = ([content], []) if kind == "ConfigMap" else ([], [content])
        generation = rollout.generation(*parts)
        with self._lock:
            self._generations[kind, key] = (content["metadata"]["resourceVersion"], generation)
        return generation


def _nothing(written: Written) -> None:
    """The next look needs nothing of an answer: `rollout` waits until the watch shows it."""

"""Writes to pods: two annotations, each compared with what it was before, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from webhook.kube.client import ApiError, Client
from webhook.log import Log
from webhook.options import CONFIG_GENERATION, PEERS
from webhook.ring.metrics import Kind, Metrics, Result
from webhook.ring.pods import PEERS_MANAGER, Member, member

CONFIG_MANAGER = "habitat-webhook-config"

_CONFLICT = (409, 422)
"""422: a `test` of the JSON Patch has failed: another uid, or another value than the one that was seen."""


class NotLeadingError(Exception):
    """Another controller may act by now: nothing may be written."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written on a pod; None leaves an annotation alone."""

    member: Member
    peers: tuple[str, ...] | None = None
    generation: str | None = None

    @property
    def kind(self) -> Kind:
        return "config" if self.peers is None else "peers"

    def operations(self) -> list[dict[str, Any]]:
        """A JSON Patch (RFC 6902) that applies only to this very pod, and only while the annotation is as we know it.

        So a controller that is late, or has seen a pod of the same name before, changes nothing; and a status that the
        kubelet writes meanwhile is no conflict, as it would be with a resourceVersion.
        """
        before = self.member
        known = None if before.peers is None else "\n".join(before.peers)
        said = [(PEERS, None if self.peers is None else "\n".join(self.peers), known)]
        said.append((CONFIG_GENERATION, self.generation, before.generation))
        operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": before.uid}]
        for name, value, old in said:
            if value is not None:
                path = "/metadata/annotations/" + name.replace("~", "~0").replace("/", "~1")
                operations += [{"op": "test", "path": path, "value": old}, {"op": "add", "path": path, "value": value}]
        return operations


@dataclass(frozen=True, slots=True)
class Written:
    """How a change ended; member: the pod as it is now, when the result is "ok"."""

    change: Change
    result: Result
    member: Member | None = None


class Writer:
    """Carries out changes of pods, `workers` at a time. allowed: asked before each one."""

    def __init__(
        self, client: Client, *, workers: int, allowed: Callable[[], bool], metrics: Metrics, log: Log
    ) -> None:
        self._client = client
        self._allowed = allowed
        self._metrics = metrics
        self._log = log
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="write")

    def stop(self) -> None:
        """Let what is under way end, and begin nothing any more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def write(self, changes: Iterable[Change], done: Callable[[Written], None]) -> list[Written]:
        """All of them; `done` is called with each as it ends, on a thread of the pool. Raises NotLeadingError."""

        def one(change: Change) -> Written:
            written = self._one(change)
            self._metrics.writes[change.kind, written.result].inc()
            done(written)
            return written

        todo = list(changes)
        if not self._allowed():
            raise NotLeadingError
        return [one(todo[0])] if len(todo) == 1 else list(self._pool.map(one, todo))

    def _one(self, change: Change) -> Written:
        if not self._allowed():
            raise NotLeadingError
        manager = CONFIG_MANAGER if change.peers is None else PEERS_MANAGER
        try:
            answer = self._client.patch(change.member.path, change.operations(), manager=manager)
        except ApiError as error:
            return Written(change, self._refused(change, error))
        return Written(change, "ok", member(answer))

    def _refused(self, change: Change, error: ApiError) -> Result:
        if error.status == 404:
            return "gone"
        level, result = ("debug", "conflict") if error.status in _CONFLICT else ("warning", "error")
        pod = f"{change.member.namespace}/{change.member.name}"
        self._log(level, "pod not written", pod=pod, kind=change.kind, error=str(error))
        return "conflict" if result == "conflict" else "error"

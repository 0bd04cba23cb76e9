"""Writes to pods: two annotations, each compared with what it was before, several at a time."""

from __future__ import annotations

import time
from collections import deque
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

WRITE_SECONDS = 0.5
"""How long one plan is carried out. Some plans have thousands of writes, and meanwhile pods die and come: what is left
by then is planned anew, with all of them in mind."""

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


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of the changes that were begun, and how many were not: time was over."""

    results: list[Written]
    left: int

    @property
    def well(self) -> bool:
        """Whether nothing has failed of what was begun."""
        return all(w.result in DONE for w in self.results)

    @property
    def more(self) -> bool:
        """Whether to go on at once. Not when nothing went well: what fails comes again after a while."""
        return self.left > 0 and any(w.result in DONE for w in self.results)


DONE: tuple[Result, ...] = ("ok", "gone")


class Writer:
    """Carries out changes of pods. allowed: asked before each one.

    workers: how many writes of one ring are under way at a time. rings: how many rings are written to at a time, each
    with that many, so that none waits for the slow writes of another.
    """

    def __init__(
        self, client: Client, *, workers: int, rings: int, allowed: Callable[[], bool], metrics: Metrics, log: Log
    ) -> None:
        self._workers = workers
        self._client = client
        self._allowed = allowed
        self._metrics = metrics
        self._log = log
        self._pool = ThreadPoolExecutor(workers * rings, thread_name_prefix="write")

    def stop(self) -> None:
        """Let what is under way end, and begin nothing any more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def write(
        self, changes: Iterable[Change], done: Callable[[Written], None], *, seconds: float = WRITE_SECONDS
    ) -> Batch:
        """In this order; `done` is called with each as it ends, on any thread. Raises NotLeadingError.

        seconds: after which none is begun any more, but for as many as are under way at a time.
        """
        todo = deque(changes)
        until = time.monotonic() + seconds
        if not self._allowed():
            raise NotLeadingError

        def lane(_: int) -> list[Written]:
            results: list[Written] = []
            while not results or time.monotonic() < until:
                try:
                    change = todo.popleft()
                except IndexError:
                    break
                results.append(self._one(change))
                self._metrics.writes[change.kind, results[-1].result].inc()
                done(results[-1])
            return results

        lanes = range(min(self._workers, len(todo)))
        found = map(lane, lanes) if len(lanes) == 1 else self._pool.map(lane, lanes)
        return Batch([written for results in found for written in results], len(todo))

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

"""Several parts under one Lease: all of them act in the process that holds it, and in no other.

Who stands by has the same picture and writes nothing, so that a hand-over begins with full watches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from webhook.controller.settings import Settings
from webhook.kube.client import Client
from webhook.kube.election import Election
from webhook.log import Log


class Part(Protocol):
    """Something that the leader does. None of these calls blocks for long."""

    def start(self) -> None:
        """Begin to watch; nothing is written before `begin`. Once only."""

    def waiting(self) -> list[str]:
        """The names of what it has not seen yet, [] when it could act."""

    def begin(self) -> None:
        """This process acts from now on."""

    def pause(self) -> None:
        """Another may act from now on. Returns when no write is under way."""

    def stop(self) -> None:
        """End. Once only."""


class Process:
    """`run` parts until it is told to stop. leader: told 1.0 when this process begins to act, 0.0 when it ends."""

    def __init__(
        self, client: Client, settings: Settings, *, identity: str, leader: Callable[[float], None], log: Log
    ) -> None:
        self.namespace = settings.namespace or client.namespace
        self._leader = leader
        self._parts: Sequence[Part] = ()
        self._election = Election(
            client,
            self.namespace,
            settings.lease,
            identity,
            duration=settings.lease_duration,
            renew_deadline=settings.lease_renew,
            retry=settings.lease_retry,
            started=self._begin,
            stopped=self._pause,
            log=log,
        )

    def leading(self) -> bool:
        """Whether nobody else can be acting now. Ask before each write."""
        return self._election.leading

    def run(self, parts: Sequence[Part], stop: threading.Event) -> None:
        """Until `stop`; the Lease is given up at the end."""
        self._parts = parts
        for part in parts:
            part.start()
        try:
            while not stop.is_set() and self.ready():
                stop.wait(0.05)
            if not stop.is_set():
                self._election.run(stop)
        finally:
            for part in parts:
                part.stop()

    def ready(self) -> str | None:
        """Whether it could act: it sees the cluster. None, or what is still missing."""
        if not self._parts:
            return "not started yet"
        waiting = [name for part in self._parts for name in part.waiting()]
        return f"not synced yet: {', '.join(waiting)}" if waiting else None

    def live(self) -> str | None:
        """Nothing here depends on the API server: without it the process waits, and a restart would not help."""
        return None

    def _begin(self) -> None:
        for part in self._parts:
            part.begin()
        self._leader(1.0)

    def _pause(self) -> None:
        self._leader(0.0)
        for part in self._parts:
            part.pause()

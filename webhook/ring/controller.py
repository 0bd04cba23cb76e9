"""The ring controller as a whole: informers fill the index and the queue, workers take rings from it.

Who stands by has the same picture and writes nothing, so that a hand-over begins with a full index. Everything is
level-triggered: an event says only which ring to look at, and a lost one is made up for by the next look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from webhook.kube.client import Client
from webhook.kube.events import Kind, Recorder
from webhook.kube.informer import Informer
from webhook.kube.queue import WorkQueue
from webhook.log import Log, trace
from webhook.ring import service
from webhook.ring.index import Index
from webhook.ring.membership import seeded
from webhook.ring.metrics import Metrics
from webhook.ring.pods import SELECTOR, Member, member
from webhook.ring.reconcile import Reconciler
from webhook.ring.reconcile.configs import Configs, Version
from webhook.ring.reconcile.keys import Keys
from webhook.ring.reconcile.peers import Peers
from webhook.ring.reconcile.services import Services
from webhook.ring.reconcile.tell import tell_owners
from webhook.ring.reconcile.writes import NotLeadingError, Writer
from webhook.ring.settings import ControllerSettings
from webhook.rings import Ring

LOOKERS = 4
"""How many rings are looked at, and written to, at a time."""

_GATHER_PODS = 20_000
_GATHER_MOST = 0.25
"""A look costs some microseconds a member, so changes of a ring are gathered for n/20,000 seconds: 5 ms for a hundred
pods, a quarter of a second at most."""

_GATHER_DEATHS = 0.5
"""Where one pod dies, more do: those of a node, or of a Deployment that is made smaller. Their deaths are gathered, so
that a list which loses names is written once. Nobody waits for that: a Supervisor that knows others reads no list."""

_PAUSE_SECONDS = 2.0
_COUNT_SECONDS = 5.0


class Controller:
    """A part of the process (webhook.controller.process.Part). leading: asked before each write."""

    def __init__(
        self,
        client: Client,
        settings: ControllerSettings,
        *,
        leading: Callable[[], bool],
        identity: str,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._settings = settings
        self._log = log
        self.metrics = metrics
        self._queue: WorkQueue[Ring] = WorkQueue()
        self._stopping = threading.Event()
        self._index = Index(settings.shared())
        self._informers: list[Informer[Any]] = []
        self._leading = leading

        pods = self._informer(client, "/api/v1/pods", member, self._pod, name="pods", labels=SELECTOR)
        services = self._informer(
            client,
            "/api/v1/services",
            service.projection,
            self._service,
            name="services",
            labels="=".join(service.MANAGED_BY),
        )
        config_maps = self._versions(client, "ConfigMap", "configmaps")
        secrets = self._versions(client, "Secret", "secrets") if settings.watch_secrets else None
        self._pods = pods

        self._events = Recorder(
            client,
            controller="habitat.sh/ring-controller",
            instance=identity,
            log=log,
            dropped=metrics.exposition.events_dropped.inc,
        )
        self._acting = threading.Event()
        self._busy = threading.Condition()
        self._looks = 0  # looks under way
        self._writer = Writer(
            client, workers=settings.workers, rings=LOOKERS, allowed=self._allowed, metrics=metrics, log=log
        )
        self._services = Services(
            client,
            services.store,
            linger=settings.ring_linger,
            allowed=self._allowed,
            metrics=metrics,
            events=self._events,
        )
        self._peers = Peers(self._writer, self._index, metrics, log)
        self._configs = Configs(
            client,
            self._writer,
            config_maps=config_maps.store,
            secrets=secrets.store if secrets else None,
            pace=settings.pace(),
            tell=self._tell,
        )
        self._reconciler = Reconciler(
            self._index,
            peers=self._peers,
            keys=Keys(client, check=settings.key_check, allowed=self._allowed, metrics=metrics, tell=self._tell),
            services=self._services,
            configs=self._configs,
            events=self._events,
            log=log,
        )
        self._threads = [threading.Thread(target=self._work, name=f"look-{n}", daemon=True) for n in range(LOOKERS)]
        self._threads.append(threading.Thread(target=self._count, name="count", daemon=True))
        metrics.watch(depth=lambda: len(self._queue), silence=self._silence)

    # -- life ---------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin to watch; nothing is written before `begin`. Once only."""
        for informer in self._informers:
            informer.start()
        self._events.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End. Once only."""
        self._stopping.set()
        self._acting.clear()
        self._queue.shutdown()
        for informer in self._informers:
            informer.stop()
        self._writer.stop()
        self._events.stop()
        for thread in self._threads:
            thread.join(5.0)

    def waiting(self) -> list[str]:
        """The watches that have not listed everything yet."""
        return [i.name for i in self._informers if not i.synced]

    def begin(self) -> None:
        """This process acts from now on."""
        self._reconciler.clear()
        self._acting.set()
        self._all()

    def pause(self) -> None:
        """Returns when no write is under way: what follows may be another's leadership."""
        self._acting.clear()
        with self._busy:
            if not self._busy.wait_for(lambda: self._looks == 0, timeout=_PAUSE_SECONDS):
                self._log("warning", "a write is still under way, though leadership has ended")
        self._reconciler.clear()

    def _allowed(self) -> bool:
        return self._acting.is_set() and self._leading()

    def _all(self) -> None:
        for ring in {*self._index.rings(), *self._services.rings()}:
            self._queue.add(ring)

    # -- what happens -------------------------------------------------------------------------------------------------
    def _informer(self, client: Client, path: str, project: Any, changed: Any, **options: Any) -> Informer[Any]:
        informer: Informer[Any] = Informer(
            client, path, project, changed, resync=self._settings.resync, log=self._log, **options
        )
        self._informers.append(informer)
        return informer

    def _versions(self, client: Client, kind: str, resource: str) -> Informer[Any]:
        def changed(old: Version | None, new: Version | None) -> None:
            about = new or old
            if new is None and old is not None:
                self._configs.forget(kind, old.namespace, old.name)
            if about is not None and old != new:
                self._look_at(self._index.mounting(kind, about.namespace, about.name))

        return self._informer(client, f"/api/v1/{resource}", _version, changed, name=resource, metadata_only=True)

    def _pod(self, old: Member | None, new: Member | None) -> None:
        if new is None:
            if old is not None:
                self._peers.forget(old.uid)
                self._look_at(self._index.remove(old), least=_GATHER_DEATHS)
            return
        if new.live and new.managed and new.peers is None:
            self._peers.address_seen(new.uid)
        rings = self._index.put(new)
        if old is not None and (old is new or self._ring(old) != self._ring(new)):
            # The index may have known of the new ring already, by the answer to a write.
            rings |= {self._ring(old), self._ring(new)}
        self._look_at(rings, least=_GATHER_DEATHS if new.gone else 0.0)

    def _ring(self, pod: Member) -> Ring:
        return pod.ring if pod.ring and self._index.admitted(pod) else Ring(pod.namespace, "")

    def _service(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        about = new or old
        ring = service.ring_of(about) if about else None
        if ring is not None:
            self._look_at({ring})

    def _look_at(self, rings: set[Ring], *, least: float = 0.0) -> None:
        for ring in rings:
            self._queue.add_after(ring, max(least, min(_GATHER_MOST, self._index.size(ring) / _GATHER_PODS)))

    def _tell(self, ring: Ring, members: Sequence[Member], kind: Kind, reason: str, note: str) -> None:
        self._services.say(ring, kind, reason, note)
        tell_owners(self._events, members, kind, reason, note)

    # -- workers ------------------------------------------------------------------------------------------------------
    def _work(self) -> None:
        while not self._stopping.is_set():
            ring = self._queue.get(timeout=1.0)
            if ring is None:
                continue
            try:
                with self._busy:
                    self._looks += 1
                if self._acting.is_set():
                    self._look(ring)
            finally:
                with self._busy:
                    self._looks -= 1
                    self._busy.notify_all()
                self._queue.done(ring)

    def _look(self, ring: Ring) -> None:
        try:
            outcome = self._reconciler.look(ring)
        except NotLeadingError:
            return
        except Exception as error:  # noqa: BLE001 -- one ring's trouble must not end the worker of all
            self.metrics.failures.inc()
            delay = self._queue.retry(ring)
            self._log("error", "ring not reconciled", ring=str(ring), again_in=round(delay, 2), exception=trace(error))
            return
        if outcome.error is not None:
            self.metrics.failures.inc()
            delay = self._queue.retry(ring)
            said = str(outcome.error)
            self._log("warning", "ring not reconciled", ring=str(ring), again_in=round(delay, 2), error=said)
        elif not outcome.well:
            self._queue.retry(ring)
        else:
            self._queue.forget(ring)
        # Also after an error: what went well has its own times.
        if outcome.again is not None:
            self._queue.add_after(ring, outcome.again)

    # -- numbers ------------------------------------------------------------------------------------------------------
    def _count(self) -> None:
        while not self._stopping.wait(_COUNT_SECONDS):
            sizes, unseeded = [], 0
            for ring in self._index.rings():
                live = [m for m in self._index.members(ring) if ring.name and m.live and m.managed and m.injected]
                if live:
                    addresses = {m.address for m in live}
                    sizes.append(len(live))
                    unseeded += sum(not seeded(m, addresses) for m in live) if len(live) > 1 else 0
            self.metrics.rings.set(len(sizes))
            self.metrics.members.set(sum(sizes))
            self.metrics.largest.set(max(sizes, default=0))
            self.metrics.unseeded.set(unseeded)

    def _silence(self) -> float:
        return time.monotonic() - min(i.contact for i in self._informers)


def _version(raw: dict[str, Any]) -> Version:
    metadata = raw["metadata"]
    return Version(metadata["namespace"], metadata["name"], metadata["resourceVersion"])

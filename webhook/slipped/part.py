"""The look for such pods as a part of the controller: every few minutes, while this process acts."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from webhook.decide import Settings
from webhook.kube.client import Client
from webhook.kube.errors import ApiError
from webhook.kube.events import Recorder
from webhook.log import Log, trace
from webhook.metrics import Exposition
from webhook.namespaces import Namespace
from webhook.slipped.look import slipped

REASON = "NotInjected"
NOTE = (
    "Pods that ask for a Supervisor run without one: they were created before the webhook was there, or while it "
    "did not answer. Restart the workload (kubectl rollout restart) when that suits you."
)

_PAGE = 200
"""Pods in memory at a time: some megabytes."""

_STOP_SECONDS = 5.0


class Metrics:
    """Among the metrics of the process."""

    def __init__(self, exposition: Exposition) -> None:
        self.exposition = exposition
        self.slipped = exposition.gauge(
            "pods_not_injected",
            "Pods that ask for an injection and run without one, at the last look; NaN unless this process acts.",
        )
        self.forget()

    def forget(self) -> None:
        """Another process acts."""
        self.slipped.set(math.nan)


class Slipped:
    """A part of the process (webhook.controller.process.Part). every: seconds from one look to the next."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        *,
        every: float,
        leading: Callable[[], bool],
        identity: str,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._client = client
        self._settings = settings
        self._every = every
        self._leading = leading
        self._metrics = metrics
        self._log = log
        self._events = Recorder(
            client,
            controller="habitat.sh/injection-controller",
            instance=identity,
            log=log,
            dropped=metrics.exposition.events_dropped.inc,
        )
        self._acting = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slipped", daemon=True)

    def start(self) -> None:
        """Nothing is asked before `begin`. Once only."""
        self._events.start()
        self._thread.start()

    def waiting(self) -> list[str]:
        """It needs no picture to begin with."""
        return []

    def begin(self) -> None:
        """This process acts from now on."""
        self._acting.set()

    def pause(self) -> None:
        """Another may act from now on. Only Events are written, so that none under way does harm."""
        self._acting.clear()
        self._metrics.forget()

    def stop(self) -> None:
        """End. Once only."""
        self._stopping.set()
        self._acting.set()
        self._thread.join(_STOP_SECONDS)
        self._events.stop()

    def _run(self) -> None:
        while self._acting.wait() and not self._stopping.is_set():
            try:
                self._look()
            except ApiError as error:
                self._log("warning", "pods without a Supervisor not counted", error=str(error))
            except Exception as error:  # noqa: BLE001 -- this thread must go on
                self._log("error", "pods without a Supervisor not counted", exception=trace(error))
            self._stopping.wait(self._every)

    def _look(self) -> None:
        namespaces = {
            raw["metadata"]["name"]: Namespace.of(raw)
            for page, _ in self._client.list("/api/v1/namespaces", metadata_only=True)
            for raw in page
        }
        count = 0
        for page, _ in self._client.list("/api/v1/pods", limit=_PAGE):
            if self._stopping.is_set() or not self._leading():
                return
            found = list(slipped(page, namespaces, self._settings))
            count += len(found)
            for namespace, owner in dict.fromkeys(found):
                self._events.event(owner.reference(namespace), "Warning", REASON, NOTE, action="Look")
        self._metrics.slipped.set(count)

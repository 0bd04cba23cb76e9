"""The keeper as a part of the controller: a thread that looks while this process acts, and rests while it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from certs.rotation import Policy
from certs.stores import Secret
from webhook.certificates.configurations import Configuration, Configurations
from webhook.certificates.keeper import Clock, Keeper, NotLeadingError
from webhook.certificates.metrics import CertificateMetrics
from webhook.kube.client import Client
from webhook.kube.errors import ApiError
from webhook.kube.events import Kind, Recorder
from webhook.kube.times import elapsed
from webhook.log import Log, trace

LOOK_SECONDS = 5.0
"""Between two looks where nothing happens. Secrets are not watched: the controller may not list them."""

_GATHER_SECONDS = 0.1
"""A `kubectl apply` changes several objects; so long its changes are gathered."""

_FIRST_DELAY = 0.5
_PAUSE_SECONDS = 2.0


class Certificates:
    """CA, leaf and caBundles. authority, serving: names of the two Secrets in `namespace`. resync: of the watches."""

    def __init__(
        self,
        client: Client,
        policy: Policy,
        *,
        namespace: str,
        authority: str,
        serving: str,
        resync: float,
        leading: Callable[[], bool],
        identity: str,
        metrics: CertificateMetrics,
        log: Log,
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._namespace = namespace
        self._leading = leading
        self._events = Recorder(
            client,
            controller="habitat.sh/certificate-controller",
            instance=identity,
            log=log,
            dropped=metrics.exposition.events_dropped.inc,
        )
        self._configurations = Configurations(client, self._wake, resync=resync, log=log)
        self._keeper = Keeper(
            Secret(client, namespace, authority, "Opaque"),
            Secret(client, namespace, serving, "kubernetes.io/tls"),
            self._configurations,
            policy,
            clock=Clock(lambda: datetime.now(UTC), elapsed),
            allowed=self._allowed,
            tell=self._tell,
            tell_configuration=self._tell_configuration,
            metrics=metrics,
            log=log,
        )
        self._acting = False
        self._looking = False
        self._ending = False
        self._due = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="certificates", daemon=True)

    def start(self) -> None:
        """Begin to watch; nothing is written before `begin`."""
        self._events.start()
        for informer in self._configurations.informers:
            informer.start()
        self._thread.start()

    def stop(self) -> None:
        """End. Once only."""
        with self._changed:
            self._acting, self._ending = False, True
            self._changed.notify_all()
        for informer in self._configurations.informers:
            informer.stop()
        self._thread.join(_PAUSE_SECONDS)
        self._events.stop()

    def waiting(self) -> list[str]:
        """The watches that have not listed everything yet."""
        return [informer.name for informer in self._configurations.informers if not informer.synced]

    def begin(self) -> None:
        """This process acts from now on."""
        with self._changed:
            self._acting = self._due = True
            self._changed.notify_all()

    def pause(self) -> None:
        """Another may act from now on. Returns when no write is under way."""
        with self._changed:
            self._acting = False
            if not self._changed.wait_for(lambda: not self._looking, timeout=_PAUSE_SECONDS):
                self._log("warning", "a look at the certificates is still under way, though leadership has ended")
        self._metrics.forget()

    def _allowed(self) -> bool:
        return self._acting and self._leading()

    def _wake(self) -> None:
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def _run(self) -> None:
        failures = 0
        while self._wait(min(LOOK_SECONDS, _FIRST_DELAY * 2.0 ** min(failures - 1, 16)) if failures else LOOK_SECONDS):
            try:
                again = self._keeper.look()
            except NotLeadingError:
                again = False
            except ApiError as error:
                again = True
                self._metrics.failures.inc()
                self._log("warning", "certificates not looked at", error=str(error))
            except Exception as error:  # noqa: BLE001 -- this thread must go on, and the text could quote a Secret
                again = True
                self._metrics.failures.inc()
                self._log("error", "certificates not looked at", exception=trace(error))
            finally:
                with self._changed:
                    self._looking = False
                    self._changed.notify_all()
            failures = failures + 1 if again else 0

    def _wait(self, seconds: float) -> bool:
        """Until a look is due, and this process acts; False at the end."""
        with self._changed:
            while not self._ending:
                self._changed.wait_for(lambda: self._ending or (self._acting and self._due), timeout=seconds)
                self._changed.wait_for(lambda: self._ending or self._acting)
                self._changed.wait_for(lambda: self._ending, timeout=_GATHER_SECONDS)
                if self._acting:  # still, and not only before the others were gathered
                    self._due = False
                    self._looking = True
                    return True
            return False

    def _tell(self, name: str, kind: Kind, reason: str, note: str) -> None:
        regarding = {
            "apiVersion": "v1",
            "kind": "Secret",
            "namespace": self._namespace,
            "name": name.rpartition("/")[2],
        }
        self._events.event(regarding, kind, reason, note)

    def _tell_configuration(self, about: Configuration, kind: Kind, reason: str, note: str) -> None:
        self._events.event(about.identity, kind, reason, note)

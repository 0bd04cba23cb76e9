"""The server as a gunicorn application: one arbiter, one worker, two listeners."""

from __future__ import annotations

import os
import signal
import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from webhook import __version__
from webhook.log import JsonHandler, Log
from webhook.policy.loaded import LoadedPolicy
from webhook.policy.policy import Policy
from webhook.review import answer
from webhook.server.app import WSGI, Engine, Readiness, admission_app, health_app
from webhook.server.events import POLICY_REFUSED, OwnerEvents
from webhook.server.metrics import Metrics
from webhook.server.settings import API_SERVER_IDLE_SECONDS, ServeSettings
from webhook.server.surroundings import Surroundings
from webhook.server.tls import Certificate
from webhook.server.worker import ReviewWorker

if TYPE_CHECKING:
    from webhook.kube.client import Client
    from webhook.kube.events import Recorder
    from webhook.server.namespaces import Namespaces

_HUNG_SECONDS = 30
"""A worker that gives no sign for so long is replaced by the arbiter."""

_EXIT_SECONDS = 5
_EVENT_SECONDS = 4.0
"""So long Events that wait are still written at the end; less than _EXIT_SECONDS."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the arbiter's heartbeat file: a disk could stall it


class _Logger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's messages through our log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [JsonHandler(Log(cfg.loglevel))]


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's, but for SIGHUP: the worker stays, and no connection ends."""

    def handle_hup(self) -> None:
        """Bring the log to the other level, here for a worker that may come, and in the one that there is."""
        self.app.log.switch()
        self.kill_workers(signal.SIGHUP)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Everything that one `serve` process holds. `run` returns only by SystemExit. Raises ConfigError.

    engine: what answers a request; another one only in tests.
    """

    def __init__(self, settings: ServeSettings, *, engine: Engine = answer) -> None:
        self.settings = settings
        self.log = Log(settings.log_level)
        self.metrics = Metrics()
        self.readiness = Readiness()
        self.certificate = Certificate(
            settings.tls_cert, settings.tls_key, loaded=self._certificate_loaded, refused=self._certificate_refused
        )
        self.readiness.conditions["certificate"] = self._certificate_missing
        client = self._client()
        self.recorder = self._recorder(client) if client and settings.events else None
        self.namespaces = self._namespaces(client) if client else None
        self.policy = self._followed_policy()
        surroundings = Surroundings(settings.engine(), self.namespaces, self.policy)
        events = OwnerEvents(self.recorder) if self.recorder else None
        self.admission: WSGI = admission_app(surroundings, self.metrics, self.log, engine=engine, events=events)
        self.health: WSGI = health_app(self.readiness, self.metrics)
        super().__init__()

    def _followed_policy(self) -> LoadedPolicy | None:
        if not self.settings.policy:
            return None
        policy = LoadedPolicy(Path(self.settings.policy), loaded=self._policy_loaded, refused=self._policy_refused)
        policy.read()
        self.readiness.conditions["policy"] = lambda: None if policy.current else policy.fault.partition("\n")[0]
        return policy

    def load_config(self) -> None:
        settings = self.settings
        for name, value in {
            "bind": [settings.listen, settings.metrics_listen],
            "worker_class": ReviewWorker,
            "workers": 1,
            "threads": settings.threads,
            "timeout": _HUNG_SECONDS,
            "graceful_timeout": int(settings.shutdown_delay + settings.drain_timeout + _EXIT_SECONDS),
            "control_socket_disable": True,
            "worker_tmp_dir": str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK) else None,
            "limit_request_fields": 64,
            # No proxy stands in between, so nobody may forward anything; "*" with nothing to allow says so without
            # looking at the client's address at every request.
            "forwarded_allow_ips": "*",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "logger_class": _Logger,
            "loglevel": "warning" if settings.log_level == "info" else settings.log_level,  # gunicorn says much at info
        }.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        _Arbiter(self).run()

    def load(self) -> WSGI:
        return self.admission

    def start(self, worker: ReviewWorker) -> None:
        """Called by the worker when it accepts connections: the one line that tells which ports were taken."""
        self.metrics.watch(
            expiry=self.certificate.expires_in,
            lifetime=self.certificate.lifetime,
            in_flight=lambda: sum(c.secure and c.phase in ("request", "answer") for c in worker.connections),
            connections=lambda: len(worker.connections),
        )
        if self.namespaces is not None:
            self.namespaces.start()
            self.metrics.watch_namespaces(self.namespaces)
        if self.recorder is not None:
            self.recorder.start()
        listen, metrics_listen = (_address(listener.getsockname()) for listener in worker.sockets)
        announce = Log("info")  # at any --log-level: with port 0 nothing else tells where the server is
        announce("info", "serving", listen=listen, metrics_listen=metrics_listen, pid=os.getpid(), version=__version__)
        if self.settings.keep_alive <= API_SERVER_IDLE_SECONDS:
            self.log(
                "warning",
                f"--keep-alive is {self.settings.keep_alive:g}; the API server keeps idle connections for "
                f"{API_SERVER_IDLE_SECONDS} s, so its calls can meet one that is being closed; set more",
            )

    def tick(self) -> None:
        """Called by the worker once a second."""
        self.certificate.current()
        if self.policy is not None:
            self.policy.look()
        if self.namespaces is not None:
            self.namespaces.report()

    def stop(self) -> None:
        """Called by the worker when all reviews are answered."""
        if self.recorder is not None:
            self.recorder.stop(_EVENT_SECONDS)
        if self.namespaces is not None:
            self.namespaces.stop()

    def _client(self) -> Client | None:
        """None when no call is to be made. Raises ConfigError."""
        if self.settings.namespaces == "none":
            return None
        # 20 MiB that a server without a way to an API server does not need
        from webhook.kube.client import Client

        kubeconfig = self.settings.kubeconfig if str(self.settings.kubeconfig) != "." else None
        return Client.connect(kubeconfig, user_agent=f"habitat-webhook-serve/{__version__}")

    def _namespaces(self, client: Client) -> Namespaces:
        from webhook.server.namespaces import Namespaces

        namespaces = Namespaces(client, self.log, read=lambda result: self.metrics.namespace_reads[result].inc())
        self.readiness.conditions["namespaces"] = namespaces.missing
        return namespaces

    def _recorder(self, client: Client) -> Recorder:
        """`start` it in the process that serves."""
        from webhook.kube.events import Recorder

        return Recorder(
            client,
            controller="habitat.sh/webhook",
            instance=socket.gethostname(),
            log=self.log,
            dropped=self.metrics.exposition.events_dropped.inc,
        )

    def switch_log(self) -> None:
        """Called by the worker at SIGHUP."""
        announce = Log("info")  # at any level
        announce("info", "log level", log_level=self.log.switch(), pid=os.getpid())

    def _certificate_loaded(self, not_after: datetime) -> None:
        self.metrics.certificate_loaded.inc()
        self.log("info", "certificate loaded", path=str(self.settings.tls_cert), not_after=not_after)

    def _certificate_refused(self, reason: str) -> None:
        self.metrics.certificate_refused.inc()
        self.log("error", f"certificate not loaded: {reason}")

    def _policy_loaded(self, policy: Policy) -> None:
        rules = len(policy.document.rules)
        self.metrics.policy_loaded.inc()
        self.metrics.policy_generation.inc()
        self.metrics.policy_rules.set(rules)
        self.metrics.policy_error.set(0)
        self.log("info", "policy loaded", path=self.settings.policy, generation=policy.generation, rules=rules)
        for warning in policy.warnings:
            self.log("warning", f"{self.settings.policy}:{warning}")

    def _policy_refused(self, reason: str) -> None:
        """The one place that hears of a policy that cannot be used."""
        self.metrics.policy_refused.inc()
        self.metrics.policy_error.set(1)
        self.log("error", f"policy not loaded, the last good one stays: {reason}", path=self.settings.policy)
        settings = self.settings
        if self.recorder is not None and settings.policy_config_map and settings.own_namespace:
            about = {"apiVersion": "v1", "kind": "ConfigMap"}
            about |= {"namespace": settings.own_namespace, "name": settings.policy_config_map}
            self.recorder.event(about, "Warning", POLICY_REFUSED, f"The last good policy stays in force: {reason}")

    def _certificate_missing(self) -> str | None:
        if self.certificate.current() is not None:
            return None
        return f"no usable pair in {self.settings.tls_cert} and {self.settings.tls_key} yet"


def _address(name: tuple[Any, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

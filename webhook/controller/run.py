"""Settings in, the controller's parts until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from types import FrameType

from webhook import __version__
from webhook.certificates.metrics import CertificateMetrics
from webhook.certificates.part import Certificates
from webhook.controller.health import Health
from webhook.controller.process import Part, Process
from webhook.controller.settings import Settings
from webhook.decide import Settings as Engine
from webhook.kube.client import Client
from webhook.log import Log
from webhook.ring.controller import LOOKERS, Controller
from webhook.ring.metrics import Metrics
from webhook.settings import SettingError, address
from webhook.slipped.part import Metrics as SlippedMetrics
from webhook.slipped.part import Slipped


def run(settings: Settings) -> None:
    """Returns when a signal has asked for the end and the Lease is given up.

    Raises ConfigError, and SettingError for a port that is taken.
    """
    log = Log(settings.log_level)
    announce = Log("info")  # at any --log-level: with port 0 nothing else tells where it is
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        log("info", "ending", signal=signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)

    def switch_log(number: int, frame: FrameType | None) -> None:
        del number, frame
        # Not here: the signal may have come in the middle of a line of the log.
        threading.Thread(target=lambda: announce("info", "log level", log_level=log.switch(), pid=os.getpid())).start()

    signal.signal(signal.SIGHUP, switch_log)
    kubeconfig = settings.kubeconfig if str(settings.kubeconfig) != "." else None
    client = Client.connect(
        kubeconfig, user_agent=f"habitat-webhook-controller/{__version__}", connections=settings.workers * LOOKERS + 8
    )
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    metrics = Metrics()
    client.on_call = metrics.called
    process = Process(client, settings, identity=identity, leader=metrics.leader.set, log=log)
    parts: list[Part] = [
        Controller(client, settings, leading=process.leading, identity=identity, metrics=metrics, log=log)
    ]
    if settings.certificates == "managed":
        parts.append(
            Certificates(
                client,
                settings.policy(process.namespace),
                namespace=process.namespace,
                authority=settings.ca_secret,
                serving=settings.tls_secret,
                resync=settings.resync,
                leading=process.leading,
                identity=identity,
                metrics=CertificateMetrics(metrics.exposition),
                log=log,
            )
        )
    if settings.injection_check:
        parts.append(
            Slipped(
                client,
                Engine(
                    own_namespace=process.namespace,
                    cluster_domain=settings.cluster_domain,
                    shared_rings=settings.shared(),
                ),
                every=settings.injection_check,
                leading=process.leading,
                identity=identity,
                metrics=SlippedMetrics(metrics.exposition),
                log=log,
            )
        )
    try:
        health = Health(
            address(settings.metrics_listen, "--metrics-listen"),
            live=process.live,
            ready=process.ready,
            metrics=metrics.text,
        )
    except OSError as error:
        raise SettingError(
            f"--metrics-listen is {settings.metrics_listen!r}, which cannot be had ({error.strerror or error}); "
            "allowed: a free port of this machine, or port 0 for any"
        ) from None
    health.start()
    announce(
        "info",
        "controlling",
        metrics_listen=health.address,
        pid=os.getpid(),
        identity=identity,
        server=client.url,
        version=__version__,
    )
    try:
        process.run(parts, stop)
    finally:
        health.stop()
        client.close()

"""The process: settings in, one controller until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from types import FrameType

from webhook import __version__
from webhook.kube.client import Client
from webhook.log import Log
from webhook.ring.controller import LOOKERS, Controller
from webhook.ring.health import Health
from webhook.ring.metrics import Metrics
from webhook.ring.settings import ControllerSettings
from webhook.settings import SettingError, address


def run(settings: ControllerSettings) -> None:
    """Returns when a signal has asked for the end and the Lease is given up.

    Raises ConfigError, and SettingError for a port that is taken.
    """
    log = Log(settings.log_level)
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        log("info", "ending", signal=signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    kubeconfig = settings.kubeconfig if str(settings.kubeconfig) != "." else None
    client = Client.connect(
        kubeconfig, user_agent=f"habitat-webhook-controller/{__version__}", connections=settings.workers * LOOKERS + 8
    )
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    metrics = Metrics()
    controller = Controller(client, settings, identity=identity, metrics=metrics, log=log)
    try:
        health = Health(
            address(settings.metrics_listen, "--metrics-listen"),
            live=controller.live,
            ready=controller.ready,
            metrics=metrics.text,
        )
    except OSError as error:
        raise SettingError(
            f"--metrics-listen is {settings.metrics_listen!r}, which cannot be had ({error.strerror or error}); "
            "allowed: a free port of this machine, or port 0 for any"
        ) from None
    health.start()
    announce = Log("info")  # at any --log-level: with port 0 nothing else tells where it is
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
        controller.run(stop)
    finally:
        health.stop()
        client.close()

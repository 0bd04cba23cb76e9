"""An API server that is away for a while, and one that no longer knows what a controller has missed."""

from __future__ import annotations

import os
import signal
import time

from tests.ring.live.conftest import quiet
from tests.ring.live.installation import Installation
from tests.support.controller import ControllerProcess

AWAY_SECONDS = 30.0


def test_controller_lives_through_30_s_without_api_server_and_goes_on_when_it_is_back(
    rings: Installation, namespace: str, controller: ControllerProcess
) -> None:
    rings.deploy(namespace, "redis", 4, ring="payments")
    rings.ring(namespace, 4)
    with rings.outage():
        until = time.monotonic() + AWAY_SECONDS
        rings.wait("the leadership to end", lambda: not controller.leads)
        while time.monotonic() < until:
            assert controller.process.poll() is None
            assert controller.get("/livez")[0] == 200, "a restart would not bring the API server back"
            assert controller.metric("leader") == 0
            time.sleep(1)
    rings.wait("the leadership to come back", lambda: controller.leads)
    rings.scale(namespace, "redis", 8)
    rings.ring(namespace, 8)
    assert controller.get("/livez")[0] == controller.get("/readyz")[0] == 200
    said = [line["message"] for line in controller.lines()]
    assert said.count("leading") == 2
    assert said.count("leading no more") == 1
    assert "informer goes on" in said


def test_controller_whose_watch_has_expired_finds_what_it_has_missed(
    rings: Installation, namespace: str, controller: ControllerProcess
) -> None:
    """Suspended, and without a connection, while pods go and others come; a new API server remembers nothing of that,
    and answers 410.
    """
    rings.deploy(namespace, "redis", 6, ring="payments")
    before = {p["metadata"]["uid"] for p in rings.ring(namespace, 6)}
    rings.deploy(namespace, "ends", 3, ring="short")
    rings.ring(namespace, 3, "app=ends")
    lists = controller.metric("api_calls_total", verb="list", resource="pods", status="200")
    os.kill(controller.pid, signal.SIGSTOP)
    try:
        with rings.outage():
            pass
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=habitat.sh/service"
        rings.scale(namespace, "ends", 0)
        status, answer = rings.cluster.request("DELETE", path)
        assert status == 200, answer

        def replaced() -> bool:
            now = rings.pods(namespace)
            return len(now) == 6 and not before & {p["metadata"]["uid"] for p in now}

        rings.wait("six others", replaced)
        with rings.outage():
            pass
    finally:
        os.kill(controller.pid, signal.SIGCONT)
    rings.ring(namespace, 6)
    after = controller.metric("api_calls_total", verb="list", resource="pods", status="200")
    assert after > lists, "it has asked for everything again"
    rings.wait("the counts", lambda: (controller.metric("rings"), controller.metric("ring_members")) == (1, 6))
    assert quiet(controller) == []

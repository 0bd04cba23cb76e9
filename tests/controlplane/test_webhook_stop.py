"""SIGTERM while a pod is being created: what the API server, and so whoever creates the pod, sees of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.controlplane.manifests import ANNOTATIONS, annotated_pod
from tests.support.manifests import install, named
from tests.support.relay import relay
from tests.support.server import webhook_server
from tests.support.webhook_config import registration

LARGE = ANNOTATIONS | {"example.com/large": "x" * 100_000}
HALF = 40_000
"""Bytes: more than a TLS handshake, less than the review of that pod."""


def shipped_flags() -> list[str]:
    """How deploy/install.yaml has `serve` end."""
    [container] = named(install(), "Deployment", "habitat-webhook")["spec"]["template"]["spec"]["containers"]
    found = [flag for flag in container["args"] if flag.startswith(("--shutdown-delay=", "--drain-timeout="))]
    assert len(found) == 2
    return found


@pytest.mark.parametrize("draining", [False, True], ids=["during the delay", "when it takes no new connection"])
def test_pod_whose_review_is_half_sent_at_sigterm_is_created_and_injected(
    cluster: Cluster, tmp_path: Path, draining: bool
) -> None:
    flags = [*shipped_flags(), *(["--shutdown-delay=0"] if draining else [])]
    with (
        cluster.namespace(labels={"habitat.sh/injection": "enabled"}) as namespace,
        webhook_server(tmp_path, *flags) as server,
        relay(server.port) as between,
        ThreadPoolExecutor(1) as client,
    ):
        url, ca = f"https://127.0.0.1:{between.port}", server.files.ca.read_bytes()
        configuration = registration(url, ca, name=f"stop-{namespace}", namespaces=(namespace,))
        cluster.apply(json.dumps(configuration))
        try:
            path = f"/api/v1/namespaces/{namespace}/pods"

            def create(query: str = "", annotations: dict[str, str] = LARGE) -> tuple[int, Any]:
                return cluster.request("POST", path + query, annotated_pod(annotations))

            cluster.wait("the webhook to be called", lambda: _injected(create("?dryRun=All", ANNOTATIONS)))
            between.hold(after=HALF)
            created = client.submit(create)
            try:
                cluster.wait("the review to begin", lambda: server.metric("in_flight_requests") == 1)
                server.terminate()
                if draining:
                    server.wait_for_line("draining")
                else:
                    cluster.wait("not being ready", lambda: server.get("/readyz")[0] == 503)
                assert not created.done()
            finally:
                between.release()
            assert _injected(created.result())
            assert server.wait() == 0
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration", configuration["metadata"]["name"])


def _injected(answer: tuple[int, Any]) -> bool:
    status, pod = answer
    assert status == 201, pod
    return "habitat.sh/injected" in pod["metadata"]["annotations"]

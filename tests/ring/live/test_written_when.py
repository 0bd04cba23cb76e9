"""When a list was written is read from managedFields: it decides who is settled, also after a restart."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.controlplane.manifests import annotated_pod
from tests.ring.live.installation import Installation
from webhook.options import CONFIG_GENERATION, PEERS
from webhook.ring.pods import PEERS_MANAGER, member
from webhook.ring.reconcile.writes import CONFIG_MANAGER, Change

SLACK = 2.0
"""managedFields has whole seconds."""


def written(rings: Installation, namespace: str, change: Change, manager: str) -> dict[str, Any]:
    path = f"{change.member.path}?fieldManager={manager}"
    with_patch = {"Content-Type": "application/json-patch+json"}
    connection = rings.cluster.connect()
    try:
        connection.request("PATCH", path, json.dumps(change.operations()), with_patch)
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    assert answer.status == 200, content
    return content


def test_since_is_the_last_write_of_the_peers_and_of_nothing_else(rings: Installation) -> None:
    with rings.namespace() as namespace:
        pod = annotated_pod() | {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"]["name"] = "alone"
        status, made = rings.cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
        assert status == 201, made
        first = member(made)
        assert (first.since, first.peers, first.managed, first.injected) == (0.0, None, True, True)

        before = time.time()
        second = member(written(rings, namespace, Change(first, ("192.0.2.1",)), PEERS_MANAGER))
        assert second.peers == ("192.0.2.1",)
        assert before - SLACK <= second.since <= time.time() + SLACK

        time.sleep(SLACK)  # so that a later time would be another one
        third = member(written(rings, namespace, Change(second, generation="0123456789abcdef"), CONFIG_MANAGER))
        rings.cluster.kubectl("label", "pod", "alone", "app.example/x=y", f"--namespace={namespace}")
        _, again = rings.cluster.request("GET", third.path)
        assert member(again).since == second.since
        assert again["metadata"]["annotations"][CONFIG_GENERATION] == "0123456789abcdef"

        fourth = member(written(rings, namespace, Change(member(again), ("192.0.2.2",)), PEERS_MANAGER))
        assert fourth.since > second.since
        _, last = rings.cluster.request("GET", third.path)
        assert last["metadata"]["annotations"][PEERS] == "192.0.2.2"

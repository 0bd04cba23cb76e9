"""Pods that are replaced: one of a StatefulSet under its old name, all of a node that is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ring.live.installation import Installation, address, deployment, peers

pytestmark = pytest.mark.usefixtures("leader")

AWAY = "example.com/node-is-away"
EVICTED = "example.com/lost"
NODE = "node-that-is-lost"


def test_statefulset_pod_that_comes_back_under_its_old_name_gets_a_list_of_its_own(
    rings: Installation, namespace: str
) -> None:
    rings.stateful(namespace, "db", 4, ring="payments")
    before = {p["metadata"]["name"]: p for p in rings.ring(namespace, 4)}
    rings.cluster.kubectl("delete", "pod", "db-0", f"--namespace={namespace}")

    def again() -> dict[str, Any] | None:
        found = {p["metadata"]["name"]: p for p in rings.pods(namespace)}.get("db-0")
        return found if found and found["metadata"]["uid"] != before["db-0"]["metadata"]["uid"] else None

    rings.wait("another db-0", again)
    after = {p["metadata"]["name"]: p for p in rings.ring(namespace, 4)}
    assert set(after) == set(before)
    assert len(peers(after["db-0"])) == 3


def test_pods_of_a_lost_node_are_in_no_list_though_nobody_confirms_their_end(
    rings: Installation, namespace: str
) -> None:
    """What the node controller does when a kubelet is silent: a NoExecute taint, whose eviction nobody carries out.
    The finalizer stands for the kubelet that is away; the object of the node goes as well, as with a cloud's machine.
    """
    rings.deploy(namespace, "stays", 3, ring="payments")
    rings.ring(namespace, 3)
    machine = {"metadata": {"name": NODE, "labels": {EVICTED: "soon"}}}
    status, answer = rings.cluster.request("POST", "/api/v1/nodes", machine)
    assert status == 201, answer
    goes = deployment(namespace, "goes", 4, ring="payments")
    template = goes["spec"]["template"]
    template["metadata"]["finalizers"] = [AWAY]
    prefers = {"matchExpressions": [{"key": EVICTED, "operator": "In", "values": ["soon"]}]}
    template["spec"]["affinity"] = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": prefers}],
        }
    }
    try:
        rings.cluster.wait("the node", lambda: rings.cluster.get("node", NODE)["status"].get("allocatable"))
        rings.cluster.apply(json.dumps(goes))
        rings.ring(namespace, 7)
        on_it = [p for p in rings.pods(namespace) if p["spec"]["nodeName"] == NODE]
        assert on_it
        rings.cluster.kubectl("taint", "node", NODE, f"{EVICTED}=now:NoExecute")
        lost = {p["metadata"]["uid"] for p in on_it}
        rings.wait("the eviction", lambda: not lost & {p["metadata"]["uid"] for p in rings.pods(namespace)})
        rings.cluster.kubectl("delete", "node", NODE)
        now = rings.ring(namespace, 7)
        _, all_of_them = rings.cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods")
        ending = [p for p in all_of_them["items"] if p["metadata"]["uid"] in lost]
        assert len(ending) == len(lost), "they are still there, with their addresses"
        assert not {address(p) for p in ending} & {a for p in now for a in peers(p)}
    finally:
        rings.cluster.kubectl("delete", "node", NODE, "--ignore-not-found")
        rings.cluster.kubectl("delete", "deployment", "goes", f"--namespace={namespace}", "--ignore-not-found")
        release(rings, namespace)


def release(rings: Installation, namespace: str) -> None:
    """Let the pods go that wait for the kubelet of a node that is no more."""

    def gone() -> bool:
        _, found = rings.cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector=app=goes")
        for pod in found["items"]:
            name = pod["metadata"]["name"]
            patch = '--patch={"metadata":{"finalizers":null}}'
            where = f"--namespace={namespace}"
            rings.cluster.kubectl("patch", "pod", name, where, "--type=merge", patch, check=False)
        return not found["items"]

    rings.wait("the pods to go", gone)

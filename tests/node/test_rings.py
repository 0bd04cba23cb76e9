"""Rings on a real kubelet: what the controller writes is what the Supervisor reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.node.place import inside, namespace
from tests.node.pods import Manifest, Pods, deployment, inject, pod
from tests.support.controller import QUICK, ControllerProcess, controller
from tests.support.controller_rights import PLAIN, shipped
from tests.support.manifests import as_text
from webhook.options import PEERS

ACCOUNT = ("habitat-webhook", "habitat-webhook-controller")
KUBELET_SECONDS = 150
"""Milliseconds are usual. A kubelet that is busy when an annotation changes brings it at its next look at the pod."""
USER_TOML = "/hab/user/web/config/user.toml"


@pytest.fixture(scope="module")
def rings(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerProcess]:
    """A controller with the shipped rights, behind the fence; all of it is gone afterwards."""
    manifests = as_text(shipped(*PLAIN))
    try:
        cluster.apply(manifests)
        kubeconfig = cluster.kubeconfig_for(*ACCOUNT)
        with controller(tmp_path_factory.mktemp("rings"), kubeconfig, *QUICK, prefix=inside(cluster)) as process:
            yield process
    finally:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=manifests)


@pytest.fixture(scope="module")
def members(cluster: Cluster, rings: ControllerProcess) -> Iterator[Pods]:
    """Three pods of one Deployment, with a managed key and a ConfigMap."""
    with namespace(cluster) as name:
        pods = Pods(cluster, name)
        template = pod("web", ring="shop", ring_key="managed", config_map="web")
        pods.apply([_config("a = 1\n"), *inject([deployment(template, replicas=3)], name)])
        yield pods


def _config(text: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"user.toml": text}}


def _live(pods: Pods) -> dict[str, str]:
    """Name -> address of the pods that are not being deleted."""
    items: list[dict[str, Any]] = pods.cluster.get("pods", "-l", "app=web", f"--namespace={pods.namespace}")["items"]
    return {
        p["metadata"]["name"]: p["status"].get("podIP", "") for p in items if "deletionTimestamp" not in p["metadata"]
    }


def _files_are_right(pods: Pods) -> dict[str, str] | None:
    """The pods, when the file of each holds the addresses of the two others; what is not so yet is printed."""
    live = _live(pods)
    if len(live) != 3 or "" in live.values():
        print("pods and their addresses:", live)
        return None
    for name, address in live.items():
        held = set(pods.run(name, "cat", "/habitat/peers").split())
        if held != set(live.values()) - {address}:
            told = pods.cluster.get("pod", name, f"--namespace={pods.namespace}")["metadata"]["annotations"].get(PEERS)
            print("pods and their addresses:", live, "the file of", name, "holds", held, "its annotation", told)
            return None
    return live


def test_each_supervisor_finds_the_others_in_its_file(members: Pods) -> None:
    for name in _live(members):
        members.ready(name)
    assert members.cluster.wait("the peers in every file", lambda: _files_are_right(members), seconds=KUBELET_SECONDS)


def test_the_pods_have_waited_for_the_rings_key_and_have_it(members: Pods) -> None:
    texts = set()
    for name in _live(members):
        members.ready(name)
        texts.add(members.variable(name, "HAB_RING_KEY"))
    assert len(texts) == 1
    lines = texts.pop().split("\n")
    assert lines[0] == "SYM-SEC-1"
    assert lines[1].startswith(f"shop.{members.namespace}-")


def test_a_successor_is_in_every_file_and_its_predecessor_in_none(members: Pods) -> None:
    before = members.cluster.wait("the peers in every file", lambda: _files_are_right(members), seconds=KUBELET_SECONDS)
    gone = min(before)
    members.kubectl("delete", "pod", gone, "--wait=false")

    def healed() -> dict[str, str] | None:
        live = _live(members)
        if gone in live or len(live) != 3:
            return None
        for name in live:
            members.ready(name)
        return _files_are_right(members)

    after = members.cluster.wait("the successor in every file", healed, seconds=KUBELET_SECONDS)
    assert before[gone] not in after.values()


def test_a_changed_configmap_is_in_every_file_long_before_the_kubelet_would_bring_it(members: Pods) -> None:
    for name in _live(members):
        members.ready(name)
        assert members.run(name, "cat", USER_TOML) == "a = 1\n"
    members.apply([_config("a = 2\n")])
    for name in _live(members):
        assert members.until(name, USER_TOML, "a = 2") == "a = 2\n"


def test_nothing_was_refused_to_the_controller(members: Pods, rings: ControllerProcess) -> None:
    wrong = [line for line in rings.lines() if line["level"] in ("warning", "error")]
    assert wrong == []

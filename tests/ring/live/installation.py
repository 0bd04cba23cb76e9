"""A real control plane with everything of a ring on it: webhook, fence, roles, and the controller's own token."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.controlplane.client import WaitError, wait_for
from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.support import audit
from tests.support.controller import QUICK, ControllerProcess, controller
from tests.support.server import webhook_server
from tests.support.webhook_config import registration

T = TypeVar("T")

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
NAMESPACE = "habitat-webhook"
ACCOUNT = "habitat-webhook-controller"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SHARED = "shared.infra"
MANIFESTS = ("controller.yaml", "controller-secrets.yaml", "controller-shared-rings.yaml", "fence.yaml")
ENABLED = {"habitat.sh/injection": "enabled"}
K = 3
"""Addresses in a full list."""


@dataclass(frozen=True, slots=True)
class Installation:
    """cluster: its administrator. kubeconfig: the controller's ServiceAccount, with the shipped rights and no others.
    directory: of this run; the audit log is in it.
    """

    cluster: RunningControlPlane
    kubeconfig: Path
    directory: Path

    @contextlib.contextmanager
    def controller(self, name: str = "one", *flags: str) -> Iterator[ControllerProcess]:
        """A controller with quick hand-overs, which leads or stands by."""
        count = sum(1 for _ in self.directory.glob(f"controllers/{name}-*"))
        where = self.directory / "controllers" / f"{name}-{count}"
        with controller(where, self.kubeconfig, *QUICK, f"--shared-rings={SHARED}", *flags) as process:
            yield process

    @contextlib.contextmanager
    def namespace(self) -> Iterator[str]:
        """A fresh namespace in which pods are injected."""
        with self.cluster.namespace(labels=ENABLED) as name:
            yield name

    def wait(self, what: str, attempt: Callable[[], T | None], *, seconds: float = 60) -> T:
        return wait_for(what, attempt, seconds=seconds)

    def pods(self, namespace: str, selector: str = "habitat.sh/service") -> list[dict[str, Any]]:
        """Those that are not being deleted."""
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"
        status, answer = self.cluster.request("GET", path)
        assert status == 200, answer
        return [p for p in answer["items"] if "deletionTimestamp" not in p["metadata"]]

    def ring(self, namespace: str, size: int, selector: str = "habitat.sh/service") -> list[dict[str, Any]]:
        """Waits until there are so many pods and their lists are as they should be; those pods."""
        last: list[dict[str, Any]] = []

        def attempt() -> bool:
            last[:] = self.pods(namespace, selector)
            return len(last) == size and healthy(last)

        try:
            self.wait(f"a healthy ring of {size}", attempt)
        except WaitError as error:
            lists = "\n".join(f"{p['metadata']['name']} {address(p)} {peers(p)}" for p in last[:20])
            raise AssertionError(f"{error}; {len(last)} pods, such as\n{lists}") from None
        return last

    def done(self) -> list[audit.Call]:
        """All that controllers have asked of the API server so far."""
        return audit.calls(self.directory, USER)

    def patches(self, namespace: str) -> Counter[str]:
        """Pod -> how many patches of it have succeeded."""
        return Counter(
            c.name
            for c in self.done()
            if (c.verb, c.resource, c.namespace, c.code) == ("patch", "pods", namespace, 200)
        )  # fmt: skip

    def deploy(self, namespace: str, name: str, replicas: int, **annotations: str) -> None:
        """A plain Deployment of an annotated pod; `ring="x"` is the annotation habitat.sh/ring (ring_key: ring-key)."""
        self.cluster.apply(json.dumps(deployment(namespace, name, replicas, **annotations)))

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        _, found = self.cluster.request("GET", path)
        found["spec"]["replicas"] = replicas
        status, answer = self.cluster.request("PUT", path, found)
        assert status == 200, answer


def deployment(namespace: str, name: str, replicas: int, **annotations: str) -> dict[str, Any]:
    said = {"habitat.sh/service": name, "habitat.sh/license": "accept-no-persist"}
    said |= {f"habitat.sh/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": said},
                "spec": {"containers": [{"name": "main", "image": f"core/{name}:1"}]},
            },
        },
    }


def peers(pod: dict[str, Any]) -> list[str]:
    """The addresses in a pod's list."""
    return [line for line in pod["metadata"].get("annotations", {}).get("habitat.sh/peers", "").split("\n") if line]


def address(pod: dict[str, Any]) -> str:
    return str(pod.get("status", {}).get("podIP", ""))


def healthy(pods: list[dict[str, Any]]) -> bool:
    """Whether every list is as it should be: others of these, alive, as many as there can be, and all connected."""
    addresses = {address(p) for p in pods}
    if "" in addresses:
        return False
    expected = min(K, len(pods) - 1)
    lists = {address(p): peers(p) for p in pods}
    right = all(len(ours) == len(set(ours)) == expected for ours in lists.values())
    return right and all(set(ours) <= addresses - {own} for own, ours in lists.items()) and connected(lists)


def connected(lists: dict[str, list[str]]) -> bool:
    """Whether the graph of lists, undirected, is one component."""
    if not lists:
        return True
    near: dict[str, set[str]] = {a: set(ours) for a, ours in lists.items()}
    for a, ours in lists.items():
        for b in ours:
            near.setdefault(b, set()).add(a)
    todo, seen = [next(iter(lists))], set()
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += near[at]
    return set(lists) <= seen


def roles() -> list[dict[str, Any]]:
    """Every Role and ClusterRole that is shipped."""
    documents = [d for name in MANIFESTS for d in yaml.safe_load_all((DEPLOY / name).read_text()) if d]
    return [d for d in documents if d["kind"] in ("Role", "ClusterRole")]


@contextlib.contextmanager
def installed(directory: Path, *, nodes: int = 3) -> Iterator[Installation]:
    """The installation, its API server's audit log included."""
    flags = audit.flags(directory, USER)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=nodes, apiserver_flags=flags))
        (directory / "webhook").mkdir()
        server = stack.enter_context(webhook_server(directory / "webhook", f"--shared-rings={SHARED}"))
        for name in MANIFESTS:
            cluster.kubectl("apply", "-f", str(DEPLOY / name))
        cluster.apply(json.dumps(registration(server.url, server.files.ca.read_bytes())))
        probe = json.dumps(deployment("default", "probe", 1)["spec"]["template"] | {"kind": "Pod", "apiVersion": "v1"})
        body = json.loads(probe)
        body["metadata"]["name"] = "probe"
        body["metadata"]["annotations"]["habitat.sh/inject"] = "true"

        def called() -> bool:
            status, answer = cluster.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", body)
            return status == 201 and "habitat.sh/injected" in answer["metadata"]["annotations"]

        wait_for("the API server to call the webhook", called, seconds=60)
        yield Installation(cluster, cluster.kubeconfig_for(NAMESPACE, ACCOUNT), directory)

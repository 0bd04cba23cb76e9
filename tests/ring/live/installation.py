"""A real control plane with everything of a ring on it: webhook, fence, roles, and the controller's own token."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.controlplane.client import WaitError, wait_for
from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.support import audit
from tests.support.controller import QUICK, ControllerProcess, controller
from tests.support.controller_rights import FENCE, RIGHTS, SHARED_RINGS, WATCH_SECRETS, shipped
from tests.support.manifests import as_text
from tests.support.server import webhook_server
from tests.support.webhook_config import registration
from webhook.ring.membership import WHOLE, K

T = TypeVar("T")

NAMESPACE = "habitat-webhook"
ACCOUNT = "habitat-webhook-controller"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SHARED = "shared.infra"
PARTS = (RIGHTS, WATCH_SECRETS, SHARED_RINGS, FENCE)
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kwok")
ENABLED = {"habitat.sh/injection": "enabled"}

_PAUSE_EACH = 0.001
"""Seconds for each pod between two looks: reading hundreds of them costs the cores that they are made with."""


@dataclass(frozen=True, slots=True)
class Installation:
    """cluster: its administrator. kubeconfig: the controller's ServiceAccount, with the shipped rights and no others.
    directory: of this run; the audit log is in it. starts: where in that log the API server began anew, and where it
    was ready: bytes.
    """

    cluster: RunningControlPlane
    kubeconfig: Path
    directory: Path
    starts: list[tuple[int, int]] = field(default_factory=list)

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

    def lease(self) -> dict[str, Any]:
        """The spec of the Lease by which controllers agree who acts."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{ACCOUNT}"
        status, answer = self.cluster.request("GET", path)
        assert status == 200, answer
        spec: dict[str, Any] = answer["spec"]
        return spec

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """A block without API server. The other programs are suspended meanwhile: they would ask in vain, and then wait
        for up to half a minute before they ask again.
        """
        others = [self.cluster.processes[name].pid for name in CLIENTS]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.cluster.stop_apiserver()
            begin = self._log_bytes()
            try:
                yield
            finally:
                self.cluster.start_apiserver()
                self.starts.append((begin, self._log_bytes()))
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def _log_bytes(self) -> int:
        return audit.log(self.directory).stat().st_size

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
            if len(last) == size and healthy(last):
                return True
            time.sleep(len(last) * _PAUSE_EACH)
            return False

        try:
            self.wait(f"a healthy ring of {size}", attempt)
        except WaitError as error:
            lists = "\n".join(f"{p['metadata']['name']} {address(p)} {peers(p)}" for p in last[:20])
            raise AssertionError(f"{error}; {len(last)} pods, such as\n{lists}") from None
        return last

    def done(self) -> list[audit.Call]:
        """All that controllers have asked of the API server so far."""
        return audit.calls(self.directory, USER)

    def forbidden(self) -> list[audit.Call]:
        """What was refused. Not counted: what an API server that has just begun says before it has read any role."""
        text, at = audit.log(self.directory).read_bytes(), 0
        ready = []
        for begin, end in self.starts:
            ready.append(text[at:begin])
            at = end
        return audit.forbidden(audit.parse(b"".join([*ready, text[at:]]).decode(), USER))

    def patches(self, namespace: str) -> Counter[str]:
        """Pod -> how many patches of it have succeeded."""
        return Counter(c.name for c in self._patches(namespace) if c.code == 200)

    def unanswered(self, namespace: str) -> int:
        """How many patches of pods may have succeeded or not: their caller was killed before it had an answer, which
        the API server logs as a timeout, also when it has stored the change.
        """
        return sum(c.code >= 500 for c in self._patches(namespace))

    def _patches(self, namespace: str) -> list[audit.Call]:
        return [c for c in self.done() if (c.verb, c.resource, c.namespace) == ("patch", "pods", namespace)]

    def deploy(self, namespace: str, name: str, replicas: int, **annotations: str) -> None:
        """A plain Deployment of an annotated pod; `ring="x"` is the annotation habitat.sh/ring (ring_key: ring-key)."""
        self.cluster.apply(json.dumps(deployment(namespace, name, replicas, **annotations)))

    def stateful(self, namespace: str, name: str, replicas: int, **annotations: str) -> None:
        """As `deploy`, a StatefulSet."""
        body = deployment(namespace, name, replicas, **annotations)
        body["kind"] = "StatefulSet"
        body["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        self.cluster.apply(json.dumps(body))

    def change(self, namespace: str, name: str, template: Mapping[str, Any]) -> None:
        """A merge patch of a Deployment's pod template, which begins a rolling update."""
        body = json.dumps({"spec": {"template": template}})
        self.cluster.kubectl("patch", "deployment", name, f"--namespace={namespace}", "--type=merge", f"--patch={body}")

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        _, found = self.cluster.request("GET", path)
        found["spec"]["replicas"] = replicas
        del found["metadata"]["resourceVersion"]  # its status is written all the time
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
                "spec": {
                    "containers": [{"name": "main", "image": f"core/{name}:1"}],
                    # A namespace that is deleted is not looked at again for half of it, though its pods have gone.
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    }


def peers(pod: dict[str, Any]) -> list[str]:
    """The lines of a pod's list, blank ones too: they are wrong."""
    text = pod["metadata"].get("annotations", {}).get("habitat.sh/peers", "")
    return text.split("\n") if text else []


def address(pod: dict[str, Any]) -> str:
    return str(pod.get("status", {}).get("podIP", ""))


def healthy(pods: list[dict[str, Any]]) -> bool:
    """Whether every list is as it should be: others of these, alive, as many as there can be, and all connected."""
    addresses = {address(p) for p in pods}
    if "" in addresses:
        return False
    full = min(K if len(pods) > WHOLE + 1 else WHOLE, len(pods) - 1)
    lists = {address(p): peers(p) for p in pods}
    right = all(full <= len(ours) <= WHOLE and len(ours) == len(set(ours)) for ours in lists.values())
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
    """Every Role and ClusterRole that is shipped for rings."""
    return [d for d in shipped(*PARTS) if d["kind"] in ("Role", "ClusterRole")]


@contextlib.contextmanager
def installed(directory: Path, *, nodes: int = 3) -> Iterator[Installation]:
    """The installation, its API server's audit log included."""
    flags = audit.flags(directory, USER)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=nodes, apiserver_flags=flags))
        (directory / "webhook").mkdir()
        server = stack.enter_context(webhook_server(directory / "webhook", f"--shared-rings={SHARED}"))
        cluster.apply(as_text(shipped(*PARTS)))
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

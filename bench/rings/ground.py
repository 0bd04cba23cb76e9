"""A control plane with the shipped roles and fence, the Deployments at no pods, and either design at work on it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.rings import naive
from bench.rings.observer import Sight
from bench.rings.scale import NAMESPACE, Scale, deployment
from tests.controlplane.client import wait_for
from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.controlplane.processes import ProcessError, spawn, tail
from tests.ring.live.installation import ACCOUNT, USER
from tests.ring.live.installation import NAMESPACE as OURS_NAMESPACE
from tests.support import audit
from tests.support.controller import ROOT, controller
from tests.support.controller_rights import PLAIN, shipped
from tests.support.manifests import as_text
from webhook.kube.client import Client

_NAIVE = "naive-controller"
_NAIVE_RIGHTS = (
    ("pods", "list,watch"),
    ("configmaps", "create,update"),
)
_COST = "controller.kubernetes.io/pod-deletion-cost"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """A controller at work. log: its output."""

    pid: int
    log: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """client: the administrator's."""

    cluster: RunningControlPlane
    client: Client
    directory: Path
    scale: Scale

    def resize(self, replicas: Mapping[str, int]) -> None:
        """Deployment -> how many pods it should have."""
        for name, count in replicas.items():
            path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}/scale"
            self.client.patch(path, {"spec": {"replicas": count}})

    def choose(self, victims: list[Sight]) -> None:
        """Have these be the pods that a smaller number of replicas costs, and no others."""

        def mark(sight: Sight) -> None:
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{sight.pod.name}"
            self.client.patch(path, {"metadata": {"annotations": {_COST: "-1000"}}})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(mark, victims))

    def writes(self, user: str) -> list[audit.Call]:
        """What a user has written so far, but for its Lease, which is a matter of time and not of pods."""
        verbs = ("create", "update", "patch", "delete")
        return [c for c in audit.calls(self.directory, user) if c.verb in verbs and c.resource != "leases"]


@dataclass(frozen=True, slots=True)
class Design:
    """start: has its controller run for the length of a `with` block. config_maps: see Observer."""

    name: str
    user: str
    config_maps: bool
    start: Callable[[Ground], contextlib.AbstractContextManager[Running]]


@contextlib.contextmanager
def ground(directory: Path, scale: Scale) -> Iterator[Ground]:
    """directory: an empty folder for the audit log. Raises what ControlPlane raises, and KubectlError."""
    flags = audit.flags(directory, *(design.user for design in DESIGNS))
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(
            ControlPlane(nodes=scale.nodes, apiserver_flags=flags, controllers_flags=scale.flags)
        )
        cluster.apply(as_text(shipped(*PLAIN)))
        made = [deployment(name, ring) for name, (ring, _) in scale.deployments().items()]
        cluster.apply("\n---\n".join(map(json.dumps, made)))
        client = Client.connect(cluster.kubeconfig, user_agent="bench", connections=12)
        stack.callback(client.close)
        yield Ground(cluster, client, directory, scale)


@contextlib.contextmanager
def _ours(at: Ground) -> Iterator[Running]:
    """The controller as it is shipped, with its own token and rights."""
    kubeconfig = at.cluster.kubeconfig_for(OURS_NAMESPACE, ACCOUNT)
    with controller(at.directory / "controller", kubeconfig) as process:
        wait_for("the controller to lead", lambda: process.leads, seconds=_START_SECONDS)
        yield Running(process.pid, process.output)


@contextlib.contextmanager
def _one_config_map(at: Ground) -> Iterator[Running]:
    cluster = at.cluster
    cluster.kubectl("create", "serviceaccount", _NAIVE, f"--namespace={NAMESPACE}")
    for resource, verbs in _NAIVE_RIGHTS:
        name = f"{_NAIVE}-{resource}"
        cluster.kubectl("create", "clusterrole", name, f"--verb={verbs}", f"--resource={resource}")
        account = f"--serviceaccount={NAMESPACE}:{_NAIVE}"
        cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
    log = at.directory / "naive.log"
    command = [sys.executable, "-m", naive.__name__, str(cluster.kubeconfig_for(NAMESPACE, _NAIVE))]
    process = spawn(command, log=log, cwd=ROOT)

    def ready() -> bool:
        if process.poll() is not None:
            raise ProcessError(f"the reference has ended:\n{tail(log)}")
        return log.exists() and naive.READY in log.read_text()

    try:
        wait_for("the reference to follow", ready, seconds=_START_SECONDS)
        yield Running(process.pid, log)
    finally:
        process.terminate()
        process.wait()


OURS = Design("habitat-webhook", USER, config_maps=False, start=_ours)
REFERENCE = Design(
    "one ConfigMap per ring", f"system:serviceaccount:{NAMESPACE}:{_NAIVE}", config_maps=True, start=_one_config_map
)
DESIGNS = (OURS, REFERENCE)

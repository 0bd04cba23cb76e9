"""A real Kubernetes control plane in a few seconds: etcd, kube-apiserver, controllers, scheduler, simulated nodes.

with ControlPlane() as cluster:
    cluster.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=3")
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.controlplane import config
from tests.controlplane.build import ensure_binaries
from tests.controlplane.client import Access, Cluster, WaitError, wait_for
from tests.controlplane.pki import Authority, signing_key
from tests.controlplane.ports import LOOPBACK, ReservedPort
from tests.controlplane.processes import Process, ProcessError, tail
from tests.controlplane.progress import Progress
from tests.controlplane.rundir import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import TextIO

STAGES = Path(__file__).parent / "stages.yaml"
START_SECONDS = 120


class ClusterError(RuntimeError):
    """The control plane did not start; the message holds the tails of the logs."""


class RunningControlPlane(Cluster):
    """What `with ControlPlane()` gives: a cluster whose API server can be stopped and started."""

    def __init__(self, access: Access, processes: Sequence[Process]) -> None:
        super().__init__(access)
        self.processes = {process.name: process for process in processes}

    def stop_apiserver(self) -> None:
        """Kills kube-apiserver alone; what it has stored stays, and its port stays reserved.

        Asked to end (SIGTERM), it would wait 60 s for the watches of its clients.
        """
        self.processes["kube-apiserver"].stop()

    def start_apiserver(self) -> None:
        """Starts a stopped kube-apiserver at the same URL and waits until it is ready."""
        self.processes["kube-apiserver"].start()
        self.wait_until_ready()

    def wait_until_ready(self, *, while_waiting: Callable[[], None] | None = None) -> None:
        """Until /readyz says ok. Raises ProcessError as soon as one of the programs has ended by itself."""
        wait_for("the API server's /readyz", self._watched(self._ready, while_waiting), seconds=START_SECONDS)

    def wait_until_usable(self, nodes: int, *, while_waiting: Callable[[], None] | None = None) -> None:
        """Until all nodes take pods and the namespace `default` has its service account."""
        usable = self._watched(lambda: self._usable(nodes), while_waiting)
        wait_for(f"{nodes} ready nodes and the service account default/default", usable, seconds=START_SECONDS)

    def _watched(self, attempt: Callable[[], bool], while_waiting: Callable[[], None] | None) -> Callable[[], bool]:
        def watched() -> bool:
            if while_waiting is not None:
                while_waiting()
            for process in self.processes.values():
                process.check()
            # Nothing listens yet, or the connection broke: exactly what is being waited for.
            with contextlib.suppress(OSError):
                return attempt()
            return False

        return watched

    def _ready(self) -> bool:
        status, _ = self.request("GET", "/readyz")
        return status == 200

    def _usable(self, count: int) -> bool:
        status, _ = self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        _, nodes = self.request("GET", "/api/v1/nodes")
        ready = [node for node in nodes["items"] if _takes_pods(node)]
        return status == 200 and len(ready) >= count


class ControlPlane:
    """Starts a control plane at the start of a `with` block and ends it, with all that it has stored, at the end.

    nodes: how many simulated nodes. apiserver_flags, controllers_flags: further flags of kube-apiserver and of
    kube-controller-manager, which win over ours.
    stream: where progress goes when something takes over two seconds (standard error when None).

    Raises at the start: BuildError, ToolchainError, ClusterError.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        apiserver_flags: Sequence[str] = (),
        controllers_flags: Sequence[str] = (),
        stream: TextIO | None = None,
    ) -> None:
        self._nodes = nodes
        self._apiserver_flags = tuple(apiserver_flags)
        self._controllers_flags = tuple(controllers_flags)
        self._stream = stream
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> RunningControlPlane:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> RunningControlPlane:
        binaries = ensure_binaries(stream=self._stream)
        try:
            with Progress("starting the control plane", self._stream) as progress:
                return self._start(binaries, progress)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kills every process and removes the cluster's folder; may be called more than once."""
        self._cleanup.close()

    def _start(self, binaries: dict[str, Path], progress: Progress) -> RunningControlPlane:
        run_directory = RunDirectory()
        self._cleanup.callback(run_directory.remove)
        directory = run_directory.path
        port = ReservedPort()
        self._cleanup.callback(port.release)

        authority = Authority(directory)
        url = f"https://{LOOPBACK}:{port.number}"

        def kubeconfig(user: str, *groups: str) -> Path:
            client = authority.client(user.replace(":", "-"), user=user, groups=groups)
            return config.write_kubeconfig(
                directory / f"{client.certificate.stem}.kubeconfig", url=url, ca=authority.certificate, client=client
            )

        def process(name: str, flags: list[str]) -> Process:
            created = Process(name, [str(binaries[name]), *flags], directory=directory)
            self._cleanup.callback(created.stop)
            return created

        administrator = authority.client("admin", user="admin", groups=["system:masters"])
        serving = authority.server(
            "apiserver",
            names=["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
            addresses=[LOOPBACK, config.FIRST_SERVICE_ADDRESS],
        )
        access = Access(
            kubeconfig=config.write_kubeconfig(
                directory / "kubeconfig", url=url, ca=authority.certificate, client=administrator
            ),
            url=url,
            ca=authority.certificate,
            kubectl=binaries["kubectl"],
            scratch=directory,
            client=administrator,
        )
        etcd = process("etcd", config.etcd_flags())
        apiserver = process(
            "kube-apiserver",
            config.apiserver_flags(
                port=port.number,
                ca=authority.certificate,
                serving=serving,
                token_key=signing_key(directory / "service-account.key"),
                extra=self._apiserver_flags,
            ),
        )
        controllers = process(
            "kube-controller-manager",
            config.controller_manager_flags(
                kubeconfig=kubeconfig("system:kube-controller-manager"),
                ca=authority.certificate,
                extra=self._controllers_flags,
            ),
        )
        scheduler = process(
            "kube-scheduler",
            config.scheduler_flags(
                config=config.write_scheduler_config(
                    directory / "scheduler.json", kubeconfig=kubeconfig("system:kube-scheduler")
                )
            ),
        )
        kwok = process("kwok", config.kwok_flags(kubeconfig=kubeconfig("kwok", "system:masters"), stages=STAGES))

        running = RunningControlPlane(access, [etcd, apiserver, controllers, scheduler, kwok])
        try:
            etcd.start()
            apiserver.start()
            running.wait_until_ready(while_waiting=progress.tick)
            for follower in (controllers, scheduler, kwok):
                follower.start()
            _create_nodes(running, self._nodes)
            running.wait_until_usable(self._nodes, while_waiting=progress.tick)
        except (ProcessError, WaitError) as error:
            raise ClusterError(_explain(error, running)) from error
        return running


def _create_nodes(cluster: Cluster, count: int) -> None:
    for number in range(1, count + 1):
        name = f"node-{number}"
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": f"172.16.{number // 250}.{number % 250 + 1}"},
                    {"type": "Hostname", "address": name},
                ]
            },
        }
        status, answer = cluster.request("POST", "/api/v1/nodes", node)
        if status != 201:
            raise ClusterError(f"creating {name} was answered with {status}: {answer}")


def _takes_pods(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not node["spec"].get("taints")


def _explain(error: Exception, cluster: RunningControlPlane) -> str:
    tails = [f"--- {process.log.name}\n{tail(process.log)}" for process in cluster.processes.values()]
    return "\n".join([f"the control plane did not start: {error}", *tails])

"""A control plane leaves nothing behind, however its owner ends."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.controlplane import rundir
from tests.controlplane.client import Cluster, wait_for
from tests.controlplane.cluster import ClusterError, ControlPlane
from tests.controlplane.processes import Process, ProcessError, spawn, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane.cluster import RunningControlPlane

REPOSITORY = Path(__file__).parents[2]
OWNER_OF_A_CLUSTER = """
import time
from tests.controlplane.cluster import ControlPlane
with ControlPlane(nodes=1) as cluster:
    print(cluster.kubeconfig.parent, *(process.pid for process in cluster.processes.values()), flush=True)
    time.sleep(600)
"""
OWNER_OF_A_TEST_RUN = """
import time
from tests.controlplane.shared import SharedRun, join
run = SharedRun()
first, second = join(run.path), join(run.path)
print(run.path, first.url, second.url, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[RunningControlPlane]:
    with ControlPlane(nodes=1, apiserver_flags=["--anonymous-auth=false"]) as running:
        yield running


@contextlib.contextmanager
def owner(program: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def process_runs(pid: int) -> bool:
    """Whether the process exists and is not a zombie, which only waits for its parent to read its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def answers(url: str) -> bool:
    address = urllib.parse.urlsplit(url)
    try:
        socket.create_connection((str(address.hostname), int(address.port or 0))).close()
    except ConnectionRefusedError:
        return False
    return True


def test_two_clusters_run_side_by_side(cluster: Cluster, own_cluster: RunningControlPlane) -> None:
    own_cluster.kubectl("create", "namespace", "only-here")
    assert own_cluster.request("GET", "/api/v1/namespaces/only-here")[0] == 200
    assert cluster.request("GET", "/api/v1/namespaces/only-here")[0] == 404


def test_flags_of_the_caller_reach_the_api_server(cluster: Cluster, own_cluster: RunningControlPlane) -> None:
    assert anonymous(cluster).request("GET", "/version")[0] == 200
    assert anonymous(own_cluster).request("GET", "/version")[0] == 401


def anonymous(other: Cluster) -> Cluster:
    return Cluster(dataclasses.replace(other.access, client=None))


def test_api_server_comes_back_at_the_same_url_with_all_objects(own_cluster: RunningControlPlane) -> None:
    own_cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    own_cluster.stop_apiserver()
    assert not answers(own_cluster.url)
    own_cluster.start_apiserver()
    assert own_cluster.get("configmap", "kept")["data"] == {"a": "b"}
    own_cluster.kubectl("run", "after-restart", "--image=example/main:1")
    own_cluster.kubectl("wait", "--for=condition=Ready", "pod/after-restart", "--timeout=60s")


def test_nothing_is_left_after_the_block() -> None:
    with ControlPlane(nodes=1) as running:
        pids = [process.pid for process in running.processes.values()]
        folder = running.kubeconfig.parent
        assert all(process_runs(pid) for pid in pids)
    assert not any(process_runs(pid) for pid in pids)
    assert not folder.exists()
    assert not answers(running.url)


def test_nothing_is_left_after_the_owner_was_killed() -> None:
    with owner(OWNER_OF_A_CLUSTER) as process:
        assert process.stdout is not None
        folder, *numbers = process.stdout.readline().split()
        pids = [int(number) for number in numbers]
        assert len(pids) == 5
        assert all(process_runs(pid) for pid in pids)
        process.kill()
        wait_for("the end of all processes", lambda: not any(process_runs(pid) for pid in pids), seconds=20)
    assert swept(Path(folder))


def test_one_cluster_serves_a_whole_test_run_and_ends_when_the_run_is_killed() -> None:
    with owner(OWNER_OF_A_TEST_RUN) as process:
        assert process.stdout is not None
        folder, first, second = process.stdout.readline().split()
        assert first == second
        assert answers(first)
        process.kill()
        wait_for("the end of the API server", lambda: not answers(first), seconds=20)
    wait_for("the end of the holder", lambda: swept(Path(folder)), seconds=20)


def swept(folder: Path) -> bool:
    """Whether the folder is gone after a sweep, which spares those whose owner lives."""
    rundir.RunDirectory().remove()
    return not folder.exists()


def test_failed_start_shows_the_logs_and_leaves_nothing() -> None:
    with pytest.raises(
        ClusterError, match=r"(?s)kube-apiserver ended with exit code 1.*unknown flag: --gremlins"
    ) as failure:
        ControlPlane(apiserver_flags=["--gremlins"]).start()
    folder = Path(str(failure.value).partition("The end of ")[2].partition("/kube-apiserver.log")[0])
    assert folder.name.startswith(rundir.PREFIX)
    assert not folder.exists()


def test_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="cannot start gremlins: no such program"):
        spawn(["gremlins"], log=tmp_path / "log")


def test_program_is_not_started_when_its_owner_is_gone_already(tmp_path: Path) -> None:
    leash = REPOSITORY / "tests" / "controlplane" / "leash.py"
    completed = subprocess.run([sys.executable, leash, "1", "/bin/echo", "hello"], capture_output=True, text=True)
    assert completed.returncode == 1
    assert completed.stderr == "leash: process 1 has ended already; /bin/echo is not started\n"


def test_stopped_program_gets_time_to_end_by_itself_when_asked_for(tmp_path: Path) -> None:
    polite = Process(
        "polite",
        ["/bin/sh", "-c", "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.1; done"],
        directory=tmp_path,
    )
    polite.start()
    wait_for("the shell", lambda: "ready" in tail(polite.log))
    polite.stop(grace_seconds=20)
    assert tail(polite.log).splitlines() == ["ready", "bye"]
    assert not polite.running


def test_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == "(no output)"
    log.write_text("".join(f"line {number}\n" for number in range(5000)))
    assert tail(log, lines=2) == "line 4998\nline 4999"

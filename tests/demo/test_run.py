"""`make run ONCE=1`, as a stranger starts it: a process, its page, its exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.controlplane.client import Cluster
from tests.controlplane.cluster import ControlPlane
from tests.support.manifests import install
from webhook.ring.pods import SELECTOR

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.demo", "--once"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | environment
    return subprocess.run([*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, env=settings)


@pytest.fixture(scope="module")
def page() -> str:
    done = run(COLUMNS="130", KUBECONFIG="/nonexistent")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_injected_and_ready(page: str) -> None:
    examples = {p.name for p in (PROJECT / "deploy" / "examples").glob("*.yaml")} - {"namespace.yaml"}
    shown = page[page.index("── Two rings form") : page.index("── Left alone")]
    assert {name for name in examples if f"deploy/examples/{name}" in shown} == examples
    assert "not ready" not in page
    assert "✓ Every workload came out as it should." in page


def test_what_is_installed_is_deploy_install_yaml(page: str) -> None:
    shown = page[page.index("── Installed") : page.index("── Two rings form")]
    assert "$ kubectl apply -f deploy/install.yaml" in shown
    counts = Counter(d["kind"] for d in install())
    assert all(f"{count} {kind}" in shown for kind, count in counts.items())
    assert f"deploy/install.yaml: {counts.total()} objects" in page
    assert "two processes stand in for them" in flat(shown)


def test_the_certificates_are_said_to_be_well(page: str) -> None:
    assert "No certificate was made by hand" in page
    shown = page[page.index("$ habitat-webhook certs status") : page.index("── Two rings form")]
    assert len(re.findall(r"^caBundle +trusted ", shown, re.MULTILINE)) == 3
    assert re.search(r"^certificate .* 127\.0\.0\.1.*signed by the current CA", shown, re.MULTILINE)
    assert "nothing is wrong" in shown


def test_two_rings_form_before_the_reader_s_eyes(page: str) -> None:
    shown = page[page.index("── Two rings form") : page.index("Now a pod goes")]
    told = re.findall(r"^ +[0-9.]+ s  (redis|shop) +(\S+) +told of ([0-9., ]+), \d+ ms\s+after", shown, re.MULTILINE)
    assert sorted(ring for ring, _, _ in told) == ["redis"] * 3 + ["shop"] * 3
    assert len({pod for _, pod, _ in told}) == 6
    address = dict(re.findall(r"(\S+) +address ([0-9.]+)$", shown, re.MULTILINE))
    mine = {ring: {address[pod] for r, pod, _ in told if r == ring} for ring in ("redis", "shop")}
    assert all(set(peers.split(", ")) <= mine[ring] - {address[pod]} for ring, pod, peers in told)
    assert "both rings are whole, redis of 3 pods and shop of 3 pods" in flat(shown)


def test_a_ring_that_loses_a_pod_heals(page: str) -> None:
    shown = page[page.index("Now a pod goes") : page.index("── Injected")]
    gone = re.findall(r"kubectl -n habitat-demo delete pod (\S+)", shown)[0]
    assert f"{gone} deleted" in shown
    assert len(re.findall(r" is out", shown)) == 2
    assert "and the ring was whole again" in flat(shown)


def test_what_the_controller_has_made_is_shown(page: str) -> None:
    shown = page[page.index("── The rings now") : page.index("── Counted by")]
    for name in ("demo/habitat-ring-consul", "infra/habitat-ring-shared", "demo/habitat-ring-shared.habitat-infra"):
        assert f"Secret habitat-{name}-key" in shown
    assert "ring shared in namespace habitat-infra: 5 pods" in shown
    assert ": nothing is wrong" in shown
    assert "SYM-SEC-1" not in page


@pytest.mark.parametrize(
    "reason", ["NotAnnotated", "OptedOut", "HandWrittenSupervisor", "NamespaceNotEnabled", "NamespaceDisabled"]
)
def test_every_workload_that_is_left_alone_says_why(page: str, reason: str) -> None:
    shown = page[page.index("── Left alone") : page.index("── A mistake")]
    assert f"{reason}: " in shown


def test_the_mistakes_are_shown_as_their_author_sees_them(page: str) -> None:
    shown = page[page.index("── A mistake") : page.index("── The rings now")]
    assert 'The Pod "wrong" is invalid' in shown
    assert all(f"habitat.sh/{name}" in shown for name in ("topology", "config", "bind"))
    assert 'The Deployment "wrong" is invalid: spec.template.metadata.annotations[habitat.sh/topology]' in " ".join(
        shown.split()
    )
    assert "Warning: topology leader with 2 replicas" in shown


def test_an_exported_kubeconfig_is_left_alone(page: str) -> None:
    assert "KUBECONFIG of the environment is left alone" in page


def test_another_cluster_needs_an_address_and_is_not_touched_without(tmp_path: Path) -> None:
    done = run("--kubeconfig", str(tmp_path / "kubeconfig"))
    assert done.returncode == 1
    assert "also needs ADDRESS" in done.stderr
    assert "Nothing was changed" in done.stderr


def test_in_another_cluster_everything_has_gone_at_the_end(tmp_path: Path) -> None:
    with ControlPlane() as cluster:
        before = cluster_scoped(cluster)
        arguments = ("--kubeconfig", str(cluster.kubeconfig), "--address", "127.0.0.1")

        somebodys = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "labels": {SELECTOR: "redis"}}}
        somebodys["spec"] = {"containers": [{"name": "redis", "image": "core/redis"}]}
        cluster.apply(json.dumps(somebodys))
        refused = run(*arguments)
        assert refused.returncode == 1
        assert "this cluster has a habitat-webhook already (pod/one)" in refused.stderr
        assert cluster_scoped(cluster) == before
        cluster.kubectl("delete", "pod", "one", "--now")

        done = run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "writing in the demo's namespaces only" in done.stdout
        left = cluster_scoped(cluster) - before
        assert {name for name in left if not name.startswith("namespace/")} == set()
        phases = {name: cluster.get(name)["status"]["phase"] for name in left}
        assert set(phases.values()) <= {"Terminating"}


def cluster_scoped(cluster: Cluster) -> set[str]:
    kinds = "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,persistentvolumes"
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    return set(cluster.kubectl("get", f"{kinds},{policies}", "-o", "name").split())


def test_a_run_that_is_interrupted_ends_its_processes() -> None:
    running = subprocess.Popen(COMMAND, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if "controller: " in line:
                break
        children = descendants(running.pid)
        assert len(children) >= 7
        running.send_signal(signal.SIGTERM)
        running.stdout.read()
        assert running.wait() == 130
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def flat(text: str) -> str:
    """Without its line breaks."""
    return " ".join(text.split())


def descendants(pid: int) -> list[int]:
    """Children and their children (proc(5), /proc/PID/task/TID/children)."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found

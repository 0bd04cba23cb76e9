"""The installation in a cluster with a kubelet: deploy/install.yaml as it is, but for the name of the image."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from tests.controlplane.client import Cluster, KubectlError
from tests.deploy.documented import run as run_documented
from tests.node import product, standin
from tests.node.place import PROJECT, inside, namespace
from tests.node.pods import Manifest, Pods
from tests.support.manifests import DEPLOY

NAMESPACE = "habitat-webhook"
DEPLOYMENTS = {"admission": "habitat-webhook", "controller": "habitat-webhook-controller"}
"""Role (as the label says) -> its Deployment."""
PAGE = "upgrade-uninstall.md"
ROLLOUT_SECONDS = 180

# A process's cgroup has its container's id in its name. From inside its own container the kernel lets nobody kill it.
KILL = """\
for file in /proc/[0-9]*/cgroup; do
  if grep -qs "$0" "$file"; then pid=${file#/proc/} pids="$pids ${pid%/cgroup}"; fi
done
[ -n "$pids" ] && kill -9 $pids
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """seconds: what it took from the command until all four pods were ready."""

    cluster: Cluster
    seconds: float

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(f"--namespace={NAMESPACE}", *arguments)

    def pods(self, role: str) -> dict[str, Manifest]:
        """Name -> pod, also of those that are about to end."""
        label = f"app.kubernetes.io/component={role}"
        items: list[Manifest] = self.cluster.get("pods", "-l", label, f"--namespace={NAMESPACE}")["items"]
        return {item["metadata"]["name"]: item for item in items}

    def ready(self, pod: str) -> Manifest:
        """The pod's status once it is Ready; it has got there without a restart."""
        return Pods(self.cluster, NAMESPACE).ready(pod)

    def rolled_out(self, role: str) -> None:
        """Waits until a Deployment has all its pods, of its latest template."""
        try:
            self.kubectl("rollout", "status", f"deployment/{DEPLOYMENTS[role]}", f"--timeout={ROLLOUT_SECONDS}s")
        except KubectlError as error:
            raise AssertionError(f"{error}\n{self.kubectl('describe', 'pods')}") from None

    def served(self, pod: str) -> int:
        """The serial number of the certificate that a pod of the webhook shows."""
        show = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 10250)))"
        pem = self.kubectl("exec", pod, "--container=serve", "--", "python3", "-c", show)
        return x509.load_pem_x509_certificate(pem.encode()).serial_number

    def secret(self, name: str) -> dict[str, str]:
        """A Secret's data, base64."""
        data: dict[str, str] = self.cluster.get("secret", name, f"--namespace={NAMESPACE}")["data"]
        return data

    def configuration(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("mutatingwebhookconfiguration", "habitat-webhook")
        return found

    def certs(self, *arguments: str) -> str:
        """What `habitat-webhook certs` prints; it has to succeed."""
        command = [*inside(self.cluster), sys.executable, "-m", "webhook", "certs", *arguments]
        command.append(f"--kubeconfig={self.cluster.kubeconfig}")
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextlib.contextmanager
def installed(cluster: Cluster, scratch: Path) -> Iterator[Installation]:
    """Applied as docs/install.md says, and gone at the end, whatever has become of it."""
    if cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        raise AssertionError(
            f"that cluster has a namespace {NAMESPACE} already: this test installs and uninstalls, and would delete it"
        )
    image, _, tag = product.name().rpartition(":")
    name = {"name": "habitat-webhook", "newName": image, "newTag": tag}
    kustomization = {"resources": [os.path.relpath(DEPLOY, scratch.resolve())], "images": [name]}
    (scratch / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    try:
        began = time.monotonic()
        cluster.kubectl("apply", "-k", str(scratch))
        place = Installation(cluster, 0.0)
        for role in DEPLOYMENTS:
            place.rolled_out(role)
        yield Installation(cluster, time.monotonic() - began)
    finally:
        uninstall(cluster, "--ignore-not-found")


def uninstall(cluster: Cluster, *more: str) -> None:
    """By the commands of the documentation, each with `more` behind it."""
    run_documented(cluster, PAGE, "Uninstall by kubectl", *more)


def sigkill(cluster: Cluster, where: str, pod: str) -> None:
    """SIGKILL for all processes of a pod's only container, by a pod that sees the processes of its node."""
    found = cluster.get("pod", pod, f"--namespace={where}")
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    kill = {
        "name": "kill",
        "image": standin.name(),
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", KILL, container],
    }
    spec = {"hostPID": True, "nodeName": found["spec"]["nodeName"], "restartPolicy": "Never", "containers": [kill]}
    with namespace(cluster) as name:
        pods = Pods(cluster, name)
        pods.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kill"}, "spec": spec}])
        status = pods.wait("kill", "done", lambda status: status["phase"] in ("Succeeded", "Failed"))
        assert status["phase"] == "Succeeded", (
            f"no process of container {container} was killed: {pods.kubectl('logs', 'kill')}"
        )

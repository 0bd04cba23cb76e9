"""The pods of a namespace: how they are made, and what a test asks of one."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane.client import Cluster, WaitError
from tests.node import standin

Manifest = dict[str, Any]
SECONDS, AT_LEAST_SECONDS = 180, 15
PAUSE = 0.5


def pod(name: str, security: Mapping[str, Any] | None = None, **annotations: str) -> Manifest:
    """A pod as its user writes it; annotations without prefix, with underscores for dashes."""
    said = {"service": "web", "license": "accept-no-persist"} | annotations
    container = {"name": "web", "image": standin.name(), "imagePullPolicy": "Never", "securityContext": security or {}}
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"  # its status tells what it printed
    volumes = [{"name": "data", "emptyDir": {}}] if "data_volume" in annotations else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {f"habitat.sh/{k.replace('_', '-')}": v for k, v in said.items()}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes},
    }


def deployment(template: Manifest, *, replicas: int) -> Manifest:
    """A Deployment of pods like this one, under its name."""
    name = template["metadata"]["name"]
    metadata = {"labels": {"app": name}, "annotations": template["metadata"]["annotations"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": metadata, "spec": template["spec"]},
        },
    }


def secret(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def inject(manifests: Iterable[Manifest], namespace: str) -> list[Manifest]:
    """What the command line makes of them."""
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    command = [sys.executable, "-m", "webhook", "inject", "-n", namespace, "-f", "-"]
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    items: list[Manifest] = json.loads(done.stdout)["items"]
    return items


def without(injected: Manifest, name: str, *, volumes: Collection[str] = (), home: bool = False) -> Manifest:
    """A copy under another name that lacks some of what was injected: the control of a test."""
    made = copy.deepcopy(injected)
    made["metadata"]["name"] = name
    spec = made["spec"]
    web = spec["containers"][0]
    lacking = set(volumes) - {v["name"] for v in spec["volumes"]}
    assert not lacking, f"{injected['metadata']['name']} has no {lacking}: the control would show nothing"
    spec["volumes"] = [v for v in spec["volumes"] if v["name"] not in volumes]
    web["volumeMounts"] = [m for m in web["volumeMounts"] if m["name"] not in volumes]
    if home:
        web["env"].remove({"name": "HOME", "value": "/tmp"})
    return made


@dataclass(frozen=True, slots=True)
class Pods:
    """All pods of a namespace are applied at once; together they have SECONDS, and each at least a moment."""

    cluster: Cluster
    namespace: str
    since: float = field(default_factory=time.monotonic)

    def kubectl(self, *arguments: str, manifest: Manifest | None = None) -> str:
        given = None if manifest is None else json.dumps(manifest)
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments, input=given)

    def apply(self, manifests: Iterable[Manifest]) -> None:
        self.kubectl("apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": list(manifests)})

    def wait(self, name: str, what: str, seen: Callable[[Manifest], Any], *, restarts: bool = False) -> Manifest:
        """The pod's status once `seen` is true of it; a restart fails the test unless it is what is waited for."""

        def attempt() -> Manifest | None:
            status: Manifest = self.cluster.get("pod", name, f"--namespace={self.namespace}")["status"]
            containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
            restarted = [c["lastState"] for c in containers if c["restartCount"]]
            assert restarts or not restarted, f"{name} has restarted: {restarted}"
            if seen(status):
                return status
            time.sleep(PAUSE)  # leaves the machine to the kubelet
            return None

        left = self.since + SECONDS - time.monotonic()
        try:
            return self.cluster.wait(f"{name} to be {what}", attempt, seconds=max(left, AT_LEAST_SECONDS))
        except WaitError as error:
            raise AssertionError(f"{error}\n{self.kubectl('describe', 'pod', name)}") from None

    def ready(self, name: str) -> Manifest:
        """The pod's status once it is Ready; it has got there without a restart."""

        def seen(status: Manifest) -> bool:
            return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))

        return self.wait(name, "ready", seen)

    def exited(self, name: str) -> str:
        """What the container printed before it ended with exit code 1; the kubelet has started it again since."""

        def ended(status: Manifest) -> Manifest | None:
            return next((c["lastState"].get("terminated") for c in status.get("containerStatuses", ())), None)

        last = ended(self.wait(name, "started again", ended, restarts=True))
        assert last is not None
        assert last["exitCode"] == 1
        return str(last["message"])

    def log(self, name: str) -> str:
        return self.kubectl("logs", name, "--container=web")

    def run(self, name: str, *command: str) -> str:
        """Standard output of a command in the Supervisor's container."""
        return self.kubectl("exec", name, "--container=web", "--", *command)

    def variable(self, name: str, variable: str) -> str:
        return self.run(name, "sh", "-c", f'printf %s "${variable}"')

    def until(self, name: str, path: str, text: str) -> str:
        """The content of a file once it holds the text: before a volume is synced by itself, over a minute later."""
        script = 'until grep -qF "$1" "$0"; do sleep 0.1; done; cat "$0"'
        return self.run(name, "timeout", "30", "sh", "-c", script, path, text)

"""Rings on a real API server without a controller: the test writes what the controller would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.controlplane.client import Cluster
from tests.support.ring_pods import injected_pod
from webhook.ring import service
from webhook.ring.pods import PEERS_MANAGER
from webhook.rings import Ring

HOLD = "simulated.kubelet/hold"
"""tests/controlplane/stages.yaml: a pod that has it waits for its key as if its Secret were not there."""


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of the cluster."""

    cluster: Cluster
    namespace: str

    def create(self, body: Mapping[str, Any], resource: str) -> dict[str, Any]:
        """One object; it is where it says, or here."""
        where = body["metadata"].get("namespace", self.namespace)
        status, made = self.cluster.request("POST", f"/api/v1/namespaces/{where}/{resource}", body)
        assert status == 201, made
        return dict(made)

    def pods(self, *names: str, hold: bool = False, **annotations: str) -> dict[str, str]:
        """Pods as the webhook makes them, running unless they are to wait for their key: name -> address."""
        for name in names:
            pod = injected_pod(name, self.namespace, **annotations)
            if hold:
                pod["metadata"]["annotations"][HOLD] = ""
            self.create(pod, "pods")
        return {name: self.address(name) for name in names}

    def let_run(self, *names: str) -> None:
        """End the waiting for a key."""
        for name in names:
            self.cluster.kubectl("annotate", "pod", name, "-n", self.namespace, f"{HOLD}-")
        chosen = [f"pod/{name}" for name in names]
        self.cluster.kubectl("wait", "--for=condition=Ready", *chosen, "-n", self.namespace, "--timeout=60s")

    def address(self, name: str) -> str:
        """The pod's address, once it has one."""

        def running() -> str:
            _, pod = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}")
            return str(pod["status"].get("podIP", ""))

        return self.cluster.wait(f"{self.namespace}/{name} to run", running)

    def tell(self, name: str, addresses: Sequence[str]) -> None:
        """Write a pod's list."""
        self.cluster.kubectl(
            *("annotate", "pod", name, "-n", self.namespace, "--overwrite", f"--field-manager={PEERS_MANAGER}"),
            "habitat.sh/peers=" + "\n".join(addresses),
        )

    def tell_everybody(self, pods: Mapping[str, str]) -> None:
        """Each of the pods about all others."""
        for name, address in pods.items():
            self.tell(name, [other for other in pods.values() if other != address])

    def service(self, ring: str = "default", **spec: Any) -> None:
        """The ring's Service, with some fields as somebody else would have them."""
        made = service.desired(Ring(self.namespace, ring))
        made["spec"] |= spec
        self.create(made, "services")

"""What is scaled up: Deployments whose template is injected already.

So the webhook is not asked while pods are created: it is not what is measured here, and it would slow their coming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.reviews import written_pod
from webhook.inject import Situation, apply, inject
from webhook.options import PREFIX
from webhook.ring.service import RING_LABEL

NAMESPACE = "default"
APP = "app"
"""The label that tells a pod's Deployment."""

_SIZE = "7 KiB"
_MOST_OF_A_DEPLOYMENT = 1000
"""A ReplicaSet's controller waits for one batch of creates before it begins the next; several work side by side."""

_PODS_OF_A_NODE = 100
_FEWEST_NODES = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """So many pods, as evenly as can be in so many rings.

    rate: how many of them the Deployments' controllers make a second, about; 0 for as many as the machine can.
    """

    pods: int
    rings: int = 1
    rate: int = 0

    @property
    def nodes(self) -> int:
        return max(_FEWEST_NODES, -(-self.pods // _PODS_OF_A_NODE))

    def __str__(self) -> str:
        return f"{self.pods:,}" + (f" in {self.rings} rings" if self.rings > 1 else "")

    @property
    def flags(self) -> list[str]:
        """Of kube-controller-manager, whose client sends a create for each pod."""
        return [f"--kube-api-qps={self.rate}", f"--kube-api-burst={self.rate}"] if self.rate else []

    def deployments(self) -> dict[str, tuple[str, int]]:
        """Name -> ring and replicas."""
        found = {}
        for number, pods in enumerate(_parts(self.pods, self.rings)):
            for part, replicas in enumerate(_parts(pods, -(-pods // _MOST_OF_A_DEPLOYMENT))):
                found[f"redis-{number}-{part}"] = (f"ring-{number}", replicas)
        return found


def _parts(whole: int, count: int) -> list[int]:
    return [whole // count + (number < whole % count) for number in range(count)]


def deployment(name: str, ring: str) -> dict[str, Any]:
    """With no pods yet."""
    template = injected(name, ring)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": 0, "selector": {"matchLabels": {APP: name}}, "template": template},
    }


def injected(name: str, ring: str) -> dict[str, Any]:
    """A pod template: the pod of a 7 KiB review, in a ring, as the webhook leaves it."""
    written = written_pod(_SIZE)
    annotations = written["metadata"]["annotations"] | {PREFIX + "ring": ring}
    pod = {"metadata": {"labels": {APP: name}, "annotations": annotations}, "spec": written["spec"]}
    outcome = inject(pod, Situation(namespace=NAMESPACE))
    made: dict[str, Any] = apply(pod, outcome.operations)
    if made["metadata"]["labels"].get(RING_LABEL) != ring:
        raise ValueError(f"the template of {name} was not injected: {outcome}")
    return made

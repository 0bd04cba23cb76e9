"""What is applied, what should become of it, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.client import Cluster
from webhook.inject import Reason, Situation, inject
from webhook.inject.record import read
from webhook.rings import Ring

EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "examples"
SCENES = Path(__file__).parent / "scenes"
DEMO = "habitat-demo"
NAMESPACES = (DEMO, "habitat-infra", "habitat-restricted", "habitat-unlabelled", "habitat-off")
SHARED = Ring("habitat-infra", "shared")
"""The ring of deploy/examples/shared-ring.yaml."""

KINDS = ("Deployment", "StatefulSet")

EXPECTED = {
    "plain": Reason.NOT_ANNOTATED,
    "opted-out": Reason.OPTED_OUT,
    "by-hand": Reason.HAND_WRITTEN_SUPERVISOR,
    "not-enabled": Reason.NAMESPACE_NOT_ENABLED,
    "switched-off": Reason.NAMESPACE_DISABLED,
}
"""Workload -> reason; every other one is to be injected."""

SENT = frozenset({Reason.INJECTED, Reason.HAND_WRITTEN_SUPERVISOR})
"""Reasons that the webhook itself gives; the selectors of the webhook configuration give the others."""


@dataclass(slots=True)
class Workload:
    """One Deployment or StatefulSet: where it comes from, its pods, and why they are as they are.

    source: the file, relative to the project. annotations: habitat.sh/*, of the pod template. container: the target, ""
    when nothing was injected. reviews: log lines of the webhook about these pods.
    """

    kind: str
    namespace: str
    name: str
    source: str
    replicas: int
    annotations: dict[str, str]
    pods: list[dict[str, Any]] = field(default_factory=list)
    reason: Reason | None = None
    container: str = ""
    reviews: list[dict[str, Any]] = field(default_factory=list)

    @property
    def expected(self) -> Reason:
        return EXPECTED.get(self.name, Reason.INJECTED)

    @property
    def labels(self) -> str:
        return f"app={self.name}"

    @property
    def ring(self) -> Ring:
        return Ring.of(self.annotations.get("habitat.sh/ring", "default"), self.namespace)

    @property
    def managed_key(self) -> str:
        """The Secret that the controller is to make, "" when none is asked for."""
        wanted = self.annotations.get("habitat.sh/ring-key") == "managed"
        return self.ring.key_secret_in(self.namespace) if wanted else ""


def manifests() -> tuple[list[Path], list[Path]]:
    """The files with the two rings whose birth is watched, then all others with workloads, the simplest first."""
    rings = [EXAMPLES / "leader.yaml", EXAMPLES / "bind.yaml"]
    first = EXAMPLES / "standalone.yaml"
    others = sorted(p for p in EXAMPLES.glob("*.yaml") if p.name != "namespace.yaml" and p not in [*rings, first])
    return rings, [first, *others, SCENES / "others.yaml"]


def namespaces() -> str:
    """Every Namespace of examples and scenes, to apply."""
    paths = [*EXAMPLES.glob("*.yaml"), *SCENES.glob("*.yaml")]
    documents = [d for p in paths for d in yaml.safe_load_all(p.read_text()) if d["kind"] == "Namespace"]
    assert {d["metadata"]["name"] for d in documents} == set(NAMESPACES)
    return yaml.safe_dump_all(documents)


def workloads(paths: Iterable[Path]) -> list[Workload]:
    """The workloads of these files, as written."""
    found = []
    for path in paths:
        source = str(path.relative_to(EXAMPLES.parents[1]))
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] not in KINDS:
                continue
            metadata, spec = document["metadata"], document["spec"]
            said = spec["template"]["metadata"].get("annotations", {})
            namespace = metadata.get("namespace", DEMO)
            replicas = spec.get("replicas", 1)
            found.append(Workload(document["kind"], namespace, metadata["name"], source, replicas, said))
    return found


def apply(cluster: Cluster, path: Path) -> None:
    """`kubectl apply`; documents that name no namespace go into the demo's. Raises KubectlError."""
    documents = list(yaml.safe_load_all(path.read_text()))
    namespace = [] if any("namespace" in d["metadata"] for d in documents) else ["-n", DEMO]
    cluster.kubectl("apply", *namespace, "-f", str(path))


def observe(cluster: Cluster, found: list[Workload], decisions: list[dict[str, Any]]) -> None:
    """Fill in the pods, the reason and the reviews of each workload."""
    labels = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in cluster.get("namespaces")["items"]}
    for workload in found:
        workload.pods = cluster.get("pods", "-n", workload.namespace, "-l", workload.labels)["items"]
        owners = {f"{o['kind']}/{o['name']}" for p in workload.pods for o in p["metadata"].get("ownerReferences", ())}
        workload.reviews = [
            d for d in decisions if d.get("namespace") == workload.namespace and d.get("owner") in owners
        ]
        if workload.pods:
            workload.reason, workload.container = _why(workload.pods[0], labels[workload.namespace])


def _why(pod: dict[str, Any], namespace_labels: dict[str, str]) -> tuple[Reason, str]:
    """The record says that a pod was injected; for one that was not, the same engine says why."""
    record = read(pod["metadata"].get("annotations", {}))
    if record is not None:
        return Reason.INJECTED, record.container
    situation = Situation(namespace=pod["metadata"]["namespace"], namespace_labels=namespace_labels)
    return inject(pod, situation).reason, ""


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def failures(found: list[Workload], *, wait_ready: bool) -> list[str]:
    """What is otherwise than it should be, a sentence each; none when the run is a success."""
    wrong = []
    for w in found:
        where = f"{w.kind} {w.namespace}/{w.name}"
        if len(w.pods) != w.replicas:
            wrong.append(f"{where} has {len(w.pods)} pods instead of {w.replicas}")
            continue
        if w.reason is not w.expected:
            wrong.append(f"{where}: expected {w.expected.code}, got {w.reason.code if w.reason else 'no decision'}")
        if bool(w.reviews) is not (w.expected in SENT):
            wrong.append(f"{where} was {'' if w.reviews else 'not '}sent to the webhook")
        if wait_ready and not all(map(ready, w.pods)):
            wrong.append(f"{where} has pods that are not Ready")
    return wrong


_SAID = {
    "wrong-pod": ("habitat.sh/topology", "habitat.sh/config", "habitat.sh/bind"),
    "wrong-deployment": ("spec.template.metadata.annotations[habitat.sh/topology]",),
    "surprising": ("topology leader with 2 replicas", "habitat.sh/chanel is unknown"),
}


def unsaid(*answers: str) -> list[str]:
    """What kubectl does not say of these scenes though it should, a sentence each. answers: in that order."""
    return [
        f"the answer to tests/demo/scenes/{scene}.yaml does not say {text}"
        for (scene, texts), answer in zip(_SAID.items(), answers, strict=True)
        for text in texts
        if text not in answer
    ]

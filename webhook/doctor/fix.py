"""Restarting the owners of pods by the usual annotation of the pod template, as `kubectl rollout restart` does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from webhook.admission.resources import BY_KIND, REPLICA_SET
from webhook.decide import mapping
from webhook.doctor.examine import restartable
from webhook.doctor.findings import Finding
from webhook.kube.client import ApiError, Client
from webhook.ring.findings import Severity
from webhook.ring.pods import Owner, owner

RESTARTED = "kubectl.kubernetes.io/restartedAt"
_MANAGER = "habitat-webhook-doctor"


@dataclass(frozen=True, slots=True)
class Target:
    """A workload whose pods are to be made anew.

    error: whether something is wrong with them, and not just old. why_not: why it is left alone, "" for one that can be
    restarted.
    """

    namespace: str
    owner: Owner
    error: bool
    why_not: str = ""

    @property
    def label(self) -> str:
        return f"{self.owner.kind}/{self.owner.name} in namespace {self.namespace}"


def targets(client: Client, findings: Iterable[Finding]) -> list[Target]:
    """Who has to be restarted, each once. Raises ApiError."""
    found: dict[tuple[str, Owner], bool] = {}
    for finding in findings:
        if finding.trouble.restart and finding.owner:
            place = finding.namespace, _workload(client, finding.namespace, finding.owner)
            found[place] = found.get(place, False) or finding.trouble.severity is Severity.ERROR
    return [
        Target(namespace, maker, error, _why_not(client, namespace, maker))
        for (namespace, maker), error in found.items()
    ]


def restart(client: Client, target: Target) -> None:
    """Raises ApiError."""
    annotations = {RESTARTED: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    client.patch(_path(target.namespace, target.owner), patch, manager=_MANAGER)


def _workload(client: Client, namespace: str, maker: Owner) -> Owner:
    """The Deployment of a ReplicaSet, else the maker itself."""
    if maker.kind != REPLICA_SET.kind:
        return maker
    try:
        metadata = client.get(REPLICA_SET.path(namespace, maker.name), metadata_only=True)["metadata"]
    except ApiError as error:
        if error.status in (403, 404):
            return maker
        raise
    above = owner(metadata)
    return above if above.kind == "Deployment" else maker


def _why_not(client: Client, namespace: str, maker: Owner) -> str:
    if maker.kind == "Pod":
        return "nobody makes it again: delete it, and create it anew"
    if not restartable(maker):
        return f"a {maker.kind} is not restarted: its next pods come out right"
    try:
        spec = mapping(client.get(_path(namespace, maker)), "spec")
    except ApiError as error:
        if error.status in (403, 404):
            return f"it cannot be read: {error.message}"
        raise
    if spec.get("paused"):
        return "it is paused: kubectl rollout resume"
    if mapping(spec, "updateStrategy").get("type") == "OnDelete":
        return "its update strategy is OnDelete: delete its pods yourself"
    return ""


def _path(namespace: str, maker: Owner) -> str:
    group = maker.api_version.rpartition("/")[0]
    return BY_KIND[group, maker.kind].path(namespace, maker.name)

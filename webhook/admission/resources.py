"""The kinds of workloads, as a person names them and as the API knows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. group: "" for the core's. short: as `kubectl get` takes it, too."""

    group: str
    version: str
    kind: str
    plural: str
    short: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str = "") -> str:
        """The path of all of a namespace, "" for all namespaces."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """The path of one object."""
        return f"{self.collection(namespace)}/{name}"


POD = Resource("", "v1", "Pod", "pods", "po")
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", "deploy")
STATEFUL_SET = Resource("apps", "v1", "StatefulSet", "statefulsets", "sts")
DAEMON_SET = Resource("apps", "v1", "DaemonSet", "daemonsets", "ds")
REPLICA_SET = Resource("apps", "v1", "ReplicaSet", "replicasets", "rs")
JOB = Resource("batch", "v1", "Job", "jobs", "")
CRON_JOB = Resource("batch", "v1", "CronJob", "cronjobs", "cj")

RESOURCES = (
    POD,
    DEPLOYMENT,
    STATEFUL_SET,
    DAEMON_SET,
    REPLICA_SET,
    JOB,
    CRON_JOB,
    Resource("", "v1", "ReplicationController", "replicationcontrollers", "rc"),
    Resource("", "v1", "PodTemplate", "podtemplates", ""),
)
BY_KIND = {(resource.group, resource.kind): resource for resource in RESOURCES}
BY_WORD = {
    word: resource
    for resource in RESOURCES
    for word in (resource.plural, resource.kind.lower(), resource.short)
    if word
}
"""What a person writes before the slash: "deployment", "deployments" or "deploy"."""

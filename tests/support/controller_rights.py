"""deploy/controller*.yaml and deploy/fence.yaml in a cluster: the controller's ServiceAccount and all that binds it.

The cluster of a test run is shared by all its workers, and what is cluster-scoped has fixed names: `installed` gives
each copy a suffix and a namespace of its own, so that no test meets, changes or deletes the rights of another. A test
with a cluster of its own, such as one that reads the audit log, takes the files as they are: `installed_as_shipped`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.client import Cluster

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RIGHTS, FENCE = "controller.yaml", "fence.yaml"
SHARED_RINGS, WATCH_SECRETS = "controller-shared-rings.yaml", "controller-secrets.yaml"
CERTIFICATES = "controller-certificates.yaml"
PLAIN = (RIGHTS, FENCE)
NAMESPACE, ACCOUNT = "habitat-webhook", "habitat-webhook-controller"

CLUSTER_SCOPED = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
Document = dict[str, Any]


def shipped(*files: str) -> list[Document]:
    """The documents of files below deploy/, as they are."""
    return [d for name in files for d in yaml.safe_load_all((DEPLOY / name).read_text())]


def user_name(namespace: str) -> str:
    """How the API server calls the controller whose ServiceAccount is in this namespace."""
    return f"system:serviceaccount:{namespace}:{ACCOUNT}"


def moved(documents: Sequence[Document], namespace: str, suffix: str) -> list[Document]:
    """Copies for another namespace, what is cluster-scoped with a suffix to its name; without the Namespace itself."""
    made = []
    for document in json.loads(json.dumps(documents)):
        kind, spec = document["kind"], document.get("spec", {})
        if kind == "Namespace":
            continue
        if kind in CLUSTER_SCOPED:
            document["metadata"]["name"] += suffix
        else:
            document["metadata"]["namespace"] = namespace
        if document.get("roleRef", {}).get("kind") == "ClusterRole":
            document["roleRef"]["name"] += suffix
        for subject in document.get("subjects", ()):
            subject["namespace"] = namespace
        if "policyName" in spec:
            spec["policyName"] += suffix
        for condition in spec.get("matchConditions", ()):
            condition["expression"] = condition["expression"].replace(user_name(NAMESPACE), user_name(namespace))
        made.append(document)
    return made


@dataclass(frozen=True, slots=True)
class Installed:
    """The controller's ServiceAccount with its rights; `documents` are what was applied for it."""

    cluster: Cluster
    namespace: str
    documents: Sequence[Document]

    @property
    def user(self) -> str:
        return user_name(self.namespace)

    @property
    def roles(self) -> list[Document]:
        """The ClusterRoles and Roles."""
        return [d for d in self.documents if d["kind"] in ("ClusterRole", "Role")]

    def token(self) -> str:
        return self.cluster.token(self.namespace, ACCOUNT)

    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig_for(self.namespace, ACCOUNT)


@contextlib.contextmanager
def installed(cluster: Cluster, *files: str) -> Iterator[Installed]:
    """Files of deploy/ (all that a plain controller needs, when none is named) in a namespace of their own, in force
    when the block begins and gone after it."""
    with cluster.namespace() as namespace:
        documents = moved(shipped(*(files or PLAIN)), namespace, f"-{namespace}")
        try:
            yield applied(Installed(cluster, namespace, documents))
        finally:
            for document in documents:
                if document["kind"] in CLUSTER_SCOPED:
                    cluster.kubectl("delete", document["kind"], document["metadata"]["name"], "--ignore-not-found")


def installed_as_shipped(cluster: Cluster, *files: str) -> Installed:
    """The same files unchanged, in force when this returns: for a cluster of the test's own, since they stay."""
    return applied(Installed(cluster, NAMESPACE, shipped(*(files or PLAIN))))


def applied(made: Installed) -> Installed:
    """The same, applied and in force. The cluster may be somebody else's: nothing but kubectl is used."""
    made.cluster.apply("---\n".join(yaml.safe_dump(d) for d in made.documents))
    for role in made.roles:
        made.cluster.wait(f"{role['metadata']['name']} to be granted", partial(_granted, made, role))
    for policy in (d for d in made.documents if d["kind"] == "ValidatingAdmissionPolicy"):
        made.cluster.wait(f"{policy['metadata']['name']} to hold", partial(_fenced, made, policy))
    return made


def _granted(made: Installed, role: Document) -> bool:
    """Whether the API server knows a role and its binding by now.

    Asked by the administrator: a call of the account's own would be in its audit log, and a first one might be a 403.
    """
    rule = role["rules"][0]
    asked = {
        "verb": rule["verbs"][0],
        "group": rule["apiGroups"][0],
        "resource": rule["resources"][0],
        "name": rule.get("resourceNames", [""])[0],
        "namespace": role["metadata"].get("namespace", ""),
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    spec = {"user": made.user, "resourceAttributes": asked}
    answer = made.cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(review | {"spec": spec}))
    return bool(json.loads(answer)["status"]["allowed"])


# Each is refused by the fence when nobody else minds.
_PROBES: dict[str, Document] = {
    "pods": {"kind": "Pod", "spec": {"containers": [{"name": "probe", "image": "probe"}]}},
    "services": {"kind": "Service", "spec": {"ports": [{"port": 1}]}},
    "secrets": {"kind": "Secret"},
}


def _fenced(made: Installed, policy: Document) -> bool:
    """Whether a policy refuses a create already: the API server learns of it about a second after it was made.

    Tried by the administrator under the account's name, without a trace: the group gives every right, the name the
    fence.
    """
    probe = _PROBES[policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"][0]]
    body = {"apiVersion": "v1", "metadata": {"name": "fence-probe", "namespace": made.namespace}} | probe
    command = ["create", "--dry-run=server", "--as-group=system:masters", "-f", "-"]
    done = made.cluster.run_kubectl(*command, as_=made.user, input=json.dumps(body))
    return done.returncode != 0 and f"ValidatingAdmissionPolicy '{policy['metadata']['name']}'" in done.stderr

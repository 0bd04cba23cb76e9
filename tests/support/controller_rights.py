"""A role's part of the installation in a cluster: its ServiceAccount, its rights, and the fence of the controller.

The cluster of a test run is shared by all its workers, and what is cluster-scoped has fixed names: `installed` gives
each copy a suffix and a namespace of its own, so that no test meets, changes or deletes the rights of another. A test
with a cluster of its own, such as one that reads the audit log, takes them as they are: `installed_as_shipped`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.controlplane.client import Cluster
from tests.support.manifests import Document, as_text, install, rendered

RIGHTS, FENCE, CERTIFICATES = "rights", "fence", "certificates"
SHARED_RINGS, WATCH_SECRETS = "shared rings", "watch secrets"
SERVE = "serve"
PLAIN = (RIGHTS, FENCE)
"""What a controller of rings needs. CERTIFICATES is in deploy/install.yaml, too; the others in renders/rings.yaml."""
NAMESPACE, ACCOUNT, SERVE_ACCOUNT = "habitat-webhook", "habitat-webhook-controller", "habitat-webhook"

CLUSTER_SCOPED = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)


def _roles(documents: Sequence[Document], name: str) -> list[Document]:
    """The roles of a name and their bindings."""
    kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    return [d for d in documents if d["kind"] in kinds and d["metadata"]["name"] == name]


def _rights(name: str) -> list[Document]:
    documents = install()
    account = [d for d in documents if d["kind"] == "ServiceAccount" and d["metadata"]["name"] == name]
    return [d for d in documents if d["kind"] == "Namespace"] + account + _roles(documents, name)


_PARTS: Mapping[str, Callable[[], list[Document]]] = {
    RIGHTS: lambda: _rights(ACCOUNT),
    SERVE: lambda: _rights(SERVE_ACCOUNT),
    FENCE: lambda: [d for d in install() if d["kind"].startswith("ValidatingAdmissionPolicy")],
    CERTIFICATES: lambda: _roles(install(), "habitat-webhook-certificates"),
    SHARED_RINGS: lambda: _roles(rendered("rings"), "habitat-webhook-shared-rings"),
    WATCH_SECRETS: lambda: _roles(rendered("rings"), "habitat-webhook-watch-secrets"),
}


def shipped(*parts: str) -> list[Document]:
    """The documents of parts of the installation, as they are."""
    return [d for part in parts for d in _PARTS[part]()]


def user_name(namespace: str, account: str = ACCOUNT) -> str:
    """How the API server calls the role (the controller unless another is named) whose account is in this namespace."""
    return f"system:serviceaccount:{namespace}:{account}"


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
    """A role's ServiceAccount with its rights; `documents` are what was applied for it."""

    cluster: Cluster
    namespace: str
    documents: Sequence[Document]
    account: str = ACCOUNT

    @property
    def user(self) -> str:
        return user_name(self.namespace, self.account)

    @property
    def roles(self) -> list[Document]:
        """The ClusterRoles and Roles of the account."""
        bindings = [d for d in self.documents if any(s["name"] == self.account for s in d.get("subjects", ()))]
        bound = {(d["roleRef"]["kind"], d["roleRef"]["name"]) for d in bindings}
        return [d for d in self.documents if (d["kind"], d["metadata"]["name"]) in bound]

    def token(self) -> str:
        return self.cluster.token(self.namespace, self.account)

    def kubeconfig(self) -> Path:
        return self.cluster.kubeconfig_for(self.namespace, self.account)


@contextlib.contextmanager
def installed(cluster: Cluster, *parts: str, account: str = ACCOUNT) -> Iterator[Installed]:
    """Parts of the installation (all that a plain controller needs, when none is named) in a namespace of their own, in
    force when the block begins and gone after it."""
    with cluster.namespace() as namespace:
        documents = moved(shipped(*(parts or PLAIN)), namespace, f"-{namespace}")
        try:
            yield applied(Installed(cluster, namespace, documents, account))
        finally:
            for document in documents:
                if document["kind"] in CLUSTER_SCOPED:
                    cluster.kubectl("delete", document["kind"], document["metadata"]["name"], "--ignore-not-found")


def installed_as_shipped(cluster: Cluster, *parts: str, account: str = ACCOUNT) -> Installed:
    """The same parts unchanged, in force when this returns: for a cluster of the test's own, since they stay."""
    return applied(Installed(cluster, NAMESPACE, shipped(*(parts or PLAIN)), account))


def applied(made: Installed) -> Installed:
    """The same, applied and in force. The cluster may be somebody else's: nothing but kubectl is used."""
    made.cluster.apply(as_text(made.documents))
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


# Each is refused by the fence when nobody else minds: Pod Security, which the namespace asks for, comes before it.
_CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_PROBES: dict[str, Document] = {
    "pods": {
        "kind": "Pod",
        "spec": {
            "containers": [{"name": "probe", "image": "probe", "securityContext": _CONFINED}],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    },
    "services": {"kind": "Service", "spec": {"ports": [{"port": 1}]}},
    "secrets": {"kind": "Secret"},
    "mutatingwebhookconfigurations": {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "fence-probe"},
    },
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

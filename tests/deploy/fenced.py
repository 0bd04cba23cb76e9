"""The controller's account behind the fence of deploy/install.yaml on a real API server, and what it tries there.

RBAC alone would refuse much of what these tests try, and nobody would see whether the fence holds. So the account is
given a broad ClusterRole beside its shipped one: here it is the fence, and nothing else, that stands in the way.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane.client import Cluster
from tests.support.controller_rights import ACCOUNT, Installed, installed

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
MANAGED = {"app.kubernetes.io/managed-by": "habitat-webhook", "habitat.sh/ring": "default"}

_RBAC = "rbac.authorization.k8s.io"
# More than the shipped roles have: every verb on what the fence guards.
_BROAD = [
    {
        "apiGroups": [""],
        "resources": [
            *("pods", "pods/status", "pods/ephemeralcontainers", "pods/resize", "pods/binding", "pods/eviction"),
            *("pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "bindings"),
            *("services", "services/status", "services/proxy", "secrets"),
        ],
        "verbs": ["*"],
    },
    {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        "verbs": ["*"],
    },
]


@dataclass(frozen=True, slots=True)
class Fenced:
    """The controller behind the fence, and two accounts beside it with the same broad role."""

    rights: Installed
    token: str = field(repr=False)
    other: str = field(repr=False)  # the token of another account of the same namespace
    namesake: str = field(repr=False)  # the token of an account of the same name in another namespace

    @property
    def cluster(self) -> Cluster:
        return self.rights.cluster

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", *, token: str | None = None
    ) -> tuple[int, str]:
        """One request as the controller (or by another token): status, and the message when it is refused."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": kind}
        with contextlib.closing(self.cluster.connect(administrator=False)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        return status, str(json.loads(text)["message"]) if status >= 400 else ""

    def refused(self, *request: Any) -> str:
        """What the fence says to a request of the controller; anything else than its refusal fails the test."""
        status, message = self.ask(*request)
        assert (status, "ValidatingAdmissionPolicy 'habitat-webhook-controller-" in message) == (403, True), message
        return message.partition("denied request: ")[2]

    def read(self, path: str) -> Any:
        """The object as the administrator sees it."""
        status, found = self.cluster.request("GET", path)
        assert status == 200, found
        return found

    def make(self, path: str, body: dict[str, Any]) -> Any:
        """The object as the administrator makes it."""
        status, made = self.cluster.request("POST", path, body)
        assert status == 201, made
        return made

    def make_pod(self, place: str, name: str = "web", **metadata: Any) -> str:
        """A running pod, injected unless its annotations say otherwise; returns its path."""
        annotations = {"habitat.sh/injected": "{}", "habitat.sh/service": "web", "habitat.sh/peers": ""}
        whole = {"name": name, "annotations": annotations, "labels": {"app": "web", "habitat.sh/ring": "default"}}
        spec = {"containers": [{"name": "web", "image": "example/web:1"}]}
        self.make(f"{place}/pods", {"metadata": whole | metadata, "spec": spec})
        path = f"{place}/pods/{name}"
        # A later status would change the resourceVersion that tests compare.
        self.cluster.wait(f"{name} to be ready", lambda: _ready(self.read(path)))
        return path


def _ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


@contextlib.contextmanager
def behind_the_fence(cluster: Cluster) -> Iterator[Fenced]:
    role = f"broad-{uuid.uuid4().hex[:8]}"
    with installed(cluster) as rights, cluster.namespace() as elsewhere:
        cluster.kubectl("create", "serviceaccount", "other", "-n", rights.namespace)
        cluster.kubectl("create", "serviceaccount", ACCOUNT, "-n", elsewhere)
        accounts = [(rights.namespace, ACCOUNT), (rights.namespace, "other"), (elsewhere, ACCOUNT)]
        subjects = [{"kind": "ServiceAccount", "namespace": n, "name": a} for n, a in accounts]
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
        made: list[dict[str, Any]] = [
            {"kind": "ClusterRole", "rules": _BROAD},
            {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": subjects},
        ]
        try:
            for document in made:
                cluster.apply(json.dumps(document | {"apiVersion": f"{_RBAC}/v1", "metadata": {"name": role}}))
            fenced = Fenced(rights, *(cluster.token(*account) for account in accounts))
            everywhere = "/api/v1/namespaces/default/secrets"
            cluster.wait("the broad role", lambda: fenced.ask("GET", everywhere)[0] == 200)
            yield fenced
        finally:
            for document in made:
                cluster.kubectl("delete", document["kind"], role, "--ignore-not-found")


def add(path: str, value: Any) -> list[dict[str, Any]]:
    """A JSON Patch of one operation."""
    return [{"op": "add", "path": path, "value": value}]


def remove(path: str) -> list[dict[str, Any]]:
    return [{"op": "remove", "path": path}]

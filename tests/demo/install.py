"""The installation. In a control plane of our own: deploy/install.yaml, every object of it as it stands, and its two
roles as processes, since no kubelet starts them.

In somebody else's cluster everything has names of its own, what the controller may write is kept to the namespaces of
the demo, and the certificate is one for development: the shipped rights to keep certificates are rights to the webhook
configuration `habitat-webhook`, which the demo must not have there.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controlplane.client import Cluster, WaitError
from tests.controlplane.progress import Progress
from tests.demo import page, story
from tests.demo.commands import judged
from tests.demo.control import Controller, token_kubeconfig
from tests.demo.place import SYSTEM, Place
from tests.demo.server import Webhook, development_certificates
from tests.demo.story import NAMESPACES, SHARED
from tests.demo.terminal import step, waiting_for
from tests.support.controller_rights import (
    ACCOUNT,
    CLUSTER_SCOPED,
    FENCE,
    NAMESPACE,
    RIGHTS,
    SERVE_ACCOUNT,
    SHARED_RINGS,
    Installed,
    applied,
    moved,
    shipped,
)
from tests.support.controller_rights import SERVE as SERVE_RIGHTS
from tests.support.manifests import Document, install, named
from tests.support.mount import mounted
from tests.support.webhook_config import MUTATING, VALIDATING, by_url, registration

SERVE, CONTROLLER = "habitat-webhook", ACCOUNT
"""The Deployments of the two roles."""

_SHARED = f"--shared-rings={SHARED}"
_READING = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Roles:
    """The two processes. wrong: what is not as it should be with the installation, a sentence each."""

    webhook: Webhook
    controller: Controller
    wrong: Sequence[str] = ()


def installed(place: Place, directory: Path, cleanup: contextlib.ExitStack) -> Roles:
    """In force when this returns, with the demo's namespaces; `cleanup` ends and removes it.

    directory: for certificates, a kubeconfig and logs. Raises KubectlError, ProcessError, WaitError.
    """
    place.cluster.apply(story.namespaces())
    return (_as_shipped if place.own else _confined)(place, directory, cleanup)


def _as_shipped(place: Place, directory: Path, cleanup: contextlib.ExitStack) -> Roles:
    cluster = place.cluster
    # What a kubelet does for the pods of `serve`, and as a kubelet with rights of its own: the administrator's.
    mount = cleanup.enter_context(mounted(cluster, NAMESPACE, _mounted_secret(), directory / "certificates"))
    # Before all else, since serve begins with its token; the rest follows when it is known where serve listens.
    own = applied(Installed(cluster, NAMESPACE, shipped(SERVE_RIGHTS), SERVE_ACCOUNT))
    way = token_kubeconfig(own, directory / "webhook.kubeconfig")
    webhook = Webhook(
        directory,
        place.address,
        *_arguments(SERVE),
        _policy(directory),
        _SHARED,
        certificates=mount.directory,
        kubeconfig=way,
    )
    cleanup.callback(webhook.stop)
    with Progress("starting the webhook") as progress:
        webhook.start(progress.tick)
    documents = by_url(webhook.url)
    made = applied(Installed(cluster, NAMESPACE, [*documents, *_for_our_ring(shipped(SHARED_RINGS))]))
    step(f"kubectl apply -f deploy/install.yaml: {len(documents)} objects")
    began = time.monotonic()
    controller = Controller(made, directory, *_arguments(CONTROLLER), _SHARED, f"--tls-names={place.address}")
    cleanup.callback(controller.stop)
    controller.wait_leading()
    step("controller: with the token of its ServiceAccount and no other rights, behind its fence")
    with Progress("waiting for the certificate") as progress:
        webhook.wait_ready(progress.tick)
    _wait_called(cluster)
    seconds = time.monotonic() - began
    step(f"webhook: {webhook.url}, with the certificate that the controller has made")
    page.installation(documents, webhook.url, seconds)
    wrong = judged(cluster, "certs", "status")
    return Roles(webhook, controller, [*wrong, *_unavailable(cluster)])


def _confined(place: Place, directory: Path, cleanup: contextlib.ExitStack) -> Roles:
    cluster, name = place.cluster, "habitat-webhook-demo"
    certificates = development_certificates(directory, place.address)
    cluster.kubectl("create", "namespace", SYSTEM)
    own = _confined_rights(cleanup, cluster, shipped(SERVE_RIGHTS), SERVE_ACCOUNT)
    way = token_kubeconfig(own, directory / "webhook.kubeconfig")
    webhook = Webhook(directory, place.address, _SHARED, certificates=certificates, kubeconfig=way)
    cleanup.callback(webhook.stop)
    with Progress("starting the webhook") as progress:
        webhook.start(progress.tick)
        webhook.wait_ready(progress.tick)
    step(f"webhook: {webhook.url}, with a certificate for development")
    for kind in (MUTATING, VALIDATING):
        cleanup.callback(cluster.kubectl, "delete", kind, name, "--ignore-not-found")
        cluster.apply(json.dumps(registration(webhook.url, webhook.ca, kind=kind, name=name, namespaces=NAMESPACES)))
    _wait_called(cluster)
    step(f"registered: webhook configurations {name}, for pods and for workloads of the demo's namespaces only")
    documents = [*shipped(RIGHTS, FENCE), *_for_our_ring(shipped(SHARED_RINGS))]
    made = _confined_rights(cleanup, cluster, documents, ACCOUNT)
    controller = Controller(made, directory, _SHARED, "--certificates=none")
    cleanup.callback(controller.stop)
    controller.wait_leading()
    step("controller: with the rights of deploy/install.yaml, behind its fence, writing in the demo's namespaces only")
    return Roles(webhook, controller)


def _confined_rights(
    cleanup: contextlib.ExitStack, cluster: Cluster, documents: Sequence[Document], account: str
) -> Installed:
    """In force when this returns, for an account in SYSTEM; `cleanup` removes them."""
    made = Installed(cluster, SYSTEM, confined(moved(documents, SYSTEM, "-demo"), NAMESPACES), account)
    cleanup.callback(_remove, made)
    return applied(made)


def _pod(deployment: str) -> dict[str, Any]:
    spec: dict[str, Any] = named(install(), "Deployment", deployment)["spec"]["template"]["spec"]
    return spec


def _arguments(deployment: str) -> list[str]:
    """As in deploy/install.yaml, without the role."""
    return list(_pod(deployment)["containers"][0]["args"][1:])


def _policy(directory: Path) -> str:
    """The shipped policy in a file of its own, since no kubelet mounts its ConfigMap."""
    file = directory / "policy.yaml"
    file.write_text(named(install(), "ConfigMap", "habitat-webhook-policy")["data"]["policy.yaml"])
    return f"--policy={file}"


def _mounted_secret() -> str:
    return next(str(v["secret"]["secretName"]) for v in _pod(SERVE)["volumes"] if "secret" in v)


def _wait_called(cluster: Cluster) -> None:
    """Until the API server calls the webhook about pods and about workloads, and accepts its certificate."""
    probe, wrong = ((story.SCENES / f"{name}.yaml").read_text() for name in ("probe", "wrong-deployment"))
    create = ("create", "--dry-run=server", "-o", "yaml", "-f", "-")

    def is_called() -> bool:
        about_pods = "habitat.sh/injected" in cluster.run_kubectl(*create, input=probe).stdout
        return about_pods and cluster.run_kubectl(*create, input=wrong).returncode != 0

    waiting_for("the API server to call the webhook", is_called)


def _unavailable(cluster: Cluster) -> list[str]:
    """The Deployments of deploy/install.yaml that do not get all their pods, a sentence each."""

    def missing() -> list[str]:
        found = cluster.get("deployments", "-n", NAMESPACE)["items"]
        return [
            f"Deployment {NAMESPACE}/{d['metadata']['name']} has {d['status'].get('readyReplicas', 0)} Ready pods"
            f" instead of {d['spec']['replicas']}"
            for d in found
            if d["status"].get("readyReplicas", 0) != d["spec"]["replicas"]
        ]

    with contextlib.suppress(WaitError):
        waiting_for("the pods of both Deployments", lambda: not missing())
    return missing()


def _remove(made: Installed) -> None:
    """Everything of it that does not go with a namespace. Raises KubectlError."""
    found = [d for d in made.documents if d["kind"] in CLUSTER_SCOPED]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
    made.cluster.kubectl("delete", "--ignore-not-found", "-f", "-", input=text)


def confined(documents: Sequence[Document], namespaces: Sequence[str]) -> list[Document]:
    """The same rights, but of each ClusterRole only list and watch reach everywhere; its other verbs become a Role in
    each of these namespaces.
    """
    roles = {d["metadata"]["name"]: _split(d) for d in documents if d["kind"] == "ClusterRole"}
    made: list[Document] = []
    for document in documents:
        if document["kind"] == "ClusterRole":
            reading, others = roles[document["metadata"]["name"]]
            made += [document | {"rules": reading}] if reading else []
            made += [_in(name, document | {"kind": "Role", "rules": others}) for name in namespaces if others]
        elif document["kind"] == "ClusterRoleBinding":
            reading, others = roles[document["roleRef"]["name"]]
            binding = document | {"kind": "RoleBinding", "roleRef": document["roleRef"] | {"kind": "Role"}}
            made += [document] if reading else []
            made += [_in(name, binding) for name in namespaces if others]
        else:
            made.append(document)
    return made


def _split(role: Document) -> tuple[list[Document], list[Document]]:
    """Rules with list and watch alone, and rules with the other verbs."""
    pairs = [(rule, [v for v in rule["verbs"] if v in _READING]) for rule in role["rules"]]
    others = [(rule, [v for v in rule["verbs"] if v not in _READING]) for rule in role["rules"]]
    return [r | {"verbs": v} for r, v in pairs if v], [r | {"verbs": v} for r, v in others if v]


def _in(namespace: str, document: Document) -> Document:
    return document | {"metadata": document["metadata"] | {"namespace": namespace}}


def _for_our_ring(documents: Sequence[Document]) -> list[Document]:
    """As the chart does it for rings.shared."""
    names = [SHARED.key_secret_in(SHARED.namespace), SHARED.key_secret_in("any other")]
    return [
        d | {"rules": [r | {"resourceNames": names} for r in d["rules"]]} if d["kind"] == "ClusterRole" else d
        for d in documents
    ]

"""A cluster in which somebody follows the runbook: what is installed there, and what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.controlplane.client import Cluster
from tests.support.webhook_config import registration

NOWHERE = "https://127.0.0.1:1"
"""Nobody listens there: a webhook that is down."""

ANNOTATIONS = {"habitat.sh/service": "web", "habitat.sh/license": "accept-no-persist"}
INSTALLED = """\
apiVersion: v1
kind: Namespace
metadata: {name: habitat-webhook}
---
apiVersion: v1
kind: Secret
metadata: {name: habitat-webhook-tls, namespace: habitat-webhook}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: habitat-webhook-controller, namespace: habitat-webhook}
spec: {holderIdentity: somebody}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {habitat.sh/injection: enabled}}
"""


def install(cluster: Cluster) -> None:
    """The objects that the runbook's commands name; `register` adds the webhook."""
    cluster.apply(INSTALLED)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace=shop", "--timeout=60s")
    for name in ("habitat-webhook", "habitat-webhook-controller"):
        deploy(cluster, name, "habitat-webhook")


def register(cluster: Cluster, url: str = NOWHERE, ca: bytes | None = None, **client: Any) -> None:
    """The shipped configuration with another client; a second is enough for an answer."""
    configuration = registration(url, cluster.ca.read_bytes() if ca is None else ca)
    for webhook in configuration["webhooks"]:
        webhook["timeoutSeconds"] = 1
        webhook["clientConfig"] = client or webhook["clientConfig"]
    cluster.apply(json.dumps(configuration))


def deploy(cluster: Cluster, name: str, namespace: str, annotations: dict[str, str] | None = None) -> None:
    labels = {"app": name, "app.kubernetes.io/component": "admission"}
    template = {
        "metadata": {"labels": labels, "annotations": annotations or {}},
        "spec": {"containers": [{"name": name, "image": "none"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }
    cluster.apply(json.dumps(deployment))


def refusal(cluster: Cluster, **annotations: str) -> str:
    """Why a pod that asks for it would not be created in `shop`; empty when it would be."""
    pod = {
        "metadata": {"name": "probe", "annotations": ANNOTATIONS | annotations},
        "spec": {"containers": [{"name": "web", "image": "none"}]},
    }
    status, answer = cluster.request("POST", "/api/v1/namespaces/shop/pods?dryRun=All", pod)
    return "" if status == 201 else str(answer["message"])


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    """Those of the Deployment `web`."""
    items: list[dict[str, Any]] = cluster.get("pods", "-l", "app=web", "--namespace=shop")["items"]
    return items


def attempted(cluster: Cluster, command: str) -> subprocess.CompletedProcess[str]:
    """A command of a page as it is written, with this cluster's kubectl; standard error with the output."""
    kubectl = cluster.access.kubectl
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{kubectl.parent}:{os.environ['PATH']}",
        "KUBECACHEDIR": str(cluster.access.scratch / "kubectl-cache"),
        "KUBERC": "off",
    }
    out = subprocess.PIPE
    return subprocess.run(["sh", "-c", command], stdout=out, stderr=subprocess.STDOUT, text=True, env=environment)


def shell(cluster: Cluster, command: str) -> str:
    """What it prints; it has to succeed."""
    done = attempted(cluster, command)
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout

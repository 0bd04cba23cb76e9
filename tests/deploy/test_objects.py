"""Every object that the chart renders, on a real API server: taken without a warning, its pods by Pod Security, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.client import Cluster
from tests.deploy.chart import NAMESPACE, cases
from tests.deploy.installed import DEPLOYMENTS
from tests.support.manifests import Document, as_text, install, named, rendered

RENDERED = ["install", *(case.name for case in cases())]
# No API server takes these without the definitions of cert-manager or of the Prometheus operator: they are compared
# with a golden render and with what test_chart.py says of them, and nothing else.
FOREIGN = {"Certificate", "Issuer", "PodMonitor", "ServiceMonitor"}


def documents(name: str) -> list[Document]:
    return install() if name == "install" else rendered(name)


@pytest.mark.parametrize("name", RENDERED)
def test_the_api_server_takes_every_object_without_a_warning(cluster: Cluster, namespace: str, name: str) -> None:
    """Each once: of the other renders those that deploy/install.yaml does not have.

    A dry run does not see the Namespace beside it: the objects are tried in another one, the Namespace by itself.
    """
    tried_already = [] if name == "install" else install()
    tried = [d for d in documents(name) if d["kind"] not in FOREIGN and d not in tried_already]
    assert tried
    for document in tried:
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = namespace
    command = ["create", "--dry-run=server", "--validate=strict", "-f", "-"]
    done = cluster.run_kubectl(*command, input=as_text(tried))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(tried)


@pytest.fixture(scope="module")
def strict(cluster: Cluster) -> Iterator[str]:
    """A namespace with Pod Security `restricted` and the ServiceAccounts of the installation."""
    with cluster.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        for account in DEPLOYMENTS:
            cluster.kubectl("create", "serviceaccount", account, "-n", name)
        yield name


def pods(name: str) -> Iterator[Document]:
    """A pod of each Deployment, as its ReplicaSet makes it."""
    for document in documents(name):
        if document["kind"] == "Deployment":
            template = document["spec"]["template"]
            template["metadata"]["name"] = document["metadata"]["name"]
            template["spec"].pop("priorityClassName", None)  # another matter, and not every one is there
            yield {"apiVersion": "v1", "kind": "Pod"} | template


@pytest.mark.parametrize("name", RENDERED)
def test_pod_security_restricted_takes_the_pods(cluster: Cluster, strict: str, name: str) -> None:
    for pod in pods(name):
        status, answer = cluster.request("POST", f"/api/v1/namespaces/{strict}/pods?dryRun=All", pod)
        if name == "host-network" and pod["metadata"]["name"] == "habitat-webhook":
            # All that it minds is what was asked for; the rendered Namespace is labelled privileged for it.
            assert status == 403
            assert (
                'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true), hostPort'
                in answer["message"]
            )
        else:
            assert status == 201, answer


def test_the_host_network_gets_a_namespace_that_allows_it() -> None:
    labels = named(rendered("host-network"), "Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"
    labels = named(install(), "Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

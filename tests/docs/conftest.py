"""One control plane for this folder: the names of an installation are a cluster's only once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.client import Cluster
from tests.controlplane.cluster import ControlPlane
from tests.docs.shop import install, refusal, register


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with ControlPlane() as own:
        install(own)
        yield own


@pytest.fixture
def down(cluster: Cluster) -> Iterator[Cluster]:
    """The webhook is registered and does not answer; the namespace `shop` asks for it, and is empty."""
    register(cluster)
    cluster.wait("the webhook to be asked", lambda: refusal(cluster))
    yield cluster
    cluster.kubectl("delete", "mutatingwebhookconfiguration/habitat-webhook", "--ignore-not-found")
    cluster.kubectl("delete", "deployments", "--all", "--namespace=shop")
    cluster.kubectl("delete", "pods", "--all", "--namespace=shop", "--wait")
    cluster.kubectl("delete", "events", "--all", "--namespace=shop")
    cluster.kubectl("label", "namespace", "shop", "habitat.sh/injection=enabled", "--overwrite")

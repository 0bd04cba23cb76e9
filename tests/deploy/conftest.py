"""One fence and one namespace for all tests of this folder that leave nothing changed, each worker its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.client import Cluster
from tests.deploy.fenced import Fenced, behind_the_fence


@pytest.fixture(scope="package")
def fenced(cluster: Cluster) -> Iterator[Fenced]:
    with behind_the_fence(cluster) as found:
        yield found


@pytest.fixture
def place(namespace: str) -> str:
    """The API path of a namespace for one test."""
    return f"/api/v1/namespaces/{namespace}"


@pytest.fixture
def pod(fenced: Fenced, place: str) -> str:
    """The API path of an injected pod for one test, alone in its namespace."""
    return fenced.make_pod(place)


@pytest.fixture(scope="package")
def common_place(cluster: Cluster) -> Iterator[str]:
    """The API path of a namespace for tests in which everything is refused or tried with dryRun."""
    with cluster.namespace() as name:
        yield f"/api/v1/namespaces/{name}"


@pytest.fixture(scope="package")
def common_pod(fenced: Fenced, common_place: str) -> str:
    """The API path of an injected pod for such tests."""
    return fenced.make_pod(common_place)

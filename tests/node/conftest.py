"""The two namespaces of a run: `plain`, and `restricted`, which enforces Pod Security `restricted`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.client import Access, Cluster
from tests.node import rows
from tests.node.place import namespace
from tests.node.pods import Pods

OPTION = "--node-access"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, help="the cluster with a kubelet, as `make test-node` writes it")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """`pytest tests` leaves this folder alone: it needs a kubelet, which `make test-node` brings."""
    return None if config.getoption(OPTION, None) else True


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    access = pytestconfig.getoption(OPTION)
    if access is None:
        raise pytest.UsageError("these tests need a kubelet: run them by `make test-node`")
    return Cluster(Access.from_json(access))


@pytest.fixture
def saw(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says in a sentence what a test has seen, also when it passes."""

    def say(sentence: str) -> None:
        with capsys.disabled():
            print(f"\n    {sentence}", flush=True)

    return say


@pytest.fixture(scope="session")
def plain(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster) as name:
        pods = Pods(cluster, name)
        pods.apply(rows.plain(name))
        yield pods


@pytest.fixture(scope="session")
def restricted(cluster: Cluster) -> Iterator[Pods]:
    with namespace(cluster, enforce="restricted") as name:
        pods = Pods(cluster, name)
        pods.apply(rows.restricted(name))
        yield pods

"""The control plane of a test run: started when the first test asks for it, ended with the run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane.shared import SharedRun, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane.client import Cluster

WORKER_INPUT = "controlplane_run"
_shared_run = pytest.StashKey[SharedRun]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_shared_run] = SharedRun()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist calls this in the main process for every worker it starts."""
    node.workerinput[WORKER_INPUT] = str(node.config.stash[_shared_run].path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """`-n` without `--dist`: see tests/support/together.py."""
    if config.getoption("dist") != "load":
        return None
    from tests.support.together import Together

    return Together(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _shared_run in config.stash:
        config.stash[_shared_run].close()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A real Kubernetes cluster, one for all workers of this run: keep to a namespace of your own."""
    config = request.config
    run = Path(config.workerinput[WORKER_INPUT]) if hasattr(config, "workerinput") else config.stash[_shared_run].path
    capture = config.pluginmanager.getplugin("capturemanager")
    # The first build takes minutes: let its progress be seen.
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        return join(run)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, deleted after the test."""
    with cluster.namespace() as name:
        yield name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the goldens with what comes out today")

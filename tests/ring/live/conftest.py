"""One installation for all tests of this folder: a control plane of its own, whose API server may be stopped.

All of it is one group of pytest-xdist, so one worker runs it, one test after the other. Each test has a namespace of its
own and starts the controllers that it needs. test_rights.py comes last: it looks back at all the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.build import ensure_binaries
from tests.ring.live.installation import Installation, installed
from tests.support.controller import ControllerProcess

FOLDER = Path(__file__).parent
LAST = FOLDER / "test_rights.py"
GROUP = "rings"
_left_out = pytest.StashKey[int]()


# First, since pytest-xdist reads the marks in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(GROUP))
    items.sort(key=lambda item: item.path == LAST)


def pytest_deselected(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.config.stash[_left_out] = item.config.stash.get(_left_out, 0) + 1


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> None:
    """Skips a test that says something about all the others unless all of them run."""
    files = {item.path for item in request.session.items}
    named = any("::" in argument for argument in request.config.args)
    if named or request.config.stash.get(_left_out, 0) or not set(FOLDER.glob("test_*.py")) <= files:
        pytest.skip("only some tests of this folder run: pytest tests/ring/live runs all")


@pytest.fixture(scope="package")
def rings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    # The first build takes minutes: let its progress be seen.
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        ensure_binaries()
    with installed(tmp_path_factory.mktemp("rings")) as made:
        yield made


@pytest.fixture
def namespace(rings: Installation) -> Iterator[str]:
    """A fresh namespace in which pods are injected; deleted after the test."""
    with rings.namespace() as name:
        yield name


@pytest.fixture
def controller(rings: Installation) -> Iterator[ControllerProcess]:
    """A controller that leads. At the end it has ended as asked, and has nothing to be ashamed of in its log."""
    with rings.controller() as process:
        rings.wait("the controller to lead", lambda: process.leads)
        yield process
        assert process.stop() == 0
        assert quiet(process) == []


def quiet(process: ControllerProcess, *expected: str) -> list[dict[str, object]]:
    """The log's lines of level error, without those that begin with one of these messages."""
    return [
        line for line in process.lines() if line["level"] == "error" and not line["message"].startswith(expected)
    ]  # fmt: skip

"""One installation for all tests of this folder: a control plane of its own, whose API server may be stopped.

One worker runs it all, one test after the other (tests/support/together.py). Each test has a namespace of its own and
starts the controllers that it needs. test_rights.py comes last: it looks back at all the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.build import ensure_binaries
from tests.ring.live.installation import Installation, installed
from tests.support.controller import ControllerProcess
from tests.support.lookback import LookBack

_look_back = LookBack(Path(__file__).parent / "test_rights.py")
pytest_collection_modifyitems, pytest_deselected = _look_back.order, _look_back.deselected


@pytest.fixture
def whole() -> None:
    """Skips a test that says something about all the others unless all of them run."""
    _look_back.whole()


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
    """A controller of the test's own that leads, for tests that do something to it or read all of its metrics."""
    with _leading(rings) as process:
        yield process


@pytest.fixture(scope="module")
def leader(rings: Installation) -> Iterator[ControllerProcess]:
    """A controller for all tests of a file, none of which starts another."""
    with _leading(rings) as process:
        yield process


@contextlib.contextmanager
def _leading(rings: Installation) -> Iterator[ControllerProcess]:
    """At the end it has ended as asked, and has nothing to be ashamed of in its log."""
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

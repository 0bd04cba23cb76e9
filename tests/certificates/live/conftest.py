"""One installation for all tests of this folder; test_afterwards.py comes last and looks back at all the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates.live.installation import Installation, installed
from tests.controlplane.build import ensure_binaries
from tests.support.controller import ControllerProcess
from tests.support.lookback import LookBack

_look_back = LookBack(Path(__file__).parent / "test_afterwards.py")
pytest_collection_modifyitems, pytest_deselected = _look_back.order, _look_back.deselected


@pytest.fixture
def whole() -> None:
    """Skips a test that says something about all the others unless all of them run."""
    _look_back.whole()


@pytest.fixture(scope="package")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    # The first build takes minutes: let its progress be seen.
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        ensure_binaries()
    with installed(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture(scope="module")
def leader(place: Installation) -> Iterator[ControllerProcess]:
    """A controller that leads, and everything as it should be."""
    with place.controller() as process:
        place.wait("the controller to lead", lambda: process.leads)
        place.settled()
        yield process
        assert process.stop() == 0

"""One installation for all tests of this folder; test_afterwards.py comes last and looks back at all the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.certificates.live.installation import Installation, installed
from tests.controlplane.build import ensure_binaries
from tests.support.controller import ControllerProcess

FOLDER = Path(__file__).parent
LAST = FOLDER / "test_afterwards.py"
_in_part = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = [n for n, item in enumerate(items) if FOLDER in item.path.parents]
    ordered = sorted((items[n] for n in places), key=lambda item: item.path == LAST)
    for n, item in zip(places, ordered, strict=True):
        items[n] = item
    missing = {item.path for item in ordered} != set(FOLDER.glob("test_*.py"))
    chosen = any("::" in argument for argument in config.args)
    config.stash[_in_part] = config.stash.get(_in_part, False) or missing or chosen


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.config.stash[_in_part] = True


@pytest.fixture
def whole(pytestconfig: pytest.Config) -> None:
    """Skips a test that says something about all the others unless all of them run."""
    if pytestconfig.stash[_in_part]:
        pytest.skip("needs all tests of this folder")


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

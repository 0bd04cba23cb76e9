"""The image, made of this machine's Python by the Dockerfile's own steps."""

from __future__ import annotations

import pytest

from tests.image import base, dockerfile, jail
from tests.image.build import DOCKERFILE, Image, build, store


@pytest.fixture(scope="session")
def image() -> Image:
    if reason := jail.obstacle():
        pytest.skip(f"the Dockerfile's steps cannot be carried out here: {reason}")
    machine = base.this_machine(store())
    bases = {"${BUILD}": machine, "${BASE}": machine}
    return build(dockerfile.read(DOCKERFILE), bases, VERSION="0.0.0-test", REVISION="abc")

"""The project's own image: the Dockerfile's steps on a Debian, as an archive that a node loads."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.image import base, dockerfile, jail
from tests.image.build import DOCKERFILE, Image, store
from tests.image.build import build as build_image

SHELLS = ("usr/bin/sh", "usr/bin/dash", "usr/bin/bash")


def obstacle() -> str | None:
    """Why the image cannot be made here, None when it can."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        return "the project's own image is made on a Debian from debootstrap, as root: apt-get install debootstrap"
    reason = jail.obstacle()
    return reason and f"the Dockerfile's steps cannot be carried out here: {reason}"


@functools.cache
def made() -> Image:
    """The image's layers, kept from run to run."""
    bases = {"${BUILD}": base.debian(store(), "gcc", "libc6-dev", "python3-dev"), "${BASE}": base.debian(store())}
    return build_image(dockerfile.read(DOCKERFILE), bases)


def name() -> str:
    """Another content, another tag: a cluster never runs an older image unnoticed."""
    return f"localhost/habitat-webhook:{made().key}"


def build(archive: Path, mkimage: Path) -> None:
    """Write the image as an archive that docker, kind, minikube and ctr load. It has no shell: nothing needs one."""
    image = made()
    settings = {
        "--out": [str(archive)],
        "--entrypoint": image.entrypoint,
        "--cmd": image.command,
        "--env": [f"{key}={value}" for key, value in image.environment.items()],
        "--label": [f"{key}={value}" for key, value in image.labels.items()],
        "--user": [image.user],
        "--workdir": [image.workdir],
        "--exclude": SHELLS,
    }
    options = [word for flag, words in settings.items() for word in (flag, *words)]
    with tempfile.TemporaryDirectory(prefix="habitat-node-") as scratch:
        command = [sys.executable, str(mkimage), f"{scratch}/root", name(), *options]
        whole = image.jail().outside(Path(scratch), *command)
        subprocess.run(whole, check=True, stdout=subprocess.DEVNULL)

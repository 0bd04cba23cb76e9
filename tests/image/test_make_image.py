"""`make image`: which builder it takes, what it asks of it, and what it says where there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.image.build import PROJECT

NEEDED = ("sh", "dirname", "sed", "git")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with what the script itself needs, and no builder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        for place in os.environ["PATH"].split(":"):
            if (program := Path(place, name)).is_file() and not (folder / name).exists():
                (folder / name).symlink_to(program)
    return folder


def builder(programs: Path, name: str, *, works: bool = True) -> None:
    """A program that can say whether it works, and that prints what it was asked to build."""
    script = f'#!/bin/sh\n[ "$1" = info ] && exit {0 if works else 1}\necho "{name}:$(printf " <%s>" "$@")"\n'
    (programs / name).write_text(script)
    (programs / name).chmod(0o755)


def make_image(programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [PROJECT / ".ci" / "image"]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": str(programs), **variables})


def test_where_nothing_builds_it_says_so_and_what_to_do(programs: Path) -> None:
    done = make_image(programs)
    assert (done.returncode, done.stdout) == (1, "")
    assert "none of docker, podman, buildah can build here" in done.stderr
    assert "install one of" in done.stderr


def test_a_builder_without_its_daemon_is_named(programs: Path) -> None:
    builder(programs, "docker", works=False)
    done = make_image(programs)
    assert done.returncode == 1
    assert "docker is there, but 'docker info' fails" in done.stderr
    assert "install one of" not in done.stderr


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_whichever_is_there_builds(programs: Path, name: str) -> None:
    builder(programs, name)
    done = make_image(programs)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"{name}: <build> <--tag> <habitat-webhook:0.")
    assert "<--build-arg> <VERSION=0." in last
    assert last.endswith(" <.>")


def test_the_first_that_works_is_taken(programs: Path) -> None:
    builder(programs, "docker", works=False)
    builder(programs, "buildah")
    builder(programs, "podman")
    assert make_image(programs).stdout.splitlines()[-1].startswith("podman:")


def test_builder_tag_and_base_can_be_named(programs: Path) -> None:
    builder(programs, "docker")
    builder(programs, "buildah")
    done = make_image(programs, BUILDER="buildah", TAG="shop/webhook:1", BASE="python@sha256:00")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("buildah: <build> <--tag> <shop/webhook:1>")
    assert "<--build-arg> <BASE=python@sha256:00>" in last

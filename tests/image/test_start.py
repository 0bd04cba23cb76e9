"""The image's commands as a pod runs them: its user, no capabilities, a root that is read-only, and no shell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.base import MOUNT
from tests.image.build import Image
from tests.image.jail import NOBODY, Bind
from tests.support.reviews import encoded, review
from tests.support.server import WebhookServer
from tests.support.tls import Files
from webhook import __version__

NO_SHELL = ("/bin/sh",)


def started(image: Image, *arguments: str) -> str:
    done = image.jail(hidden=NO_SHELL).run(*image.entrypoint, *arguments, unprivileged=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_says_its_version(image: Image) -> None:
    assert started(image, "version") == f"habitat-webhook {__version__}\n"


@pytest.mark.parametrize(("role", "option"), [("serve", "--tls-cert"), ("controller", "--lease")])
def test_both_roles_are_in_it(image: Image, role: str, option: str) -> None:
    assert option in started(image, role, "--help")


def test_its_own_command_is_serve(image: Image) -> None:
    assert started(image, *image.command, "--help") == started(image, "serve", "--help")


def test_the_controllers_imports_are_all_there(image: Image) -> None:
    """It gets as far as to look for a cluster: whatever was taken out of the packages is not missed."""
    done = image.jail(hidden=NO_SHELL).run(*image.entrypoint, "controller", unprivileged=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "kubeconfig" in done.stderr


def test_its_user_is_nobody_and_cannot_write_its_files(image: Image) -> None:
    probe = (
        "import os, pathlib\n"
        "print(os.getuid())\n"
        "for place in ('/app/x', '/app/lib/x', '/tmp/x', '/x'):\n"
        "    try: pathlib.Path(place).touch()\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    done = image.jail().run("python3", "-c", probe, unprivileged=True)
    user = NOBODY if os.geteuid() == 0 else 0
    assert done.stdout.splitlines() == [str(user), *["Read-only file system"] * 4], done.stderr


@pytest.fixture
def server(image: Image, tmp_path: Path) -> Iterator[WebhookServer]:
    """`serve` with a certificate that is mounted as the kubelet mounts a Secret: its group may read it."""
    tls = tmp_path / "tls"
    tls.mkdir()
    files = Files(tls)
    files.issue()
    if os.geteuid() == 0:
        os.chown(files.key, 0, NOBODY)
    files.key.chmod(0o440)
    program = image.jail(Bind(tls, MOUNT), hidden=NO_SHELL).command(
        tmp_path, *image.entrypoint, *image.command, unprivileged=True
    )
    where = ("--tls-cert", f"{MOUNT}/{files.certificate.name}", "--tls-key", f"{MOUNT}/{files.key.name}")
    server = WebhookServer(tmp_path, *where, files=files, program=program)
    try:
        yield server
    finally:
        server.stop()


def test_serve_is_ready_and_answers_with_a_read_only_root(server: WebhookServer) -> None:
    assert server.get("/readyz")[0] == 200, server.lines()
    status, answer = server.post(encoded(review()))
    assert (status, answer["response"]["allowed"], "patch" in answer["response"]) == (200, True, True)
    assert server.stop() == 0

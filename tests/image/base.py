"""What the Dockerfile's stages begin with, in the place of the base image: this machine's Python, or a Debian."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.cache import content_key
from tests.controlplane.processes import run_leashed
from tests.controlplane.progress import Progress
from tests.image.jail import Bind

PLACES = ("/tmp", "/proc", "/dev", "/root", "/mnt")
MOUNT = "/mnt"
"""A folder for whatever a test wants to show to a command, there also when the root is read-only."""

DEBIAN_SECONDS = 10 * 60.0
"""A minute where Debian's archive is near; where it cannot be reached, debootstrap asks for hours."""

_SYSTEM = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_NETWORK = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_", "REQUESTS_CA_BUNDLE")


class BaseError(RuntimeError):
    """There is nothing to begin with; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Base:
    """root: its files, never written to. key: another one, other layers. path: its PATH.

    binds: what of it lies elsewhere on this machine.
    """

    root: Path
    key: str
    path: str
    binds: tuple[Bind, ...] = ()


def this_machine(store: Path) -> Base:
    """The system's folders and the Python that runs here, read-only; nothing else of this machine is to be seen."""
    python = Path(sys.base_prefix)
    key = content_key([sys.version, str(python), platform.platform()], [])
    root = store / f"machine-{key}"
    binds = [Bind(Path(f"/{name}"), f"/{name}") for name in ("usr", "etc")]
    for place in PLACES:
        (root / place[1:]).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in _SYSTEM:
        folder, here = Path("/") / name, root / name
        if folder.is_symlink():
            with contextlib.suppress(FileExistsError):
                here.symlink_to(folder.readlink())
        elif folder.is_dir():
            binds.append(Bind(folder, f"/{name}"))
    if not python.is_relative_to("/usr"):
        binds.append(Bind(python, str(python)))
    for bind in binds:
        (root / bind.target[1:]).mkdir(parents=True, exist_ok=True)
    return Base(root, key, f"{python}/bin:/usr/local/bin:/usr/bin:/bin", tuple(binds))


def network() -> dict[str, str]:
    """The variables by which pip finds its index on this machine."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(_NETWORK)}


def network_files(base: Base) -> Iterator[Bind]:
    """The files that a RUN step needs to reach the index, as far as the base does not have them already."""
    named = [Path(word) for value in network().values() for word in value.split() if word.startswith("/")]
    there = [Path(bind.target) for bind in base.binds]
    for path in sorted({Path("/etc/resolv.conf"), Path("/etc/hosts"), Path("/etc/pip.conf"), *named}):
        if path.exists() and not any(path.is_relative_to(known) for known in there):
            there.append(path)
            yield Bind(path, str(path))
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pip"
    if configured.is_dir():
        yield Bind(configured, "/root/.config/pip")


class _Patience(Progress):
    """Ends what it shows by BaseError when that takes too long."""

    def tick(self) -> None:
        super().tick()
        if self.seconds > DEBIAN_SECONDS:
            raise BaseError(
                f"debootstrap was not done after {DEBIAN_SECONDS / 60:g} minutes: can Debian's archive be reached?"
            )


def debian(store: Path, *packages: str) -> Base:
    """A minimal Debian whose Python is the one that the lock files were compiled for; made once, by debootstrap.

    packages: what it has beside Python.
    Needs root. Raises BaseError when debootstrap is not there, fails, or is not done in time.
    """
    program = shutil.which("debootstrap")
    if program is None:
        raise BaseError("debootstrap is not there: apt-get install debootstrap")
    arguments = ("--variant=minbase", f"--include={','.join(('python3', 'python3-venv', *packages))}", "bookworm")
    key = content_key(arguments, [])
    root = store / f"debian-{key}"
    if not root.is_dir():
        with (
            tempfile.TemporaryDirectory(prefix="new-", dir=store) as scratch,
            _Patience("making a Debian for the image") as progress,
        ):
            made = Path(scratch) / "root"
            code, output = run_leashed([program, *arguments, str(made)], progress=progress)
            if code:
                raise BaseError(f"debootstrap {' '.join(arguments)} ended with exit code {code}:\n{output}")
            for leftover in ("var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(made / leftover)
            made.rename(root)
    return Base(root, key, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")

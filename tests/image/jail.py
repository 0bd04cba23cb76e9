"""Commands with another root: layers on top of each other (overlayfs), in a mount namespace that ends with the command.

Needs root or user namespaces, and util-linux; `obstacle` says what is missing. Nothing outside the layers can change:
folders of this machine are bound read-only, but for caches that a command is given.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NOBODY = 65532
"""The user and group that the image names: no account of this machine."""

_UNPRIVILEGED = ("--map-root-user",)


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of this machine that the command sees at `target`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Jail:
    """layers: lowest first; at least two where there is no `upper`.

    upper: the empty folder that takes what is written; None for a read-only root, whose /dev/shm alone is writable, as
    a container's is. hidden: files that appear empty.
    """

    layers: Sequence[Path]
    upper: Path | None = None
    binds: Sequence[Bind] = ()
    hidden: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def run(self, *command: str, unprivileged: bool = False) -> subprocess.CompletedProcess[str]:
        """Exit code and output of a command in there; its mounts are gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="habitat-image-") as scratch:
            whole = self.command(Path(scratch), *command, unprivileged=unprivileged)
            return subprocess.run(whole, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def command(self, scratch: Path, *command: str, unprivileged: bool = False) -> list[str]:
        """What to execute so that `command` runs in there; further words are appended to it.

        scratch: a folder for the time it runs.
        unprivileged: as the image's user, without capabilities and without a way to get any. Where we are not root
        there is only one user, and it is that.
        """
        root = scratch / "root"
        inside = ["chroot", str(root), "env", "-i", f"--chdir={self.workdir}"]
        inside += [f"{name}={value}" for name, value in self.environment.items()]
        if unprivileged and os.geteuid() == 0:
            # The kernel drops the death signal of a leashed process when its user changes.
            inside += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
            inside += ["--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL"]
        return [*_namespace(), self._script(root, inside), "sh", *command]

    def outside(self, scratch: Path, *command: str) -> list[str]:
        """The same for a command of this machine, which sees the layers in the folder `scratch`/root."""
        return [*_namespace(), self._script(scratch / "root"), "sh", *command]

    def _script(self, root: Path, inside: Sequence[str] = ()) -> str:
        """Shell: mount everything, then become `inside` with the script's own arguments."""
        options = f"lowerdir={':'.join(str(layer) for layer in reversed(self.layers))}"
        folders = [root]
        if self.upper is not None:
            folders.append(self.upper.with_name(self.upper.name + ".work"))  # beside it: one file system for both
            options += f",upperdir={self.upper},workdir={folders[-1]}"
        if os.geteuid() != 0:
            options += ",userxattr"
        lines = [["mkdir", "-p", *map(str, folders)], ["mount", "-t", "overlay", "overlay", "-o", options, str(root)]]
        if inside:
            lines += [line for bind in (*self.binds, *_machine()) for line in _bound(root, bind)]
            lines.append(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/dev/shm"])
            lines += [["mount", "--bind", "/dev/null", f"{root}{path}"] for path in self.hidden]
        return "\n".join(["set -eu", *map(shlex.join, lines), f'exec {shlex.join(inside)} "$@"'])


@functools.cache
def obstacle() -> str | None:
    """Why nothing can be run so on this machine; None when it can."""
    for program in ("unshare", "mount", "chroot", "setpriv"):
        if shutil.which(program) is None:
            return f"there is no {program} (util-linux, coreutils)"
    with tempfile.TemporaryDirectory(prefix="habitat-image-") as scratch:
        folders = [Path(scratch) / name for name in ("low", "lower", "upper")]
        for folder in folders:
            folder.mkdir()
        trial = Jail(folders[:2], upper=folders[2]).outside(Path(scratch), "true")
        done = subprocess.run(trial, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return f"neither root nor a user namespace may mount an overlay here: {done.stderr.strip()}"


def _namespace() -> list[str]:
    unprivileged = () if os.geteuid() == 0 else _UNPRIVILEGED
    return ["unshare", "--mount", "--propagation=private", *unprivileged, "sh", "-c"]


def _machine() -> tuple[Bind, ...]:
    return Bind(Path("/proc"), "/proc", writable=True), Bind(Path("/dev"), "/dev", writable=True)


def _bound(root: Path, bind: Bind) -> list[list[str]]:
    target = f"{root}{bind.target}"
    make = ["mkdir", "-p", target] if bind.source.is_dir() else ["touch", target]
    lines = [["mkdir", "-p", str(Path(target).parent)], make, ["mount", "--rbind", str(bind.source), target]]
    return lines if bind.writable else [*lines, ["mount", "-o", "remount,bind,ro", target]]

"""Builds the programs of the control plane from their Go modules, once per user, version, flags and platform."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.controlplane.cache import cache_root, content_key
from tests.controlplane.locks import exclusive
from tests.controlplane.processes import run_leashed
from tests.controlplane.progress import Progress
from tests.controlplane.toolchain import Toolchain, find_toolchain, required_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

MODULES = Path(__file__).parent / "modules"
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"


class BuildError(RuntimeError):
    """A Go program could not be built; the message holds the end of the compiler's output."""


@dataclass(frozen=True, slots=True)
class Program:
    """tags: build tags, "" for none."""

    name: str
    module: str
    package: str
    tags: str = ""


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
)
# Not of the control plane, and built only for what needs it.
HELM = Program("helm", "helm", "helm.sh/helm/v4/cmd/helm")
# Without the clients of every cloud, by which a Prometheus finds what to scrape: they take most of the time to build.
PROMTOOL = Program("promtool", "promtool", "github.com/prometheus/prometheus/cmd/promtool", tags="remove_all_sd")
# What envtest ships in a KUBEBUILDER_ASSETS folder; the others are taken from there too when they are present.
ASSETS = frozenset({"etcd", "kube-apiserver", "kubectl"})


def kubernetes_version() -> str:
    """The version that modules/kubernetes builds, such as `v1.37.0`."""
    go_mod = (MODULES / "kubernetes" / "go.mod").read_text()
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise BuildError("tests/controlplane/modules/kubernetes/go.mod does not require k8s.io/kubernetes")
    return found[1]


def ensure_binaries(*, stream: TextIO | None = None) -> dict[str, Path]:
    """The path of every program of the control plane by name; builds those that are missing.

    Programs of the folder KUBEBUILDER_ASSETS are preferred, whatever their version. Progress goes to `stream` (standard
    error when None). Raises BuildError, ToolchainError.
    """
    found = _from_assets(os.environ.get(ASSETS_VARIABLE, ""))
    missing = [program for program in PROGRAMS if program.name not in found]
    for position, program in enumerate(missing, start=1):
        label = f"building {program.name} ({position} of {len(missing)})"
        found[program.name] = _build_program(program, label=label, stream=stream)
    return found


def ensure_helm(*, stream: TextIO | None = None) -> Path:
    """The program `helm`, built when it is missing; see ensure_binaries. Raises BuildError, ToolchainError."""
    return _build_program(HELM, label="building helm", stream=stream)


def ensure_promtool(*, stream: TextIO | None = None) -> Path:
    """The program `promtool`, built when it is missing; see ensure_binaries. Raises BuildError, ToolchainError."""
    return _build_program(PROMTOOL, label="building promtool", stream=stream)


def build_go(module: Path, output_name: str, *, package: str = ".", stream: TextIO | None = None) -> Path:
    """Builds a Go program of this repository; `module` is the folder of its go.mod.

    Built again whenever a source file of the module, go.mod or go.sum has changed. Raises BuildError, ToolchainError.
    """
    if not (module / "go.mod").is_file():
        raise BuildError(f"{module} has no go.mod; make one there with `go mod init`")
    sources = sorted(path for path in module.rglob("*") if path.suffix in {".go", ".s", ".mod", ".sum"})
    names = [str(path.relative_to(module)) for path in sources]
    flags = _linker_flags("")
    key = content_key([package, *flags, *_platform(), *names], sources)
    return _build_once(
        cache_root() / f"{output_name}-{key}" / "bin" / output_name,
        package,
        directory=module,
        linker_flags=flags,
        label=f"building {output_name}",
        stream=stream,
    )


def _from_assets(folder: str) -> dict[str, Path]:
    """The programs of a KUBEBUILDER_ASSETS folder ("" for none)."""
    if not folder:
        return {}
    candidates = {program.name: Path(folder).absolute() / program.name for program in PROGRAMS}
    found = {name: path for name, path in candidates.items() if os.access(path, os.X_OK) and path.is_file()}
    if not found:
        raise BuildError(
            f"{ASSETS_VARIABLE}={folder} holds none of {', '.join(sorted(ASSETS))}; point it at a folder with these "
            f"programs, or unset it to have them built"
        )
    return found


def _linker_flags(module: str) -> tuple[str, ...]:
    stripped = ("-s", "-w")
    if module != "kubernetes":
        return stripped
    # Without the stamp the API server calls itself v0.0.0, and clients refuse or misread it.
    return (*stripped, "-X", f"k8s.io/component-base/version.gitVersion={kubernetes_version()}")


def _build_program(program: Program, *, label: str, stream: TextIO | None) -> Path:
    directory = MODULES / program.module
    flags = _linker_flags(program.module)
    tags = (program.tags,) if program.tags else ()
    key = content_key([*flags, *tags, *_platform()], [directory / "go.mod", directory / "go.sum"])
    return _build_once(
        cache_root() / f"{program.module}-{key}" / "bin" / program.name,
        program.package,
        directory=directory,
        linker_flags=flags,
        tags=program.tags,
        label=label,
        stream=stream,
    )


def _platform() -> tuple[str, str]:
    return platform.system(), platform.machine()


def _build_once(
    target: Path,
    package: str,
    *,
    directory: Path,
    linker_flags: Sequence[str],
    label: str,
    stream: TextIO | None,
    tags: str = "",
) -> Path:
    """Builds `package` into `target` unless it is there; safe when several processes do the same at once."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.parent.parent / "lock", Progress(f"waiting for another run that is {label}", stream)):
        if target.exists():
            return target
        toolchain = find_toolchain(required_version(directory / "go.mod"), stream=stream)
        unfinished = target.with_name(f".{target.name}.part")
        with Progress(label, stream) as progress:
            command = _command(toolchain, package, unfinished, linker_flags, tags)
            _compile(command, directory, toolchain.environment(), progress)
        unfinished.replace(target)
    return target


def _command(toolchain: Toolchain, package: str, output: Path, linker_flags: Sequence[str], tags: str) -> list[str]:
    flags = ["-trimpath", f"-ldflags={' '.join(linker_flags)}", f"-tags={tags}"]
    return [str(toolchain.go), "build", *flags, "-o", str(output), package]


def _compile(command: list[str], directory: Path, environment: Mapping[str, str], progress: Progress) -> None:
    code, output = run_leashed(command, progress=progress, cwd=directory, environment=environment)
    if code != 0:
        raise BuildError(
            f"{progress.label} failed in {directory} with exit code {code}:\n{output}\n"
            f"The command was: {' '.join(command)}\n"
            f"Modules come through GOPROXY; the first build needs about 6 GB of disk below `go env GOCACHE GOMODCACHE`"
        )

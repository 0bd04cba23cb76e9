"""Carries a Dockerfile out, step by step: each COPY and RUN makes a layer, which is kept and used again.

A layer's key holds everything that it depends on, as in any builder, so an unchanged step costs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tests.controlplane.cache import KEY_DIGITS, cache_root
from tests.controlplane.locks import exclusive
from tests.controlplane.progress import Progress
from tests.image import context
from tests.image.base import Base, network, network_files
from tests.image.dockerfile import Dockerfile, Instruction, substituted
from tests.image.jail import Bind, Jail

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = PROJECT / "Dockerfile"
UNUSED_SECONDS = 7 * 24 * 3600.0


class StepError(RuntimeError):
    """A step of the Dockerfile failed, or is none that can be carried out here; the message names its line."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a stage has come to. layers: lowest first, the base's root among them."""

    base: Base
    key: str
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    workdir: str = "/"
    user: str = "0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def added(self) -> tuple[Path, ...]:
        """The layers without the base's own."""
        return self.layers[1:]

    def jail(self, *binds: Bind, hidden: tuple[str, ...] = ()) -> Jail:
        """A container of it: its environment, its folder, and a read-only root."""
        return Jail(
            self.layers,
            binds=(*self.base.binds, *binds),
            hidden=hidden,
            environment=self.environment,
            workdir=self.workdir,
        )


def store() -> Path:
    """Where layers are kept, outside the checkout; may be deleted at any time."""
    folder = cache_root().with_name("image")
    folder.mkdir(exist_ok=True)
    return folder


def build(dockerfile: Dockerfile, bases: Mapping[str, Base], *, directory: Path = PROJECT, **arguments: str) -> Image:
    """The last stage.

    bases: what each FROM begins with, by its text. arguments: as --build-arg. Raises StepError, and ValueError where
    the Dockerfile is wrong.
    """
    with exclusive(store() / "lock", Progress("waiting for another build of the image")):
        stages: dict[str, Image] = {}
        for position, stage in enumerate(dockerfile.stages):
            base = bases[stage.base]
            image = Image(base, base.key, (base.root,), {"PATH": base.path})
            carrying = _Carrying(image, directory, stages, arguments)
            for instruction in stage.instructions:
                carrying.out(instruction)
            stages[stage.name or str(position)] = stages[str(position)] = carrying.image
        _sweep({layer for image in stages.values() for layer in image.layers})
        return carrying.image


class _Carrying:
    """One stage, instruction by instruction."""

    def __init__(
        self, image: Image, directory: Path, stages: Mapping[str, Image], arguments: Mapping[str, str]
    ) -> None:
        self.image = image
        self._directory = directory
        self._stages = stages
        self._given = arguments
        self._arguments: dict[str, str] = {}
        self._folders: list[str] = []

    def out(self, instruction: Instruction) -> None:
        how: dict[str, Callable[[Instruction], None]] = {
            "ARG": self._arg,
            "CMD": self._cmd,
            "COPY": self._copy,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "LABEL": self._label,
            "RUN": self._run,
            "USER": self._user,
            "WORKDIR": self._workdir,
        }
        if instruction.name not in how:
            raise StepError(f"line {instruction.line}: {instruction.name} is not known to {Path(__file__).name}")
        how[instruction.name](instruction)

    @property
    def _variables(self) -> dict[str, str]:
        return {**self._arguments, **self.image.environment}

    def _arg(self, instruction: Instruction) -> None:
        for name, default in instruction.pairs(self._variables).items():
            self._arguments[name] = self._given.get(name, default)

    def _env(self, instruction: Instruction) -> None:
        self.image = replace(self.image, environment={**self.image.environment, **instruction.pairs(self._variables)})

    def _label(self, instruction: Instruction) -> None:
        self.image = replace(self.image, labels={**self.image.labels, **instruction.pairs(self._variables)})

    def _user(self, instruction: Instruction) -> None:
        self.image = replace(self.image, user=substituted(instruction.text, self._variables).strip())

    def _workdir(self, instruction: Instruction) -> None:
        text = substituted(instruction.text, self._variables).strip()
        self.image = replace(self.image, workdir=str(PurePosixPath(self.image.workdir) / text))

    def _entrypoint(self, instruction: Instruction) -> None:
        self.image = replace(self.image, entrypoint=_exec_form(instruction), command=())

    def _cmd(self, instruction: Instruction) -> None:
        self.image = replace(self.image, command=_exec_form(instruction))

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.words(self._variables)
        place = PurePosixPath(self.image.workdir) / target
        stage = instruction.flag("from")
        if stage is not None:
            source = self._stages[stage]
            with self._layer(instruction, source.key) as upper:
                if upper is not None:
                    self._copy_between(instruction, source, sources, upper, place)
            return
        copies = self._copies(instruction, sources)
        digest = hashlib.sha256()
        for file, name in copies:
            content = file.read_bytes()
            digest.update(f"{name} {os.access(file, os.X_OK)} {len(content)}\n".encode() + content)
        with self._layer(instruction, digest.hexdigest()) as upper:
            if upper is None:
                return
            for file, name in copies:
                copy = upper / str(place / name)[1:]
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)

    def _copies(self, instruction: Instruction, sources: list[str]) -> list[tuple[Path, PurePosixPath]]:
        """Each file of the context that is copied, and its name below the target: of a folder, what is in it."""
        found: list[tuple[Path, PurePosixPath]] = []
        for source in map(PurePosixPath, sources):
            below = [path for path in context.files(self._directory) if path.is_relative_to(source)]
            if not below:
                raise StepError(f"line {instruction.line}: {source} is not in the context; see .dockerignore")
            names = [path.relative_to(source) if path != source else PurePosixPath(path.name) for path in below]
            found += zip([self._directory / path for path in below], names, strict=True)
        return found

    def _copy_between(
        self, instruction: Instruction, source: Image, sources: list[str], upper: Path, place: PurePosixPath
    ) -> None:
        """A folder of another stage, as its layers show it together."""
        if len(sources) != 1:
            raise StepError(f"line {instruction.line}: COPY --from of several folders is not known here")
        copy = upper / str(place)[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="habitat-image-") as scratch:
            seen = f"{scratch}/root{sources[0]}"
            command = Jail(source.layers).outside(Path(scratch), "cp", "-a", seen, str(copy))
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise StepError(f"line {instruction.line}: {done.stderr}")

    def _run(self, instruction: Instruction) -> None:
        if instruction.exec_form is not None:
            raise StepError(f"line {instruction.line}: RUN in exec form is not known here")
        binds = [*self.image.base.binds, *network_files(self.image.base)]
        for name, value in instruction.flags:
            options = dict(part.partition("=")[::2] for part in value.split(","))
            if name != "mount" or options.get("type") != "cache":
                raise StepError(f"line {instruction.line}: RUN --{name}={value} is not known here")
            binds.append(Bind(_cache(options["target"]), options["target"], writable=True))
        environment = {"HOME": "/root", **network(), **self._variables}
        with self._layer(instruction, repr(sorted(self._variables.items()))) as upper:
            if upper is None:
                return
            jail = Jail(
                self.image.layers, upper=upper, binds=binds, environment=environment, workdir=self.image.workdir
            )
            with Progress(f"{DOCKERFILE.name}, line {instruction.line}") as progress:
                progress.tick()
                done = jail.run("/bin/sh", "-c", instruction.text)
            if done.returncode:
                raise StepError(f"line {instruction.line} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    @contextlib.contextmanager
    def _layer(self, instruction: Instruction, depends_on: str) -> Iterator[Path | None]:
        """An empty folder for a step's files, kept as the next layer; None when that layer is there already."""
        parts = (self.image.key, self.image.workdir, instruction.name, instruction.text, depends_on)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_DIGITS]
        layer = store() / f"layer-{key}"
        if layer.is_dir():
            os.utime(layer)
            yield None
        else:
            with tempfile.TemporaryDirectory(prefix="new-", dir=store()) as scratch:
                upper = Path(scratch) / "upper"
                (upper / self.image.workdir[1:]).mkdir(parents=True)
                yield upper
                upper.rename(layer)
        self.image = replace(self.image, key=key, layers=(*self.image.layers, layer))


def _exec_form(instruction: Instruction) -> tuple[str, ...]:
    words = instruction.exec_form
    if words is None:
        raise StepError(f'line {instruction.line}: {instruction.name} in shell form needs a shell; use ["…"]')
    return tuple(words)


def _cache(target: str) -> Path:
    folder = store() / f"cache{target.replace('/', '-')}"
    folder.mkdir(exist_ok=True)
    return folder


def _sweep(used: set[Path]) -> None:
    """Remove layers that no build has used for a week."""
    for layer in store().glob("layer-*"):
        if layer not in used and time.time() - layer.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(layer)

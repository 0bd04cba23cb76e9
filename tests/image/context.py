"""What a build may copy: the files that .dockerignore leaves (Docker's "dockerignore" reference)."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath


def files(directory: Path) -> list[PurePosixPath]:
    """Every file of the build context, relative to it, sorted."""
    return sorted(_walked(directory))


def _walked(directory: Path) -> Iterator[PurePosixPath]:
    rules = _rules(directory / ".dockerignore")
    # Git's own folder and environments are not walked: they are large, and a rule that let them in shows at their root.
    for root, folders, names in os.walk(directory):
        here = PurePosixPath(Path(root).relative_to(directory))
        folders[:] = [name for name in folders if here.parts or not _left_out(PurePosixPath(name), rules)]
        yield from (here / name for name in names if not _left_out(here / name, rules))


def _rules(path: Path) -> list[tuple[bool, tuple[str, ...]]]:
    """(whether it lets in again, the pattern's parts) of each rule."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    rules = [line for line in lines if line and not line.startswith("#")]
    return [(rule.startswith("!"), tuple(rule.removeprefix("!").strip("/").split("/"))) for rule in rules]


def _left_out(path: PurePosixPath, rules: Sequence[tuple[bool, tuple[str, ...]]]) -> bool:
    """The last rule that matches the path, or a folder above it, decides."""
    out = False
    for lets_in, pattern in rules:
        above = (path.parts[:length] for length in range(1, len(path.parts) + 1))
        if any(_matches(parts, pattern) for parts in above):
            out = not lets_in
    return out


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])

"""What each package adds to the image, and what it would save to do without one of the project's own dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

PROJECT = "habitat-webhook"

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==\S+")
_VIA = re.compile(r"^    # (?:via)?\s*([A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """size: bytes of the package's own files, compiled ones with them. saved: bytes of all that goes without it.

    saved is None for a package that the project does not name itself; 0 where another one needs it anyway.
    """

    name: str
    size: int
    saved: int | None


def rows(site: Path, lock: Path) -> list[Row]:
    """Every package of a site-packages folder, the largest first; `lock` knows who needs it."""
    sizes = {normal(found.name): _size(found) for found in distributions(path=[str(site)])}
    needs = graph(lock)
    own = needs[PROJECT]
    everything = _reached(needs, PROJECT)

    def saved(name: str) -> int | None:
        if name not in own:
            return None
        left = _reached({**needs, PROJECT: own - {name}}, PROJECT)
        return sum(sizes[gone] for gone in everything - left)

    return sorted((Row(name, size, saved(name)) for name, size in sizes.items()), key=lambda row: (-row.size, row.name))


def site_packages(layer: Path) -> Path:
    """The one of the environment that the Dockerfile copies into the image."""
    (found,) = layer.glob("app/lib/python3*/site-packages")
    return found


def text(found: list[Row]) -> str:
    """A table in Markdown, in MB (10^6 bytes), and its total."""
    lines = ["| package | MB | without it, MB less |", "|---|---|---|"]
    for row in found:
        lines.append(f"| {row.name} | {_mb(row.size)} | {'' if row.saved is None else _mb(row.saved)} |")
    total = sum(row.size for row in found)
    return "\n".join([*lines, f"| {len(found)} packages | {_mb(total)} | |"])


def graph(lock: Path) -> dict[str, set[str]]:
    """Package -> the packages that it needs, from the `# via` comments that pip-compile writes."""
    needs: dict[str, set[str]] = {}
    name = ""
    for line in lock.read_text().splitlines():
        if pinned := _PINNED.match(line):
            name = normal(pinned[1])
            needs.setdefault(name, set())
        elif name and (via := _VIA.match(line)) and via[1]:
            needs.setdefault(normal(via[1]), set()).add(name)
    return needs


def _reached(needs: Mapping[str, set[str]], start: str) -> set[str]:
    found, open_ = {start}, [start]
    while open_:
        new = needs.get(open_.pop(), set()) - found
        found |= new
        open_ += new
    return found


def _size(found: Distribution) -> int:
    return sum(path.stat().st_size for path in set(_files(found)) if path.is_file())


def _files(found: Distribution) -> Iterator[Path]:
    for entry in found.files or ():
        path = Path(str(entry.locate()))
        yield path
        if path.suffix == ".py":
            yield Path(cache_from_source(str(path), optimization=""))


def normal(name: str) -> str:
    """As PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"

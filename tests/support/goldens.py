"""What a command once printed, kept in a folder a case: a result that is empty has no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def recorded(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The texts that are kept, by file name."""
    return {name: path.read_text() for name in names if (path := folder / name).exists()}


def update(folder: Path, names: Iterable[str], results: Mapping[str, str]) -> None:
    """Keep these texts instead, and make the folder when it is not there."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        if name in results:
            path.write_text(results[name])
        else:
            path.unlink(missing_ok=True)

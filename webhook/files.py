"""Whether a file is another one than it was, also behind the symlinks of a mounted Secret or ConfigMap."""

from __future__ import annotations

from pathlib import Path

Identity = tuple[int, int, int]


def identity(path: Path) -> Identity:
    """Of the file behind all symlinks: a mounted volume is renewed by turning a symlink. Raises OSError."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size

"""Where built programs and the Go toolchain are kept: outside the checkout, one folder per user."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_DIGITS = 16


def cache_root() -> Path:
    """${XDG_CACHE_HOME:-~/.cache}/habitat-webhook/controlplane, made when missing.

    The XDG base directory specification asks to ignore a relative XDG_CACHE_HOME.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    root = base / "habitat-webhook" / "controlplane"
    root.mkdir(parents=True, exist_ok=True)
    return root


def content_key(settings: Iterable[str], files: Iterable[Path]) -> str:
    """A short digest of settings and of the files' names and contents, in the order given."""
    digest = hashlib.sha256()
    for setting in settings:
        digest.update(f"setting {len(setting)} {setting}\n".encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"file {file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:KEY_DIGITS]

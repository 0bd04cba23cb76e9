"""Text for a terminal: colour where there is one, width as it is, progress for what takes long."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import TypeVar

from tests.controlplane.client import wait_for
from tests.controlplane.progress import Progress

T = TypeVar("T")
WAIT_SECONDS = 120

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_NARROWEST, _WIDEST = 72, 140


def paint(text: str, style: str) -> str:
    """The text in a style, as it is where colour would be noise (no terminal, or NO_COLOR is set)."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{_CODES[style]}m{text}\033[0m"


def width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((110, 40)).columns))


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say()
    say(paint(f"── {text} " + "─" * max(0, width() - len(text) - 4), "bold"))


def step(text: str) -> None:
    say(paint("▸ ", "cyan") + text)


def paragraph(text: str, indent: str = "  ") -> None:
    """Prose, wrapped; words are never broken, so that what is to be copied stays whole."""
    for line in text.splitlines():
        say(_wrapped(line, indent, indent))


def entry(label: str, text: str, style: str = "dim") -> None:
    """`label  prose`, wrapped under the prose."""
    wrapped = _wrapped(text, " " * (len(label) + 3), " " * (len(label) + 3))
    say("  " + paint(label, style) + " " + wrapped.lstrip())


def _wrapped(text: str, first: str, others: str) -> str:
    return textwrap.fill(
        text, width(), initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def quote(text: str, style: str = "red") -> None:
    """What a program said, as it said it, with a bar in front."""
    for line in text.rstrip().splitlines():
        for part in _wrapped(line, "", "").splitlines() or [""]:
            say("  " + paint("│ " + part, style))


def listed(label: str, items: list[str], indent: str) -> None:
    """`label  item · item …`, wrapped between items under the first of them."""
    space = indent + " " * (len(label) + 1)
    line = indent + paint(label, "dim") + " "
    used = len(space)
    for index, item in enumerate(items):
        text = item + ("  " if index < len(items) - 1 else "")
        if used + len(item) > width() and used > len(space):
            say(line.rstrip())
            line, used = space, len(space)
        line += text
        used += len(text)
    say(line.rstrip())


def waiting_for(what: str, attempt: Callable[[], T | None]) -> T:
    """The first true answer; who watches is told when it takes long. Raises WaitError."""
    with Progress(f"waiting for {what}") as progress:

        def ticking() -> T | None:
            progress.tick()
            return attempt()

        return wait_for(what, ticking, seconds=WAIT_SECONDS)

"""The shell commands of a page: the lines that begin with `$ ` in its console blocks."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"

_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_SECTION = re.compile(r"^#+ (?P<title>.+)\n(?P<text>(?:(?!#+ ).*\n)*)", re.MULTILINE)
_BLOCK = re.compile(r"^ *```console\n(?P<lines>.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(?P<command>(?:kubectl|habitat-webhook) [^`]+)`")


def anchors(page: str | Path) -> set[str]:
    """Of its headings, as GitHub makes them: lower case, spaces to hyphens, punctuation dropped. page: in docs/."""
    headings = _HEADING.findall((DOCS / page).read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: str) -> dict[str, list[str]]:
    """Heading -> the commands of its console blocks, in order; headings without any are left out."""
    found = {}
    for section in _SECTION.finditer((DOCS / page).read_text()):
        blocks = "".join(block["lines"] for block in _BLOCK.finditer(section["text"]))
        if lines := [line.removeprefix("$ ") for line in blocks.splitlines() if line.startswith("$ ")]:
            found[section["title"]] = lines
    return found


def inline(page: str) -> list[str]:
    """The commands that stand in the text of a page."""
    return [found["command"] for found in _INLINE.finditer((DOCS / page).read_text())]

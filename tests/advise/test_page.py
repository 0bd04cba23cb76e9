"""docs/at-apply.md: its warnings are those that are declared, its examples what kubectl has printed.

`pytest tests/advise --update` writes both into the page.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.advise.test_kubectl import TEXTS
from webhook.advise.cautions import CAUTIONS
from webhook.advise.review import CODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "at-apply.md"
_BLOCK = re.compile(r"(<!-- (text: [\w ]+|cautions) -->\n).*?(<!-- end -->)", re.DOTALL)


def cautions() -> str:
    """A section for each warning."""
    sections = []
    for caution in CAUTIONS:
        sentence = re.sub(r"\{hint\}", "", caution.sentence)
        sentence = re.sub(r"\{\w+\}", "…", sentence)
        sections.append(f"### {caution.code}\n\n`{sentence}`\n\n{caution.more}\n")
    return "\n".join(["", *sections, ""])


def example(name: str) -> str:
    text = (TEXTS / f"{name.replace(' ', '-')}.txt").read_text().strip()
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```\n{lines}\n```\n"


def current(page: str) -> str:
    """The page with all its blocks as they should be."""

    def block(found: re.Match[str]) -> str:
        what = found[2]
        return found[1] + (cautions() if what == "cautions" else example(what.removeprefix("text: "))) + found[3]

    return _BLOCK.sub(block, page)


def test_the_page_is_current(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text()
    assert len(_BLOCK.findall(page)) == 3
    if request.config.getoption("--update"):
        PAGE.write_text(current(page))
    assert PAGE.read_text() == current(page), "docs/at-apply.md is stale: run pytest tests/advise --update"


def test_every_code_has_a_place_to_read_on() -> None:
    assert {code for code in CODES if f"### {code}\n" not in PAGE.read_text()} == set()

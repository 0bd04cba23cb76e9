"""The pages say what the code says, and lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import anchors
from webhook.decide import Reason

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((PROJECT / "docs").glob("*.md")), PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"]
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text()):
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("reason", Reason, ids=lambda r: r.code)
def test_every_reason_code_has_its_place_in_troubleshooting(reason: Reason) -> None:
    assert reason.code.lower() in anchors(PROJECT / "docs" / "troubleshooting.md")


def test_the_order_of_decisions_is_the_one_that_the_code_documents() -> None:
    page = (PROJECT / "docs" / "who-is-injected.md").read_text()
    order = re.findall(r"^\| .* \| (\w+) \|$", page[page.index("## The order of decisions") :], re.MULTILINE)
    code = (PROJECT / "webhook" / "decide.py").read_text()
    assert order == re.findall(r"^\| .* \| (\w+) \|$", code[: code.index('"""', 3)], re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_page_is_in_the_index(page: Path) -> None:
    if page.parent.name == "docs" and page.name != "README.md":
        assert f"]({page.name})" in (PROJECT / "docs" / "README.md").read_text()

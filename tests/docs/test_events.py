"""Every Event that the code can write is explained on a page."""

from __future__ import annotations

import re

import pytest

from tests.docs.page import DOCS
from webhook.server.events import POLICY_REFUSED, REASONS
from webhook.slipped.part import REASON

_WRITTEN = re.compile(r'"(?:Normal|Warning)",\s*"([A-Z]\w+)"')
_SOURCES = sorted((DOCS.parent / "webhook").rglob("*.py"))
FOUND = (
    {reason: path.name for path in _SOURCES for reason in _WRITTEN.findall(path.read_text()) if reason != "Warning"}
    | dict.fromkeys(REASONS, "events.py")
    | {REASON: "slipped", POLICY_REFUSED: "run.py"}
)


def test_reasons_are_found_in_the_code() -> None:
    assert {"RingFormed", "CaBundleRepaired", "InjectionWarning"} <= set(FOUND)


@pytest.mark.parametrize("reason", sorted(FOUND))
def test_an_event_is_explained(reason: str) -> None:
    pages = ("events.md", "rings.md", "certificates.md")
    assert any(f"`{reason}`" in (DOCS / page).read_text() for page in pages), f"{reason} of {FOUND[reason]}"

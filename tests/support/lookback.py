"""A folder's last file looks back at all its others: it runs last, and what it says holds only when all of them ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml


class LookBack:
    """For the conftest.py of a folder, whose hooks are two of these methods. last: the file that looks back."""

    def __init__(self, last: Path) -> None:
        self._last = last
        self._left_out: list[str] = []

    def order(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """As pytest_collection_modifyitems."""
        folder = self._last.parent
        places = [n for n, item in enumerate(items) if folder in item.path.parents]
        ordered = sorted((items[n] for n in places), key=lambda item: item.path == self._last)
        for n, item in zip(places, ordered, strict=True):
            items[n] = item
        here = {item.path for item in ordered}
        self._left_out += [path.name for path in folder.glob("test_*.py") if path not in here]
        self._left_out += [argument for argument in config.args if "::" in argument]

    def deselected(self, items: Sequence[pytest.Item]) -> None:
        """As pytest_deselected."""
        self._left_out += [item.name for item in items if self._last.parent in item.path.parents]

    def whole(self) -> None:
        """Skips the test unless all of the folder run."""
        if self._left_out:
            pytest.skip(f"needs all tests of this folder; left out: {len(self._left_out)}, such as {self._left_out[0]}")


def token_parts(kubeconfig: Path) -> list[str]:
    """What a log must not hold of a kubeconfig's token: all but its first part, which is the same in every token.

    An audit log names the account, as it should."""
    parts: list[str] = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"].split(".")[1:]
    return parts

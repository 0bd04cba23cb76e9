"""For how long every caBundle has held a CA, as somebody sees it who looks now and then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from certs import bundle

BREAK_SECONDS = 45.0
"""After so long without a look nothing is known about the time between."""


class Observed:
    """Takes looks, and says since when they all found a CA everywhere. Times: seconds of a clock that nobody sets."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._looked = float("-inf")

    def look(self, bundles: Sequence[bytes], authorities: Iterable[str], now: float) -> None:
        """One look: all caBundles that are ours to keep, as they are there, and the fingerprints of CAs to look for.

        Where there is no caBundle, none lacks a CA.
        """
        if now - self._looked > BREAK_SECONDS:
            self._since.clear()
        self._looked = now
        found = [bundle.held(text) for text in bundles]
        everywhere = {ca for ca in authorities if all(ca in one for one in found)}
        self._since = {ca: self._since.get(ca, now) for ca in everywhere}

    def held(self, now: float) -> dict[str, timedelta]:
        """CA -> for how long; none that one of them lacked at the last look."""
        return {ca: timedelta(seconds=now - since) for ca, since in self._since.items()}

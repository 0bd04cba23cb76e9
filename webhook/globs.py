"""Patterns in which `*` stands for any characters, also none. There is no other sign, and so nothing to escape.

A text is matched by looking for the pieces between the stars one after the other, each as far to the left as it goes:
one pass over the text, whatever the pattern. Regular expressions can take exponential time; these cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

NOT = "!"
"""At the beginning of an entry of a list: what matches the rest of it is out."""


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. pieces: what stands between its stars; one piece alone is the whole text."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(tuple(text.split("*")))

    @property
    def literal(self) -> str | None:
        """The only text that it matches; None when it has a star."""
        return self.pieces[0] if len(self.pieces) == 1 else None

    def matches(self, text: str) -> bool:
        if len(self.pieces) == 1:
            return text == self.pieces[0]
        first, *between, last = self.pieces
        end = len(text) - len(last)
        at = len(first)
        if end < at or not text.startswith(first) or not text.endswith(last):
            return False
        for piece in between:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    def __str__(self) -> str:
        return "*".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Globs:
    """A list of patterns, those that begin with ! apart. A list of such alone means: all but these."""

    wanted: tuple[Glob, ...] = ()
    unwanted: tuple[Glob, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        texts = tuple(texts)
        wanted = tuple(Glob.of(text) for text in texts if not text.startswith(NOT))
        return cls(wanted, tuple(Glob.of(text[len(NOT) :]) for text in texts if text.startswith(NOT)))

    def matches(self, text: str) -> bool:
        if self.wanted and not any(glob.matches(text) for glob in self.wanted):
            return False
        return not any(glob.matches(text) for glob in self.unwanted)

    def __str__(self) -> str:
        return ", ".join([*map(str, self.wanted), *(f"{NOT}{glob}" for glob in self.unwanted)])

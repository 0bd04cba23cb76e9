"""How clap 4 reads the words after `hab sup run` (supervisor.md §1.3, observed there on clap_builder 4.6.6).

`parse` gives every flag's value and where it came from, or raises `UsageError`: exit 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.support.supervisor.flags import BY_LONG, BY_SHORT, FLAGS, IDENT, Flag
from tests.support.supervisor.values import BadValueError
from tests.support.supervisor.world import HEAD, World

Source = Literal["line", "env", "default"]


class UsageError(Exception):
    """clap prints a usage message and the process exits with 2."""


class HelpAsked(Exception):  # noqa: N818  # it is what the user wants, not an error
    """`--help` prints a page and exits with 0."""


@dataclass(slots=True)
class Parsed:
    """values: by flag name, every flag present. source: where each came from. ident: the positional or None."""

    ident: str | None = None
    values: dict[str, object] = field(default_factory=dict)
    source: dict[str, Source] = field(default_factory=dict)

    def given(self, name: str) -> bool:
        """Whether somebody asked for it, on the line or by its variable; a default does not count."""
        return self.source[name] != "default"


class _Line:
    """One pass over the words; `open` is a flag that still takes words as values."""

    def __init__(self, words: Sequence[str], world: World, version: tuple[int, ...]) -> None:
        self.world = world
        self.version = version
        self.found: dict[str, list[object]] = {}
        self.positional: list[str] = []
        self.open: Flag | None = None
        self.pending: list[str] = []
        self._read(words)

    def _read(self, words: Sequence[str]) -> None:
        escaped = False
        for word in words:
            if escaped:
                self._place(word)
            elif word == "--":
                escaped = True
            elif word.startswith("--"):
                self._close()
                self._long(word)
            elif word.startswith("-") and len(word) > 1:
                self._close()
                self._short(word[1:])
            elif self.open:
                self.pending.append(word)
                if self.open.arity == "one":
                    self._close()
            else:
                self._place(word)
        self._close()

    def _place(self, word: str) -> None:
        self._close()
        if self.positional:
            raise UsageError(f"unexpected argument {word!r} found")
        self.positional.append(self._value(IDENT, word))

    def _known(self, flag: Flag | None, shown: str) -> Flag:
        if flag is None or flag.since > self.version:
            raise UsageError(f"unexpected argument {shown!r} found")
        if flag.name == "help":
            raise HelpAsked
        return flag

    def _long(self, word: str) -> None:
        name, equals, attached = word[2:].partition("=")
        flag = self._known(BY_LONG.get(name), f"--{name}")
        if flag.arity == "none":
            if equals:
                raise UsageError(f"unexpected value {attached!r} for '--{name}' found; no more were expected")
            self._take(flag, [])
        elif equals:
            self._take(flag, [attached])
        else:
            self.open = flag

    def _short(self, cluster: str) -> None:
        while cluster:
            flag = self._known(BY_SHORT.get(cluster[0]), f"-{cluster[0]}")
            cluster = cluster[1:]
            if flag.arity == "none":
                self._take(flag, [])
            elif cluster:
                self._take(flag, [cluster.removeprefix("=")])
                return
            else:
                self.open = flag

    def _close(self) -> None:
        if flag := self.open:
            self.open, words, self.pending = None, self.pending, []
            if not words and flag.arity != "any":
                raise UsageError(f"a value is required for '--{flag.name}' but none was supplied")
            self._take(flag, words)

    def _take(self, flag: Flag, words: list[str]) -> None:
        if flag.name in self.found and not flag.repeats:
            raise UsageError(f"the argument '--{flag.name}' cannot be used multiple times")
        self.found.setdefault(flag.name, []).extend(_read_values(flag, words, self.world))

    def _value(self, flag: Flag, word: str) -> str:
        return str(_read_values(flag, [word], self.world)[0])


def _read_values(flag: Flag, words: list[str], world: World) -> list[object]:
    pieces = [piece for word in words for piece in (word.split(" ") if flag.splits else [word])]
    try:
        return [flag.parse(piece, world) for piece in pieces]
    except BadValueError as why:
        raise UsageError(f"invalid value for '--{flag.name}': {why}") from why


def _shape(flag: Flag, found: list[object]) -> object:
    if flag.arity == "none":
        return True
    return tuple(found) if flag.repeats or flag.arity == "any" else found[0]


def parse(
    words: Sequence[str], env: Mapping[str, str], world: World | None = None, version: tuple[int, ...] = HEAD
) -> Parsed:
    """Read the words after `run`. Raises UsageError (exit 2) and HelpAsked (exit 0)."""
    world = world or World()
    line = _Line(words, world, version)
    parsed = Parsed(ident=line.positional[0] if line.positional else None)
    for flag in FLAGS:
        if flag.name in line.found:
            parsed.values[flag.name] = _shape(flag, line.found[flag.name])
            parsed.source[flag.name] = "line"
        elif flag.env and flag.env in env and flag.since <= version:
            parsed.values[flag.name] = _shape(flag, _read_values(flag, [env[flag.env]], world))
            parsed.source[flag.name] = "env"
        else:
            parsed.values[flag.name] = flag.default
            parsed.source[flag.name] = "default"
    _check_company(parsed)
    return parsed


def _check_company(parsed: Parsed) -> None:
    """Conflicts and requirements; a value from a variable counts like one from the line."""
    for flag in FLAGS:
        if not parsed.given(flag.name):
            continue
        for other in flag.conflicts:
            if parsed.given(other):
                raise UsageError(f"the argument '--{flag.name}' cannot be used with '--{other}'")
        for other in flag.requires:
            if not parsed.given(other):
                raise UsageError(f"the following required arguments were not provided: --{other}")

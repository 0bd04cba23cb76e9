"""Reads a Dockerfile as far as this project writes one: stages, flags, continued lines, shell and exec form.

The format is Docker's "Dockerfile reference". What is not understood here is refused by whoever carries it out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_INSTRUCTION = re.compile(r"(?P<name>[A-Za-z]+)\s+(?P<rest>.*)", re.DOTALL)
_FLAG = re.compile(r"--(?P<name>[a-z]+)=(?P<value>\S+)\s+")
_FROM = re.compile(r"(?P<base>\S+)(?:\s+[Aa][Ss]\s+(?P<name>\S+))?\s*")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)\})")


@dataclass(frozen=True, slots=True)
class Instruction:
    """name: in capitals. flags: name and value of each `--name=value`. text: what follows them, on one line."""

    name: str
    flags: tuple[tuple[str, str], ...]
    text: str
    line: int

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON array, None in shell form."""
        if not self.text.startswith("["):
            return None
        words: list[str] = json.loads(self.text)
        return words

    def flag(self, name: str) -> str | None:
        return dict(self.flags).get(name)

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """Split as a shell does, quotes removed, variables replaced first; an unknown one is empty."""
        return shlex.split(substituted(self.text, variables))

    def pairs(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The key=value words of ENV, LABEL and ARG; a word without `=` has an empty value."""
        return {key: value for key, _, value in (word.partition("=") for word in self.words(variables))}


@dataclass(frozen=True, slots=True)
class Stage:
    """base: as it is written, variables and all. name: empty where there is no AS."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> Instruction:
        """The one that counts, of USER for instance. Raises ValueError when there is none."""
        found = self.all(name)
        if not found:
            raise ValueError(f"the stage {self.name or self.base} has no {name}")
        return found[-1]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """arguments: the ARGs before the first FROM, with their defaults."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]


def substituted(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables.get(found["plain"] or found["braced"], ""), text)


def read(path: Path) -> Dockerfile:
    """Raises ValueError, with the line, for what is no instruction."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(path):
        if instruction.name == "FROM":
            found = _FROM.fullmatch(instruction.text)
            if found is None:
                raise ValueError(f"{path}:{instruction.line}: FROM {instruction.text}: expected FROM base [AS name]")
            stages.append(Stage(found["base"], found["name"] or "", ()))
        elif stages:
            stages[-1] = Stage(stages[-1].base, stages[-1].name, (*stages[-1].instructions, instruction))
        elif instruction.name == "ARG":
            arguments |= instruction.pairs({})
        else:
            raise ValueError(f"{path}:{instruction.line}: {instruction.name} before the first FROM")
    return Dockerfile(arguments, tuple(stages))


def _instructions(path: Path) -> list[Instruction]:
    made, open_line, begun = [], "", 0
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begun = number if not open_line else begun
        if line.rstrip().endswith("\\"):
            open_line += line.rstrip()[:-1].strip() + " "
            continue
        made.append(_instruction(path, open_line + line.strip(), begun))
        open_line = ""
    if open_line:
        raise ValueError(f"{path}:{begun}: the last line is continued, and nothing follows")
    return made


def _instruction(path: Path, text: str, line: int) -> Instruction:
    found = _INSTRUCTION.fullmatch(text)
    if found is None:
        raise ValueError(f"{path}:{line}: no instruction: {text}")
    rest, flags = found["rest"], []
    while flag := _FLAG.match(rest):
        flags.append((flag["name"], flag["value"]))
        rest = rest[flag.end() :]
    return Instruction(found["name"].upper(), tuple(flags), rest, line)

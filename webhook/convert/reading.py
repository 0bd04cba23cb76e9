"""A Habitat object -> its values by field, and a row of the report for everything that is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.convert.fields import BRANCHES, BY_PATH, NESTED, SPEC, Fate, Field, Row
from webhook.options import BY_NAME
from webhook.problems import Problem, nearest, one_line
from webhook.shape import type_problem

V1BETA2 = "v1beta2"
_EMPTY: tuple[Any, ...] = (None, "", {}, [])


@dataclass(slots=True)
class Source:
    """What a Habitat object says.

    values: by the path of FIELDS, only those that are there and not empty. spec: where this object has its spec,
    "spec." or "spec.v1beta2.". rows: one for every field of the object, in its order; those of CONVERTED fields have
    the documentation's text, which the conversion replaces where it knows better.
    """

    spec: str
    values: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: str) -> str:
        """A path of FIELDS as this object has it."""
        return self.spec + path.removeprefix(SPEC) if path.startswith(SPEC) else path

    def say(self, path: str, text: str, fate: Fate = Fate.CONVERTED) -> None:
        """Put a row, or another text into the row of that path."""
        place = self.place(path)
        self.rows[place] = Row(place, fate, text)

    def problem(self, path: str, what: str, allowed: str) -> None:
        self.problems.append(Problem(self.place(path), what, allowed))


def read(habitat: Mapping[str, Any]) -> Source:
    """Walk over all of an object; every member of it gets a row or a problem."""
    nested = _is_nested(habitat)
    source = Source(NESTED if nested else SPEC)
    for name, value in habitat.items():
        if name != "spec" or not isinstance(value, dict) or V1BETA2 not in value:
            _walk(source, _key(name), _key(name), value)
            continue
        beside = {key: child for key, child in value.items() if key != V1BETA2}
        if nested:
            _walk(source, "spec.v1beta2", "spec", value[V1BETA2])
            unread = [f"{SPEC}{_key(key)}" for key in beside]
        else:
            _walk(source, "spec", "spec", beside)
            unread = ["spec.v1beta2"]
        for path in unread:
            source.rows[path] = Row(path, Fate.DROPPED, "the operator did not read it: see customVersion")
    return source


def _is_nested(habitat: Mapping[str, Any]) -> bool:
    """Whether `spec.v1beta2` is what the operator read: it went by customVersion where both forms were there."""
    spec = habitat.get("spec")
    if not isinstance(spec, dict) or V1BETA2 not in spec:
        return False
    flat = any(name in _SPEC_MEMBERS for name in spec)
    return not flat or habitat.get("customVersion") == V1BETA2


_SPEC_MEMBERS = frozenset(path.split(".")[1] for path in BY_PATH if path.startswith(SPEC))


def _walk(source: Source, path: str, flat: str, value: Any) -> None:
    """One member and what is below it; path: where it is in the object, flat: the same in FIELDS."""
    if flat in BY_PATH:
        _field(source, BY_PATH[flat], path, value)
    elif flat not in BRANCHES:
        source.rows[path] = Row(path, Fate.BY_HAND, _unknown(flat))
    elif value in _EMPTY:
        source.rows[path] = Row(path, Fate.DROPPED, "empty")
    elif (problem := type_problem(value, dict, path)) is not None:
        source.problems.append(problem)
    else:
        for name, child in value.items():
            _walk(source, f"{path}.{_key(name)}", f"{flat}.{_key(name)}", child)


def _key(name: object) -> str:
    """A member's name as a step of a path: one that would read as several steps is quoted."""
    text = one_line(str(name))
    return f'"{text}"' if "." in text else text


def _field(source: Source, known: Field, path: str, value: Any) -> None:
    if value in _EMPTY:
        source.rows[path] = Row(path, Fate.DROPPED, "empty")
        return
    problem = type_problem(value, known.type, path) if known.type is not object else None
    if problem is None and known.annotation:
        problem = _not_allowed(known, path, value)
    if problem is not None:
        source.problems.append(problem)
        return
    source.values[known.path] = value
    text = known.becomes.replace("`", "")
    if known.annotation:
        option = f"habitat.sh/{known.annotation}"
        text = text.replace(option, f"{option}: {value}", 1)
    source.rows[path] = Row(path, known.fate, text)


def _not_allowed(known: Field, path: str, value: str) -> Problem | None:
    kind = BY_NAME[known.annotation].kind
    try:
        kind.parse(value)
    except ValueError as error:
        return Problem(path, str(error), kind.allowed)
    return None


def _unknown(flat: str) -> str:
    parent, _, name = flat.rpartition(".")
    known = {
        path.removeprefix(parent + ".") if parent else path
        for path in (*BY_PATH, *BRANCHES)
        if path.rpartition(".")[0] == parent
    }
    near = nearest(name, sorted(known))
    hint = f" (did you mean {near}?)" if near else ""
    return f"the operator knows no such field{hint}: it had no effect; put what was meant into the workload"

"""What a policy's rule demands of a pod's settings, and what of it a pod does not meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from webhook.globs import Glob
from webhook.options import BY_NAME
from webhook.problems import shown

_NOT_ALLOWED = "is not allowed"

ELSEWHERE = object()
"""The value of an option that the container sets by a variable whose value is not in the pod."""


class Action(Enum):
    """What follows when a pod does not meet a rule, or would be changed by it."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Values:
    """A set of values of one option: patterns of texts, or numbers from `least` to `most`, either None for no bound."""

    globs: tuple[Glob, ...] = ()
    least: int | None = None
    most: int | None = None

    def has(self, value: Any) -> bool:
        """Whether one value, not a list, is in the set."""
        if self.least is None and self.most is None:
            text = str(value)
            return any(glob.matches(text) for glob in self.globs)
        if not isinstance(value, int):
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is None and self.most is None:
            return ", ".join(map(str, self.globs))
        if self.least is None:
            return f"at most {self.most}"
        return f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a pod does not meet. option: the option's name, "" for the pod as a whole. value: the one that is not
    allowed, "" where that says nothing: for the answer to the user alone, since logs and warnings hold no values.
    """

    option: str
    what: str
    allowed: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one rule demands; option names are without prefix.

    message: what its author tells those who do not meet it. refuse: why no pod at all meets it, "" when pods may.
    forced, defaults: for a rule that is not enforced, the values it would give; of one that is, they are layers of
    `Rules`. opt_in: what such a rule would say of the injection itself, None for nothing.
    """

    rule: str
    action: Action
    message: str = ""
    refuse: str = ""
    require: tuple[str, ...] = ()
    allow: Mapping[str, Values] = field(default_factory=dict)
    deny: Mapping[str, Values] = field(default_factory=dict)
    forced: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    opt_in: bool | None = None

    @property
    def source(self) -> str:
        return source(self.rule)

    def unmet(self, said: Mapping[str, Any]) -> Iterator[Complaint]:
        """Every complaint about a pod that is injected. said: the values that somebody said, by option name, parsed."""
        if self.refuse:
            yield Complaint("", self.refuse, "")
        if self.opt_in is False:
            yield Complaint("", "the pod would not be injected", "")
        for name in self.require:
            if name not in said:
                yield Complaint(name, "it is missing", f"set it ({BY_NAME[name].kind.allowed})")
        for name, values in self.allow.items():
            for value in _values(name, said):
                if value is ELSEWHERE or not values.has(value):
                    yield Complaint(name, _NOT_ALLOWED, f"allowed: {values}", _text(value))
        for name, values in self.deny.items():
            for value in _values(name, said):
                if value is ELSEWHERE or values.has(value):
                    yield Complaint(name, _NOT_ALLOWED, f"not allowed: {values}", _text(value))
        yield from self._would_change(said)

    def _would_change(self, said: Mapping[str, Any]) -> Iterator[Complaint]:
        for name, value in self.forced.items():
            if said.get(name) != value:
                yield Complaint(name, f"it would be forced to {_text(value)}", "")
        for name, value in self.defaults.items():
            if name not in said:
                yield Complaint(name, f"it is not set, and would be {_text(value)}", "")


def source(rule: str) -> str:
    """What messages call the rule of that name."""
    return f"policy rule {rule}"


def _values(name: str, said: Mapping[str, Any]) -> tuple[Any, ...]:
    """The effective values of an option, one by one: the built-in default where nobody said it and there is one."""
    value = said.get(name, BY_NAME[name].default)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _text(value: Any) -> str:
    if value is ELSEWHERE:
        return "a value that is not in the pod"
    return shown(",".join(value) if isinstance(value, tuple) else str(value))

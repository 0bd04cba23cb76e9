"""What a policy's file says, as values; nothing here reads a file or a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.demands import Action, Demand, Values, source
from webhook.globs import Globs
from webhook.options import BY_NAME
from webhook.selectors import Selector

API_VERSION = "policy.habitat.sh/v1"
KIND = "Policy"


@dataclass(frozen=True, slots=True)
class Match:
    """Which pods a rule is about: all criteria that are given have to hold, None for one that is not."""

    namespaces: Globs | None = None
    namespace_selector: Selector | None = None
    pod_selector: Selector | None = None
    images: Globs | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; option names are without prefix.

    inject: True opts unannotated pods in, False takes pods out, None says nothing of it. defaults, force: the text of
    each value, as an annotation would have it. line, column: where it begins in the file, from 1.
    """

    name: str
    match: Match = field(default_factory=Match)
    action: Action = Action.ENFORCE
    inject: bool | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    force: Mapping[str, str] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    allow: Mapping[str, Values] = field(default_factory=dict)
    deny: Mapping[str, Values] = field(default_factory=dict)
    refuse: str = ""
    message: str = ""
    line: int = 1
    column: int = 1

    @property
    def source(self) -> str:
        return source(self.name)

    @property
    def enforced(self) -> bool:
        return self.action is Action.ENFORCE

    def demand(self) -> Demand | None:
        """What it demands of settings; None when it only gives values. One that is not enforced gives none."""
        given: dict[str, Any] = {}
        if not self.enforced:
            given = {"forced": _parsed(self.force), "defaults": _parsed(self.defaults), "opt_in": self.inject}
        elif not (self.refuse or self.require or self.allow or self.deny):
            return None
        return Demand(self.name, self.action, self.message, self.refuse, self.require, self.allow, self.deny, **given)


def _parsed(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: BY_NAME[name].kind.parse(text) for name, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Document:
    """The whole file. shared_rings: "name.namespace" of each."""

    rules: tuple[Rule, ...] = ()
    sidecars: frozenset[str] = frozenset()
    shared_rings: frozenset[str] = frozenset()

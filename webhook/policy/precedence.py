"""Who wins where several say a value of one option: what the tests go through and the documentation prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

REFUSED = "refused"
"""A container that says otherwise than what is forced does not get its way, and is not changed either."""


class Level(Enum):
    """Who can say a value, the strongest first: a name, and how it is said."""

    FORCE = "policy force", "`force` of a rule"
    CONTAINER = "container", "the container's own flag or variable, as `--group=x` or `HAB_LISTEN_HTTP`"
    POD = "pod", "annotation `habitat.sh/<name>` of the pod"
    NAMESPACE = "namespace default", "annotation `default.habitat.sh/<name>` of the namespace"
    DEFAULT = "policy default", "`defaults` of a rule"
    BUILT_IN = "built-in", "the default of [annotations.md](annotations.md)"

    @property
    def title(self) -> str:
        return self.value[0]

    @property
    def said(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Row:
    """Two that say different values of one option; result: the title of the one that wins, or REFUSED."""

    stronger: Level
    weaker: Level
    result: str


def table() -> Iterator[Row]:
    """Every pair."""
    levels = list(Level)
    for place, stronger in enumerate(levels):
        for weaker in levels[place + 1 :]:
            refused = (stronger, weaker) == (Level.FORCE, Level.CONTAINER)
            yield Row(stronger, weaker, REFUSED if refused else stronger.title)

"""What a namespace says of its pods: its labels, and the defaults in its annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from webhook.decide import Layer, mapping
from webhook.options import BY_NAME, DEFAULT_PREFIX, PREFIX


@dataclass(frozen=True, slots=True)
class Namespace:
    """What is kept of one. defaults: text by option name without a prefix, as the annotations have it.

    A name that no option has is among the defaults, so that whoever reads them can say so; one that makes no sense for
    a whole namespace (`Option.scope`) is in `misplaced` instead.
    """

    name: str
    labels: Mapping[str, str]
    defaults: Mapping[str, str]
    misplaced: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """From the API's object, of which only metadata is read."""
        metadata = mapping(raw, "metadata")
        said = {
            key[len(DEFAULT_PREFIX) :]: value
            for key, value in mapping(metadata, "annotations").items()
            if key.startswith(DEFAULT_PREFIX)
        }
        misplaced = tuple(name for name in said if name in BY_NAME and "namespace" not in BY_NAME[name].scope)
        defaults = {name: value for name, value in said.items() if name not in misplaced}
        return cls(metadata["name"], dict(mapping(metadata, "labels")), defaults, misplaced)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """For `Rules.defaults`."""
        return (Layer(f"namespace {self.name}", self.defaults),) if self.defaults else ()

    def without_effect(self) -> list[str]:
        """A sentence for each annotation that does nothing."""
        unknown = [name for name in self.defaults if name not in BY_NAME]
        return [f"{DEFAULT_PREFIX}{name} is unknown" for name in unknown] + [
            f"{DEFAULT_PREFIX}{name} has no effect: {PREFIX}{name} is for one workload" for name in self.misplaced
        ]

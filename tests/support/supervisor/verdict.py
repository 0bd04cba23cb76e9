"""What becomes of a container that should run a Supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Exit:
    """The container ends with `code`, again and again. by: who noticed ("hab", "hab-sup", "kubelet")."""

    code: int
    why: str
    by: str = "hab"


@dataclass(frozen=True, slots=True)
class NeverReady:
    """The container runs, or waits to be created, and its service never becomes healthy."""

    why: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """The container runs something that this model knows nothing of: its own command, another `hab sup` word."""

    why: str


@dataclass(frozen=True, slots=True)
class Running:
    """A Supervisor that parsed its line.

    ident: the package, or None for a Supervisor without a service. flags: every flag by its long name without the
    dashes, defaults included. given: the names that somebody asked for. env: the process's variables. words: what came
    after `run`. image_ident: what the image was exported for.
    """

    ident: str | None
    flags: Mapping[str, Any]
    given: frozenset[str]
    env: Mapping[str, str]
    words: tuple[str, ...]
    image_ident: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def package(self) -> str:
        """The package's name, which is the service's: origin/NAME[/version[/release]]."""
        return self.ident.split("/")[1] if self.ident else ""

    @property
    def group(self) -> str:
        return str(self.flags["group"])

    @property
    def org(self) -> str | None:
        org = self.flags["org"]
        return None if org is None else str(org)

    @property
    def http_port(self) -> int | None:
        """The gateway's port, None where it is disabled."""
        return None if self.flags["http-disable"] else int(self.flags["listen-http"][1])


@dataclass(frozen=True, slots=True)
class Ready:
    """The service is up and the container's readiness probe, if any, says so."""

    supervisor: Running


Start = Running | Exit | Foreign
Verdict = Ready | Exit | NeverReady | Foreign

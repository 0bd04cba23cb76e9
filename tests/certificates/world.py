"""A cluster in memory for keepers: two Secrets, webhook configurations, a clock, and API servers that lag behind.

Every call of a keeper passes `World.call`, where a test lets something happen: the keeper dies, another one does all
it has to do, time passes, somebody spoils a caBundle.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from cryptography import x509

from certs import authorities as cas
from certs import bundle, leaf
from certs.authorities import Authorities
from certs.rotation import Policy
from certs.stores import Changed, Stored
from tests.certs.making import NOW, POLICY
from webhook.certificates.configurations import Configuration, Entry
from webhook.certificates.keeper import Clock, Keeper
from webhook.certificates.metrics import CertificateMetrics
from webhook.kube.errors import ApiError
from webhook.log import Log
from webhook.metrics import Exposition

CA, TLS = "Secret habitat/ca", "Secret habitat/tls"


@dataclass(frozen=True, slots=True)
class Version:
    """A state of a configuration. since: elapsed seconds. ours: written by a keeper."""

    seen: Configuration
    since: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Served:
    """A leaf of the Secret. at: elapsed seconds. late: the one before had expired, or there was none."""

    certificate: x509.Certificate
    at: float
    late: bool


@dataclass
class World:
    """secrets: name -> what is kept. history: name of a configuration -> its states, the last one is in force.
    served: every leaf there was.
    """

    now: datetime = NOW
    elapsed: float = 0.0
    secrets: dict[str, Stored] = field(default_factory=dict)
    served: list[Served] = field(default_factory=list)
    history: dict[str, list[Version]] = field(default_factory=dict)
    call: Callable[[str], None] = lambda _what: None
    count: int = 0

    def advance(self, seconds: float, *, jump: timedelta = timedelta(0)) -> None:
        self.elapsed += seconds
        self.now += timedelta(seconds=seconds) + jump

    def version(self) -> str:
        self.count += 1
        return str(self.count)

    # configurations

    def register(self, name: str, *entries: str, kind: str = "MutatingWebhookConfiguration") -> None:
        empty = tuple(Entry(entry, b"") for entry in entries)
        self.set(Configuration(kind, name, f"uid-{name}", "", empty), ours=False)

    def set(self, changed: Configuration, *, ours: bool) -> Configuration:
        kept = replace(changed, version=self.version())
        self.history.setdefault(kept.name, []).append(Version(kept, self.elapsed, ours))
        return kept

    def spoil(self, name: str, place: int, text: bytes = b"") -> None:
        """Somebody writes another caBundle."""
        last = self.configuration(name)
        entries = list(last.entries)
        entries[place] = replace(entries[place], bundle=text)
        self.set(replace(last, entries=tuple(entries)), ours=False)

    def configuration(self, name: str) -> Configuration:
        return self.history[name][-1].seen

    def configurations(self) -> list[Configuration]:
        return [self.configuration(name) for name in self.history]

    def bundles(self) -> list[bytes]:
        return [entry.bundle for c in self.configurations() for entry in c.entries]

    # what is kept

    def authorities(self) -> Authorities:
        return cas.decode(self.secrets[CA].data)

    def leaf(self) -> leaf.Leaf:
        return leaf.decode(self.secrets[TLS].data)

    def ask(self, name: str) -> None:
        """A person asks for a new CA, or a new leaf."""
        self.put(name, replace(self.secrets[name], requested=True))

    def put(self, name: str, kept: Stored) -> None:
        self.secrets[name] = replace(kept, version=self.version())
        if name == TLS:
            certificate = leaf.decode(kept.data).certificate
            before = self.served[-1] if self.served else None
            if before is None or certificate != before.certificate:
                late = before is None or self.now >= before.certificate.not_valid_after_utc
                self.served.append(Served(certificate, self.elapsed, late))

    def well(self) -> bool:
        """Whether a client of every entry accepts the leaf, and all have the same bundle."""
        wanted = self.authorities().bundle()
        trusted = self.authorities().certificates
        current = leaf.decode(self.secrets[TLS].data).certificate
        return set(self.bundles()) <= {wanted} and bundle.verifies(current, trusted, self.now)


@dataclass
class MemoryStore:
    world: World
    name: str

    def read(self) -> Stored | None:
        self.world.call(f"read {self.name}")
        return self.world.secrets.get(self.name)

    def create(self, data: Mapping[str, bytes]) -> None:
        self.world.call(f"create {self.name}")
        if self.name in self.world.secrets:
            raise Changed
        self.world.put(self.name, Stored(dict(data), ours=True, requested=False, version=""))

    def replace(self, read: Stored, data: Mapping[str, bytes], *, answers: bool) -> None:
        self.world.call(f"replace {self.name}")
        there = self.world.secrets.get(self.name)
        if there is None or there.version != read.version:
            raise Changed
        self.world.put(self.name, replace(there, data=dict(data), requested=there.requested and not answers))


class Targets:
    """late: how many states of each configuration its watch is behind, asked at each look."""

    def __init__(self, world: World, late: Callable[[], int] = lambda: 0) -> None:
        self.world = world
        self.late = late
        self.refuse: ApiError | None = None
        self._shown: dict[str, int] = {}  # no watch goes back

    def seen(self) -> list[Configuration]:
        found = []
        for name, history in self.world.history.items():
            newest = len(history) - 1
            self._shown[name] = max(self._shown.get(name, 0), newest - self.late())
            found.append(history[self._shown[name]].seen)
        return found

    def listed(self) -> list[Configuration]:
        self.world.call("list")
        return self.world.configurations()

    def repair(self, seen: Configuration, wrong: Mapping[int, bytes]) -> Configuration:
        self.world.call(f"repair {seen.name}")
        if self.refuse:
            raise self.refuse
        now = self.world.configuration(seen.name)
        if now.version != seen.version:
            raise ApiError(409, "Conflict", "the object has been modified")
        entries = tuple(replace(e, bundle=wrong.get(n, e.bundle)) for n, e in enumerate(now.entries))
        return self.world.set(replace(now, entries=entries), ours=True)


class Kept:
    """A keeper and what it has said."""

    def __init__(self, world: World, *, policy: Policy = POLICY, late: Callable[[], int] = lambda: 0) -> None:
        self.targets = Targets(world, late)
        self.events: list[tuple[str, str, str]] = []  # (about, reason, note)
        self.leading = True
        self.exposition = Exposition()
        self._stream = io.BytesIO()
        self.keeper = Keeper(
            MemoryStore(world, CA),
            MemoryStore(world, TLS),
            self.targets,
            policy,
            clock=Clock(lambda: world.now, lambda: world.elapsed),
            allowed=lambda: self.leading,
            tell=lambda name, _kind, reason, note: self.events.append((name, reason, note)),
            tell_configuration=lambda about, _kind, reason, note: self.events.append((about.name, reason, note)),
            metrics=CertificateMetrics(self.exposition),
            log=Log("debug", self._stream),
        )

    def look(self) -> bool:
        return self.keeper.look()

    @property
    def text(self) -> str:
        """The whole log."""
        return self._stream.getvalue().decode()

    def lines(self) -> Sequence[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text.splitlines()]

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.exposition.registry.get_sample_value(f"habitat_webhook_{name}", labels)

"""What `status` and `ring` share: which cluster and namespace, and the pods, Services and Secrets of its rings.

With the user's own rights: where they may not list Services or read Secrets, the report says that it is not known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from webhook.cli.connection import connection_options, namespace_value
from webhook.cli.errors import Failure
from webhook.cli.inject import shared_rings_value
from webhook.kube.errors import NO_ANSWER, ApiError, ConfigError
from webhook.log import Log
from webhook.ring import service
from webhook.ring.diagnosis import build, doubtful, managed_keys
from webhook.ring.pods import SELECTOR, Member, member
from webhook.ring.report import Report, Scope
from webhook.rings import Ring

if TYPE_CHECKING:
    from webhook.kube.client import Client
    from webhook.kube.informer import Informer

SELECTORS = (SELECTOR, f"{service.RING_LABEL},!{SELECTOR}")
"""Injected pods, and those that have the ring's label alone. Label selectors know no "or"."""

SECRETS_SECONDS = 5.0
"""So long an answer about a Secret is good while the command follows."""

Command = TypeVar("Command", bound=Callable[..., Any])
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look: the values of `place_options`. namespace: "" for the context's own."""

    kubeconfig: Path | None
    context: str
    namespace: str
    all_namespaces: bool
    shared: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there. services: None when they may not be listed."""

    members: list[Member]
    services: list[Object] | None


def place_options(command: Command) -> Command:
    """The options that say where to look; their values are the fields of Place."""
    decorators = (
        click.option(
            "-n",
            "--namespace",
            default="",
            callback=namespace_value,
            metavar="NAME",
            help="The namespace to look into.  [default: the context's]",
        ),
        click.option("-A", "--all-namespaces", is_flag=True, help="Look into all namespaces."),
        click.option(
            "--shared-rings",
            "shared",
            default=None,
            callback=shared_rings_value,
            metavar="LIST",
            help="Rings that pods of other namespaces may join, as the installation has them: name.namespace of each, "
            "with commas between. Without this option it is not judged who may join.",
        ),
        *connection_options,
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


class Cluster:
    """One cluster, by the user's kubeconfig, and what of it is looked at. Every call raises Failure."""

    def __init__(self, client: Client, place: Place) -> None:
        self.client = client
        self.scope = Scope("" if place.all_namespaces else place.namespace or client.namespace, place.shared)
        self._secrets: dict[tuple[str, str], tuple[float, bool | None]] = {}
        self._elsewhere: dict[Ring, tuple[float, bool]] = {}

    def look(self) -> Seen:
        """Everything, once."""
        with _said(self.client, self.scope):
            pods = [m for labels in SELECTORS for m in map(member, self._every("pods", labels))]
        services: list[Object] | None = None
        if self.may_list_services():
            with _said(self.client, self.scope):
                services = [kept for raw in self._every("services") if (kept := service.projection(raw))]
        return Seen(once(pods), services)

    def report(self, seen: Seen) -> Report:
        """What it means; asks for the Secrets that matter, and whether a ring has members elsewhere."""
        doubts = doubtful(seen.members, self.scope)
        elsewhere = frozenset(ring for ring in doubts if self._has_members_elsewhere(ring))
        secrets = {place: self._secret(*place) for place in managed_keys(seen.members)}
        return build(seen.members, seen.services, secrets, replace(self.scope, elsewhere=elsewhere))

    def path(self, resource: str) -> str:
        """The collection to look at."""
        return (
            f"/api/v1/namespaces/{self.scope.namespace}/{resource}" if self.scope.namespace else f"/api/v1/{resource}"
        )

    def may_list_services(self) -> bool:
        """False when it is forbidden."""
        try:
            next(self.client.list(self.path("services"), limit=1))
        except ApiError as error:
            if error.status == 403:
                return False
            raise Failure(_advice(error, self.client, self.scope)) from None
        return True

    def check_pods(self) -> None:
        """Raise Failure when pods cannot be listed."""
        with _said(self.client, self.scope):
            next(self.client.list(self.path("pods"), labels=SELECTOR, limit=1))

    def _every(self, resource: str, labels: str = "") -> Iterator[Object]:
        for page, _ in self.client.list(self.path(resource), labels=labels):
            yield from page

    def _secret(self, namespace: str, name: str) -> bool | None:
        """Whether it is there; None when that may not be asked. Its metadata alone is fetched, the key never is."""
        at, known = self._secrets.get((namespace, name), (float("-inf"), None))
        if time.monotonic() - at < SECRETS_SECONDS:
            return known
        try:
            self.client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}", metadata_only=True)
            known = True
        except ApiError as error:
            # Whatever else it is, it says nothing, and what was known goes on to be.
            known = {404: False, 403: None}.get(error.status, known)
        self._secrets[namespace, name] = time.monotonic(), known
        return known

    def _has_members_elsewhere(self, ring: Ring) -> bool:
        """Whether pods of other namespaces name the ring; True also when that may not be asked."""
        at, known = self._elsewhere.get(ring, (float("-inf"), True))
        if time.monotonic() - at < SECRETS_SECONDS:
            return known
        try:
            page, _ = next(self.client.list("/api/v1/pods", labels=f"{service.RING_LABEL}={ring}", limit=1))
            known = bool(page)
        except ApiError:
            known = True
        self._elsewhere[ring] = time.monotonic(), known
        return known


@contextmanager
def connected(place: Place) -> Iterator[Cluster]:
    """The cluster that a place names. Raises Failure."""
    from webhook.kube.client import Client

    try:
        client = Client.connect(place.kubeconfig, context=place.context)
    except ConfigError as error:
        raise Failure(str(error)) from None
    try:
        yield Cluster(client, place)
    finally:
        client.close()


def once(members: Iterable[Member]) -> list[Member]:
    """Each pod once: one whose labels are changed just now may come with both selectors."""
    return list({m.uid: m for m in members}.values())


class Trouble(Log):
    """In the place of an informer's log: what keeps it from knowing what is. changed: called when that changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__("warning")
        self._changed = changed
        self._said: dict[str, str] = {}

    def __call__(self, level: str, message: str, **fields: Any) -> None:
        name = str(fields.get("informer", ""))
        if message in ("informer interrupted", "informer failed") and level in ("warning", "error"):
            self._said[name] = str(fields.get("error") or message)
        elif message != "informer goes on" or self._said.pop(name, None) is None:
            return
        self._changed()

    @property
    def text(self) -> str:
        """What is wrong now, "" for nothing."""
        return next(iter(self._said.copy().values()), "")


class Following:
    """The same, kept current by watches. `changed` is set whenever there may be something new."""

    def __init__(self, cluster: Cluster) -> None:
        from webhook.kube.informer import Informer

        cluster.check_pods()
        self.changed = threading.Event()
        self.trouble = Trouble(self.changed.set)
        self._pods: list[Informer[Member]] = [
            Informer(
                cluster.client,
                cluster.path("pods"),
                member,
                lambda _old, _new: self.changed.set(),
                name=f"pods{number}",
                labels=labels,
                log=self.trouble,
            )
            for number, labels in enumerate(SELECTORS)
        ]
        self._services: Informer[Object] | None = None
        if cluster.may_list_services():
            self._services = Informer(
                cluster.client,
                cluster.path("services"),
                service.projection,
                lambda _old, _new: self.changed.set(),
                name="services",
                log=self.trouble,
            )

    def start(self, seconds: float) -> None:
        """Begin; returns when the first picture is whole. Raises Failure when that takes longer than `seconds`."""
        deadline = time.monotonic() + seconds
        for informer in self._all():
            informer.start()
        if not all(informer.wait_synced(max(0.0, deadline - time.monotonic())) for informer in self._all()):
            raise Failure(f"the API server has not listed everything in {seconds:g} s {self.trouble.text}".rstrip())

    def stop(self) -> None:
        """End all watches."""
        for informer in self._all():
            informer.stop()

    def seen(self) -> Seen:
        """The picture as of now."""
        members = once(m for informer in self._pods for m in informer.store.values())
        return Seen(members, None if self._services is None else list(self._services.store.values()))

    def _all(self) -> list[Informer[Any]]:
        return [*self._pods, *([self._services] if self._services else [])]


@contextmanager
def _said(client: Client, scope: Scope) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise Failure(_advice(error, client, scope)) from None


def _advice(error: ApiError, client: Client, scope: Scope) -> str:
    where = f"namespace {scope.namespace}" if scope.namespace else "all namespaces"
    if error.status == NO_ANSWER:
        return f"no answer from {client.url} ({error.reason}: {error.message}); does `kubectl cluster-info` get one?"
    if error.status == 401:
        return f"{client.url} does not accept your credential; log in again, then `kubectl get pods` works, too"
    if error.status == 403:
        narrower = "" if scope.namespace else ", or give -n NAME to look into one namespace"
        return (
            f"you may not list the pods of {where}: {error.message}. Ask for a role with list and watch of pods and "
            f"services (and get of Secrets, to see whether ring keys are there){narrower}"
        )
    return f"the API server cannot list the pods of {where}: {error}"

"""The webhook configurations whose caBundles are kept: those with our label, of both kinds, and no others.

The label is the owner's consent. A configuration without it is neither watched nor written: its selector is part of the
request, so that we never even see one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.kube.client import Client
from webhook.kube.informer import Informer
from webhook.log import Log

LABEL, MANAGED = "habitat.sh/ca-bundle", "managed"
SELECTOR = f"{LABEL}={MANAGED}"
KINDS = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}
MANAGER = "habitat-webhook-ca-bundle"
_API = "admissionregistration.k8s.io/v1"
_CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One webhook of a configuration. bundle: its caBundle, b"" for none, and for what is no base64."""

    name: str
    bundle: bytes


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is needed of a webhook configuration."""

    kind: str
    name: str
    uid: str
    version: str
    entries: tuple[Entry, ...]

    @property
    def path(self) -> str:
        return f"{collection(self.kind)}/{self.name}"

    @property
    def identity(self) -> dict[str, str]:
        """For events."""
        return {"apiVersion": _API, "kind": self.kind, "name": self.name, "uid": self.uid}

    def repair(self, wrong: Mapping[int, bytes]) -> list[dict[str, Any]]:
        """A JSON Patch that gives some entries, by their places, these bundles: only to the object that was seen."""
        return [
            # The API server takes it for the version that the writer has read, and answers 409 when it is another one.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.version},
            *(
                {
                    "op": "add",
                    "path": f"/webhooks/{place}/clientConfig/caBundle",
                    "value": base64.b64encode(bundle).decode(),
                }
                for place, bundle in wrong.items()
            ),
        ]


def collection(kind: str) -> str:
    """The path of all configurations of a kind."""
    return f"/apis/{_API}/{KINDS[kind]}"


def configuration(kind: str, raw: Mapping[str, Any]) -> Configuration:
    """A webhook configuration as the API gives it."""
    metadata = raw["metadata"]
    entries = tuple(
        Entry(webhook["name"], _decoded(webhook["clientConfig"].get("caBundle") or ""))
        for webhook in raw.get("webhooks") or ()
    )
    return Configuration(kind, metadata["name"], metadata["uid"], metadata["resourceVersion"], entries)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def listed(client: Client) -> list[Configuration]:
    """All with our label, asked for now. Raises ApiError."""
    return [
        configuration(kind, raw)
        for kind in KINDS
        for page, _ in client.list(collection(kind), labels=SELECTOR)
        for raw in page
    ]


class Configurations:
    """The same, kept current by watches. changed: called after something has changed, on a thread of its own."""

    def __init__(self, client: Client, changed: Callable[[], None], *, resync: float, log: Log) -> None:
        self._client = client
        self.informers: list[Informer[Configuration]] = [
            Informer(
                client,
                collection(kind),
                lambda raw, kind=kind: configuration(kind, raw),  # type: ignore[misc]  # the default binds the name
                lambda _old, _new: changed(),
                name=resource,
                labels=SELECTOR,
                resync=resync,
                log=log,
            )
            for kind, resource in KINDS.items()
        ]

    def seen(self) -> list[Configuration]:
        """As the watches have it."""
        return [c for informer in self.informers for c in informer.store.values()]

    def listed(self) -> list[Configuration]:
        """Asked for now. Raises ApiError."""
        return listed(self._client)

    def repair(self, seen: Configuration, wrong: Mapping[int, bytes]) -> Configuration:
        """Give entries, by their places, these bundles; as it is then. Raises ApiError, 409 if somebody was faster."""
        answer = self._client.patch(seen.path, seen.repair(wrong), manager=MANAGER, seconds=_CALL_SECONDS)
        return configuration(seen.kind, answer)

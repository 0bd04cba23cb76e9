"""Where the CA and the leaf are kept: a Secret of the Kubernetes API, or a directory.

Whoever writes names what he has read. If somebody else has written since, he is told (Changed) and reads again: so of
several who begin at once one makes the CA, and all have the same.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from certs.dev import write_files

MANAGED_BY = ("app.kubernetes.io/managed-by", "habitat-webhook")
REQUESTED = "habitat.sh/renewal-requested"
"""The annotation by which a person asks for a new CA, or for a new leaf; its value is for people."""

_CALL_SECONDS = 10.0
_MANAGER = "habitat-webhook-certificates"
_NOT_FOUND, _CONFLICT = 404, 409


class Changed(Exception):  # noqa: N818 -- it is no error: read again
    """Somebody else has written since what was read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read. ours: made by this program; nothing else is ever written over. requested: a person asks for a new
    one.
    """

    data: Mapping[str, bytes] = field(repr=False)
    ours: bool
    requested: bool
    version: str
    origin: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Store(Protocol):
    """One place for one set of files. name: for messages, such as "Secret habitat-webhook/habitat-webhook-ca"."""

    name: str

    def read(self) -> Stored | None:
        """What is there now; None for nothing."""

    def create(self, data: Mapping[str, bytes]) -> None:
        """Make it. Raises Changed when it is there already."""

    def replace(self, read: Stored, data: Mapping[str, bytes], *, answers: bool) -> None:
        """Put data in the place of what was read; answers: a person's request is done with this. Raises Changed."""


class Api(Protocol):
    """What is needed of a client of the Kubernetes API: JSON in, JSON out.

    A call that is refused raises an exception with the HTTP status as `status`.
    """

    def get(self, path: str, *, seconds: float) -> dict[str, Any]: ...

    def create(self, path: str, body: dict[str, Any], *, manager: str, seconds: float) -> dict[str, Any]: ...

    def replace(self, path: str, body: dict[str, Any], *, manager: str, seconds: float) -> dict[str, Any]: ...


class Secret:
    """A Secret. kind: its type, "Opaque" or "kubernetes.io/tls". Its calls raise what the client raises."""

    def __init__(self, api: Api, namespace: str, name: str, kind: str) -> None:
        self.name = f"Secret {namespace}/{name}"
        self._api = api
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self.path = f"{self._collection}/{name}"
        self._metadata = {"name": name, "namespace": namespace, "labels": dict([MANAGED_BY])}
        self._kind = kind

    def read(self) -> Stored | None:
        try:
            found = self._api.get(self.path, seconds=_CALL_SECONDS)
        except Exception as error:
            if _status(error) == _NOT_FOUND:
                return None
            raise
        return stored(found)

    def create(self, data: Mapping[str, bytes]) -> None:
        with _unless_changed(_CONFLICT):
            body = self._body(self._metadata, data, self._kind)
            self._api.create(self._collection, body, manager=_MANAGER, seconds=_CALL_SECONDS)

    def replace(self, read: Stored, data: Mapping[str, bytes], *, answers: bool) -> None:
        metadata = {key: value for key, value in read.origin["metadata"].items() if key != "managedFields"}
        if answers:
            annotations = metadata.get("annotations") or {}
            metadata["annotations"] = {key: value for key, value in annotations.items() if key != REQUESTED}
        # 404: deleted since; the next look finds nothing.
        with _unless_changed(_CONFLICT, _NOT_FOUND):
            body = self._body(metadata, data, read.origin.get("type") or self._kind)
            self._api.replace(self.path, body, manager=_MANAGER, seconds=_CALL_SECONDS)

    def _body(self, metadata: Mapping[str, Any], data: Mapping[str, bytes], kind: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": kind,
            "metadata": dict(metadata),
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }


def stored(secret: Mapping[str, Any]) -> Stored:
    """A Secret as the API gives it. A value that is no base64 counts as empty."""
    metadata = secret["metadata"]
    key, value = MANAGED_BY
    return Stored(
        {name: _decoded(text) for name, text in (secret.get("data") or {}).items()},
        ours=(metadata.get("labels") or {}).get(key) == value,
        requested=REQUESTED in (metadata.get("annotations") or {}),
        version=metadata["resourceVersion"],
        origin=secret,
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


@contextlib.contextmanager
def _unless_changed(*statuses: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _status(error) in statuses:
            raise Changed from None
        raise


def _status(error: Exception) -> int | None:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


class Directory:
    """A directory of files on one machine. A file named `renewal-requested` is a person's request."""

    _LOCK, _REQUEST = ".lock", REQUESTED.rpartition("/")[2]

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self) -> Stored | None:
        """Raises OSError, as all of these do."""
        with self._locked():
            return self._read()

    def create(self, data: Mapping[str, bytes]) -> None:
        with self._locked():
            if self._read() is not None:
                raise Changed
            write_files(self._path, data)

    def replace(self, read: Stored, data: Mapping[str, bytes], *, answers: bool) -> None:
        with self._locked():
            now = self._read()
            if now is None or now.version != read.version:
                raise Changed
            write_files(self._path, data)
            for name in now.data.keys() - data.keys():
                (self._path / name).unlink()
            if answers:
                (self._path / self._REQUEST).unlink(missing_ok=True)

    def _read(self) -> Stored | None:
        files = sorted(p for p in self._path.iterdir() if not p.name.startswith(".") and p.name != self._REQUEST)
        if not files:
            return None
        data = {path.name: path.read_bytes() for path in files}
        digest = hashlib.sha256()
        for name, content in data.items():
            digest.update(f"{name} {len(content)} ".encode() + content)
        requested = (self._path / self._REQUEST).exists()
        return Stored(data, ours=True, requested=requested, version=digest.hexdigest())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path / self._LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

"""The API client: JSON in, JSON out, one call a method.

From the `kubernetes` package come the configuration (kubeconfig, ServiceAccount, credential plugins, proxies) and the
urllib3 pool with its TLS; its calls do not: they build typed models of whole objects, lose fields that are newer than
the package, and cost several times the CPU.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import orjson
from kubernetes.client.rest import RESTClientObject
from kubernetes.utils.keepalive import tcp_keepalive_socket_options
from urllib3 import BaseHTTPResponse, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ProtocolError

from webhook.kube import config
from webhook.kube.errors import NO_ANSWER, ApiError, ConfigError, from_answer
from webhook.kube.paths import resource_of
from webhook.kube.watch import Watch

__all__ = ["ApiError", "Client", "ConfigError", "Watch"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
WATCH_GRACE_SECONDS = 30.0
"""A watch is given up so long after the server should have ended it."""

RELOAD_SECONDS = 10.0
"""At most so often is the configuration read again because of a 401."""

Object = dict[str, Any]
Body = dict[str, Any] | list[Any]
Page = tuple[list[Object], str]

_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DEAD_PEER = {"idle": 15, "interval": 5, "count": 3}
"""Seconds until, seconds between, and number of TCP keep-alive probes: a dead peer is noticed after half a minute."""


class Client:
    """Calls to one cluster, from any thread.

    Every call raises ApiError. Each request carries the credential as it is now. A 401 has the configuration read
    again, once in RELOAD_SECONDS, and the call repeated, since nothing was done: so a token file, a client certificate
    or a plugin's token may be exchanged at any time. A GET on a kept-alive connection that turns out to be broken is
    repeated once; a write never is, since it may have been carried out.

    on_call: called after every request with its RBAC verb, its resource ("pods", "pods/status") and the status, 0 for
    no answer; for a watch when it begins.
    """

    on_call: Callable[[str, str, int], None] | None = None

    def __init__(self, load: Callable[[], config.Access], *, user_agent: str, connections: int) -> None:
        self._load = load
        self._connections = connections
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._generation = 0
        self._reloaded = float("-inf")
        self._use(load())

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | None = None,
        *,
        context: str = "",
        user_agent: str = "habitat-webhook",
        connections: int = 16,
    ) -> Client:
        """A client for the kubeconfig if one is given; else for the pod's ServiceAccount; else by $KUBECONFIG.

        connections: how many are kept open; more are opened when more threads call. Nothing is connected yet.
        Raises ConfigError.
        """
        return cls(partial(config.load, kubeconfig, context), user_agent=user_agent, connections=connections)

    @property
    def url(self) -> str:
        """Such as `https://10.96.0.1:443`."""
        return self._configuration.host

    def close(self) -> None:
        """Close the idle connections; those in use close when their call ends."""
        self._rest.close()

    # reading

    def get(self, path: str, *, metadata_only: bool = False, seconds: float = READ_SECONDS) -> Object:
        """One object. metadata_only: a PartialObjectMetadata, which has no spec, status or data."""
        accept = _METADATA if metadata_only else _JSON
        return self._json("get", "GET", path, accept=accept, seconds=seconds)

    def clock(self) -> datetime | None:
        """What time it is for the API server, to the second; None when its answer does not say."""
        said = self._send("get", "GET", "/version", {}).headers.get("Date")
        return parsedate_to_datetime(said) if said else None

    def list(
        self, path: str, *, labels: str = "", fields: str = "", limit: int = 500, metadata_only: bool = False
    ) -> Iterator[Page]:
        """(objects, resourceVersion) page by page; the version is the list's, to watch from, and the same on each page.

        Whoever empties a page before asking for the next has only one in memory. ApiError 410 in the middle: the list
        took so long that the server has forgotten its version; begin again. Objects have neither apiVersion nor kind.
        """
        query = _selection(labels, fields) | {"limit": str(limit)}
        version = ""
        while True:
            accept = _METADATA_LIST if metadata_only else _JSON
            answer = self._json("list", "GET", path, query, accept=accept)
            about, page = answer["metadata"], answer.pop("items") or []
            version = version or about["resourceVersion"]
            del answer
            yield page, version
            del page
            if not about.get("continue"):
                return
            query["continue"] = about["continue"]

    def watch(
        self,
        path: str,
        resource_version: str,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        seconds: int = 300,
    ) -> Watch:
        """The events after `resource_version`, for `seconds`, after which the server ends it; see Watch."""
        query = _selection(labels, fields) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        answer = self._send(
            "watch",
            "GET",
            path,
            query,
            accept=_METADATA if metadata_only else _JSON,
            stream=True,
        )
        # READ_SECONDS hold until the answer begins, which it does at once; from then on it is silent while nothing
        # happens.
        if isinstance(answer.connection, HTTPConnection) and answer.connection.sock is not None:
            answer.connection.sock.settimeout(seconds + WATCH_GRACE_SECONDS)
        return Watch(answer, f"WATCH {path}")

    # writing

    def create(
        self, path: str, body: Object, *, dry_run: bool = False, manager: str = "", seconds: float = READ_SECONDS
    ) -> Object:
        """POST to a collection; the object as it was stored. dry_run: everything but storing it."""
        query = _manager(manager) | ({"dryRun": "All"} if dry_run else {})
        return self._json("create", "POST", path, query, body=body, seconds=seconds)

    def replace(self, path: str, body: Object, *, manager: str = "", seconds: float = READ_SECONDS) -> Object:
        """PUT; with a metadata.resourceVersion in the body only if nobody has written since (409 otherwise)."""
        return self._json("update", "PUT", path, _manager(manager), body=body, seconds=seconds)

    def patch(self, path: str, body: Body, *, manager: str = "", seconds: float = READ_SECONDS) -> Object:
        """A list is a JSON Patch (RFC 6902), a dict a merge patch (RFC 7396)."""
        content_type = "application/json-patch+json" if isinstance(body, list) else "application/merge-patch+json"
        return self._json(
            "patch", "PATCH", path, _manager(manager), body=body, content_type=content_type, seconds=seconds
        )

    def delete(self, path: str, *, uid: str = "") -> None:
        """uid: delete only if it is this very object (409 otherwise); "" for whichever has the name."""
        body = {"preconditions": {"uid": uid}} if uid else None
        self._json("delete", "DELETE", path, body=body)

    # the request itself

    def _json(
        self,
        verb: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Body | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        seconds: float = READ_SECONDS,
    ) -> Object:
        answer = self._send(
            verb, method, path, query or {}, body=body, content_type=content_type, accept=accept, seconds=seconds
        )
        try:
            return cast("Object", orjson.loads(answer.data))
        except orjson.JSONDecodeError:
            # Without what it comes from, which holds the answer.
            raise ApiError(answer.status, "NotJSON", "the answer is not JSON", call=f"{method} {path}") from None

    def _send(
        self,
        verb: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Body | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        seconds: float = READ_SECONDS,
        stream: bool = False,
    ) -> BaseHTTPResponse:
        """A good answer, its body read unless `stream`."""
        call, resource = f"{method} {path}", resource_of(path)
        headers = {"Accept": accept, "User-Agent": self._user_agent}
        if body is not None:
            headers["Content-Type"] = content_type
        content = None if body is None else orjson.dumps(body)
        repeated = False
        while True:
            generation, rest, authorization = self._credential(call)
            try:
                answer = _exchange(
                    rest, method, self.url + path, query, headers | authorization, content, seconds, stream=stream
                )
                # A streamed error is read here, which returns its connection.
                error_body = answer.data if answer.status >= 300 else b""
            except (HTTPError, OSError) as error:
                self._called(verb, resource, NO_ANSWER)
                raise ApiError(NO_ANSWER, type(error).__name__, str(error), call=call) from error
            self._called(verb, resource, answer.status)
            if answer.status < 300:
                return answer
            if answer.status == 401 and not repeated and self._reload(generation):
                repeated = True
                continue
            raise from_answer(answer.status, answer.headers, error_body, call=call, resource=resource)

    def _called(self, verb: str, resource: str, status: int) -> None:
        if self.on_call is not None:
            self.on_call(verb, resource, status)

    def _credential(self, call: str) -> tuple[int, RESTClientObject, dict[str, str]]:
        """The generation of the configuration, its connections, and the Authorization header as of now."""
        with self._lock:
            try:
                found = self._configuration.auth_settings().get("BearerToken")
            except Exception as error:  # noqa: BLE001 - it reads files, runs plugins and calls identity providers
                # Without what it comes from, which may quote a credential.
                raise ApiError(
                    NO_ANSWER, "Credential", f"the credential cannot be renewed ({type(error).__name__})", call=call
                ) from None
            generation, rest = self._generation, self._rest
        # A token file's final newline would otherwise end up in an exception together with the token.
        token = "".join((found["value"] or "").splitlines()).strip() if found else ""
        return generation, rest, {"Authorization": token} if token else {}

    def _reload(self, refused: int) -> bool:
        """Whether there may be another credential than that of generation `refused`, which was answered with 401."""
        with self._lock:
            if self._generation != refused:
                return True
            now = time.monotonic()
            if now - self._reloaded < RELOAD_SECONDS:
                return False
            self._reloaded = now
            try:
                access = self._load()
            except ConfigError:
                return False  # the 401 says enough, and the files may be back in RELOAD_SECONDS
            old = self._rest
            self._use(access)
            old.close()
            return True

    def _use(self, access: config.Access) -> None:
        configuration = access.configuration
        configuration.connection_pool_maxsize = self._connections
        # Otherwise each renewal of a token, which is each request, looks through the environment for a proxy again.
        configuration.proxy = configuration.proxy
        configuration.socket_options = tcp_keepalive_socket_options(**_DEAD_PEER)
        self._configuration = configuration
        self.namespace = access.namespace
        self._rest = RESTClientObject(configuration)
        self._generation += 1


def _exchange(
    rest: RESTClientObject,
    method: str,
    url: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    content: bytes | None,
    seconds: float,
    *,
    stream: bool,
) -> BaseHTTPResponse:
    timeout = Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds)
    target = f"{url}?{urlencode(query)}" if query else url
    attempts = 2 if method == "GET" else 1
    while True:
        attempts -= 1
        try:
            return rest.pool_manager.urlopen(
                method,
                target,
                redirect=False,
                body=content,
                headers=headers,
                timeout=timeout,
                retries=False,
                preload_content=not stream,
            )
        except ProtocolError:
            # The server closed the kept-alive connection just now.
            if attempts == 0:
                raise


def _selection(labels: str, fields: str) -> dict[str, str]:
    return {name: text for name, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}


def _manager(name: str) -> dict[str, str]:
    return {"fieldManager": name} if name else {}

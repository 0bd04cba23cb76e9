"""What controllers have said and done: events, requests with their times, and every version that a pod has had."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.controlplane.client import WaitError
from tests.ring.live.conftest import quiet
from tests.ring.live.installation import USER, Installation
from tests.support import audit
from tests.support.controller import ControllerProcess
from webhook.ring import keys

Object = dict[str, Any]


@contextlib.contextmanager
def leading(rings: Installation, *flags: str) -> Iterator[ControllerProcess]:
    """A controller with these flags that leads; at the end it has ended as asked and logged no error."""
    with rings.controller("flags", *flags) as process:
        rings.wait("the controller to lead", lambda: process.leads)
        yield process
        assert process.stop() == 0
        assert quiet(process) == []


class Leader:
    """A controller that leads, and can be another one with other flags in the middle of a test."""

    def __init__(self, rings: Installation, stack: contextlib.ExitStack, *flags: str) -> None:
        self._rings, self._stack, self._flags = rings, stack, flags
        self.restart()

    def restart(self, *more: str) -> None:
        """Ends it and starts the next, which has these flags, too."""
        self._stack.close()
        self.process: ControllerProcess = self._stack.enter_context(leading(self._rings, *self._flags, *more))


def ask(rings: Installation, method: str, path: str, body: Object | None = None, *, expected: int = 200) -> Object:
    """As the administrator; any other status fails the test."""
    status, answer = rings.cluster.request(method, path, body)
    assert status == expected, answer
    return dict(answer)


def find(rings: Installation, path: str) -> Object:
    """The object, {} when it is not there."""
    status, answer = rings.cluster.request("GET", path)
    assert status in (200, 404), answer
    return dict(answer) if status == 200 else {}


def events(rings: Installation, namespace: str, reason: str, about: str) -> list[Object]:
    """Those about objects of a kind. about: such as "Service"."""
    found = ask(rings, "GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    return [e for e in found if e.get("reason") == reason and e["regarding"]["kind"] == about]


def heard(rings: Installation, namespace: str, reason: str, about: str, *, note: str = "") -> Object:
    """Waits for the first event of which this is so; note: a part of its text."""

    notes: list[str] = []

    def attempt() -> Object | None:
        found = events(rings, namespace, reason, about)
        notes[:] = [e["note"] for e in found]
        return next((e for e in found if note in e["note"]), None)

    try:
        return rings.wait(f"an event {reason} about a {about}", attempt, seconds=30)
    except WaitError:
        raise AssertionError(f"no event {reason} about a {about} says {note!r}, but {notes}") from None


def shown(rings: Installation, process: ControllerProcess, namespace: str, secrets: list[Object]) -> list[str]:
    """Parts of these keys that are in the controller's log or metrics, in any event, pod or Service."""
    said = process.output.read_text() + process.get("/metrics")[1]
    paths = [f"/api/v1/namespaces/{namespace}/{resource}" for resource in ("pods", "services")]
    for path in ("/apis/events.k8s.io/v1/events", "/api/v1/events", *paths):
        said += json.dumps(ask(rings, "GET", path))
    texts = []
    for found in secrets:
        material = keys.read(found).material
        texts += [base64.b64encode(material).decode(), material.hex(), found["data"]["ring-key"]]
    return [part for text in texts for part in (text[:12], text[-12:]) if part in said]


@dataclass(frozen=True, slots=True)
class Request:
    """at: seconds since the epoch, when the API server had it. query: such as {"dryRun": "All"}."""

    at: float
    verb: str
    resource: str
    name: str
    query: dict[str, str]
    code: int


def requests(rings: Installation, namespace: str, verb: str, resource: str) -> list[Request]:
    """The controllers' requests about a resource of a namespace, in the order in which the API server had them."""
    found = []
    for line in audit.log(rings.directory).read_text().splitlines(keepends=True):
        if not line.endswith("\n") or f'"{namespace}"' not in line:
            continue
        event = json.loads(line)
        about = event.get("objectRef", {})
        wanted = (event["user"].get("username"), event["verb"], about.get("resource"), about.get("namespace"))
        if wanted == (USER, verb, resource, namespace) and "responseStatus" in event:
            at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(event["requestURI"]).query))
            found.append(Request(at, verb, resource, about.get("name", ""), query, event["responseStatus"]["code"]))
    return sorted(found, key=lambda r: r.at)


def version(rings: Installation, namespace: str) -> str:
    """The resourceVersion of this moment."""
    return str(ask(rings, "GET", f"/api/v1/namespaces/{namespace}/pods?limit=1")["metadata"]["resourceVersion"])


def versions(rings: Installation, namespace: str, since: str) -> list[Object]:
    """Every version of every pod after a resourceVersion, in the order in which they came.

    The API server keeps them: a watch shows what was so for a moment, too. The last is of now.
    """
    pods = ask(rings, "GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    last = max((int(p["metadata"]["resourceVersion"]) for p in pods), default=0)
    found: list[Object] = []
    with contextlib.closing(rings.cluster.connect()) as connection:
        connection.request("GET", f"/api/v1/namespaces/{namespace}/pods?watch=true&resourceVersion={since}")
        answer = connection.getresponse()
        while not found or int(found[-1]["metadata"]["resourceVersion"]) < last:
            line = answer.readline()
            assert line, f"the watch ended before version {last}"
            found.append(json.loads(line)["object"])
    return found

"""Every version of the pods of one namespace, from a watch of the administrator's: what was so for a moment counts too.

with History(rings, namespace) as history:
    ...
    history.catch_up()
    assert history.written_twice() == {}
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import threading
from collections import Counter, defaultdict
from types import TracebackType
from typing import Any, Self

from tests.controlplane.client import Cluster
from tests.ring.live.installation import Installation, peers

_marks = itertools.count()


class History:
    """written: pod -> how often its list has changed. lists: (ring, pod, the list), in the order in which they came.
    addresses: ring -> all that its pods have ever had. ring: as in the label.
    """

    def __init__(self, rings: Installation, namespace: str) -> None:
        self._rings = rings
        self._cluster: Cluster = rings.cluster
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self.written: Counter[str] = Counter()
        self.lists: list[tuple[str, str, list[str]]] = []
        self.addresses: dict[str, set[str]] = defaultdict(set)
        self._known: dict[str, str | None] = {}
        self._seen: set[str] = set()
        self._ended: set[str] = set()
        self._connection: http.client.HTTPSConnection | None = None
        self._thread = threading.Thread(target=self._follow, name="history", daemon=True)

    def __enter__(self) -> Self:
        _, found = self._cluster.request("GET", self._path)
        assert not found["items"], "a history begins before the first pod"
        self._from = found["metadata"]["resourceVersion"]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)

    def catch_up(self) -> None:
        """Comes back when everything that has happened so far is in here: a pod made now comes after it."""
        name = f"mark-{next(_marks)}"
        body = {
            "metadata": {"name": name, "annotations": {"habitat.sh/inject": "false"}},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "mark"}]},
        }
        status, answer = self._cluster.request("POST", self._path, body)
        assert status == 201, answer
        self._cluster.wait(f"the watch to show {name}", lambda: name in self._seen)
        self._cluster.request("DELETE", f"{self._path}/{name}?gracePeriodSeconds=0")

    def written_twice(self) -> dict[str, str]:
        """Pods of which more patches have succeeded than lists have changed, by name. After `catch_up`.

        What was stored is seen at once, and logged with the answer, a little later. A pod that is about to go may have
        one more: a patch of one whose grace period is over removes it, and nobody sees what it would have changed.
        """

        def logged() -> Counter[str] | None:
            found, perhaps = self._rings.patches(self._namespace), self._rings.unanswered(self._namespace)
            return found if found.total() + perhaps >= self.written.total() else None

        return {
            name: f"{count} patches, {self.written[name]} changes"
            for name, count in self._rings.wait("the audit log", logged).items()
            if count > self.written[name] + (name in self._ended)
        }

    def strangers(self) -> list[tuple[str, str, list[str]]]:
        """Lists that name an address which no pod of their ring has ever had."""
        return [entry for entry in self.lists if not set(entry[2]) <= self.addresses[entry[0]]]

    def _follow(self) -> None:
        connection = self._connection = self._cluster.connect()
        # The end, by whom ever: `catch_up` fails when something is missing.
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            connection.request("GET", f"{self._path}?watch=true&resourceVersion={self._from}")
            if connection.sock is not None:
                connection.sock.settimeout(None)
            answer = connection.getresponse()
            while line := answer.readline():
                self._note(json.loads(line)["object"])

    def _note(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        ring = metadata.get("labels", {}).get("habitat.sh/ring", "")
        address = pod.get("status", {}).get("podIP")
        if address:
            self.addresses[ring].add(address)
        before = self._known.get(metadata["uid"])
        now = metadata.get("annotations", {}).get("habitat.sh/peers")
        if now != before:
            self._known[metadata["uid"]] = now
            self.written[metadata["name"]] += 1
            self.lists.append((ring, metadata["name"], peers(pod)))
        if "deletionTimestamp" in metadata:
            self._ended.add(metadata["name"])
        self._seen.add(metadata["name"])

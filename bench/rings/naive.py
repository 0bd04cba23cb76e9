"""The design to compare with: one ConfigMap per ring with the addresses of all its pods, rewritten at every change.

`python -m bench.rings.naive KUBECONFIG`, until SIGTERM. It has the client, the informer and the queue of the controller
and nothing else, so that what differs is the design. The queue is level-triggered: changes that come while a ring's
ConfigMap is being written are in the next write, and nothing else gathers them.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rings.observer import ADDRESSES, CONFIG_MAP_LABEL
from bench.rings.scale import NAMESPACE
from webhook.kube.client import ApiError, Client
from webhook.kube.informer import Informer
from webhook.kube.queue import WorkQueue
from webhook.log import Log
from webhook.ring.service import RING_LABEL

WORKERS = 4
READY = "following"


@dataclass(frozen=True, slots=True)
class Address:
    uid: str
    ring: str
    address: str


class Naive:
    """Keeps the ConfigMaps until `stop`."""

    def __init__(self, client: Client, log: Log) -> None:
        self._client = client
        self._log = log
        self._lock = threading.Lock()
        self._rings: dict[str, dict[str, str]] = defaultdict(dict)
        self._made: set[str] = set()
        self._queue: WorkQueue[str] = WorkQueue()
        self._informer = Informer(
            client, "/api/v1/pods", _address, self._changed, name="pods", labels=RING_LABEL, log=log
        )

    def run(self, stop: threading.Event) -> None:
        self._informer.start()
        self._informer.wait_synced(30.0)
        threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        self._log("info", READY)
        stop.wait()
        self._informer.stop()
        self._queue.shutdown()
        for thread in threads:
            thread.join()

    def _changed(self, old: Address | None, new: Address | None) -> None:
        with self._lock:
            if old is not None:
                self._rings[old.ring].pop(old.uid, None)
            if new is not None:
                self._rings[new.ring][new.uid] = new.address
        for about in {pod.ring for pod in (old, new) if pod is not None}:
            self._queue.add(about)

    def _work(self) -> None:
        while (ring := self._queue.get()) is not None:
            try:
                self._write(ring)
            except ApiError as error:
                self._log("warning", "not written", ring=ring, error=str(error), again_in=self._queue.retry(ring))
            else:
                self._queue.forget(ring)
            finally:
                self._queue.done(ring)

    def _write(self, ring: str) -> None:
        with self._lock:
            addresses = sorted(self._rings[ring].values())
        name = f"ring-peers-{ring}"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {CONFIG_MAP_LABEL: ring}},
            "data": {ADDRESSES: "\n".join(addresses)},
        }
        collection = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        if ring in self._made:
            self._client.replace(f"{collection}/{name}", body)
        else:
            self._client.create(collection, body)
            self._made.add(ring)


def _address(raw: dict[str, Any]) -> Address | None:
    """None for a pod that has no address or is being deleted."""
    metadata, address = raw["metadata"], raw["status"].get("podIP", "")
    if not address or "deletionTimestamp" in metadata:
        return None
    return Address(metadata["uid"], sys.intern(metadata["labels"][RING_LABEL]), address)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = Client.connect(Path(sys.argv[1]), user_agent="bench-naive", connections=WORKERS + 2)
    Naive(client, Log()).run(stop)


if __name__ == "__main__":
    main()

"""Pods that are created through the webhook all the time, by dry run, while something is done to it.

`python -m tests.node.load` is the process that does it: one of its own, since the node's network may be another one
than that of the tests. It ends when its standard input does, so also with whoever started it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.controlplane.client import Cluster
from tests.node.place import inside
from tests.node.pods import Manifest

PROJECT = Path(__file__).resolve().parents[2]
THREADS, PER_SECOND = 4, 200
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Task:
    """What to create, where: url of the API server, ca the file that verifies it, token of who may create pods."""

    url: str
    ca: str
    token: str
    namespace: str
    pod: Manifest


@dataclass(slots=True)
class Seen:
    """admitted: pods that came out injected. slowest: of all, in seconds. failed: when (Unix time), what was said."""

    admitted: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failed: list[tuple[float, str]] = field(default_factory=list)


class Load:
    """A running load."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stop(self) -> Seen:
        """Ends it, and says what it has seen."""
        said, _ = self._process.communicate()
        assert self._process.returncode == 0, f"the load ended with exit code {self._process.returncode}"
        seen = json.loads(said)
        return Seen(**seen | {"failed": [(when, what) for when, what in seen["failed"]]})


@contextlib.contextmanager
def load(cluster: Cluster, namespace: str, pod: Manifest) -> Iterator[Load]:
    """Begins, with the rights of the namespace's default ServiceAccount, which may do what `edit` may."""
    account = f"system:serviceaccount:{namespace}:default"
    can = ("auth", "can-i", "create", "pods", f"--namespace={namespace}")
    if cluster.kubectl(*can, as_=account, check=False).strip() != "yes":
        grant = ("--clusterrole=edit", f"--serviceaccount={namespace}:default", f"--namespace={namespace}")
        cluster.kubectl("create", "rolebinding", "load", *grant)
        cluster.wait("the load's rights", lambda: cluster.kubectl(*can, as_=account, check=False).strip() == "yes")
    task = Task(cluster.url, str(cluster.ca), cluster.token(namespace, "default"), namespace, pod)
    command = [*inside(cluster), sys.executable, "-m", "tests.node.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(task)) + "\n")
        process.stdin.flush()
        yield Load(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class _Worker:
    def __init__(self, task: Task) -> None:
        self.seen = Seen()
        self._task = task
        self._over = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> Seen:
        """Until standard input ends."""
        threads = [threading.Thread(target=self._admit) for _ in range(THREADS)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self._over.set()
        for thread in threads:
            thread.join()
        self.seen.seconds = time.monotonic() - began
        return self.seen

    def _admit(self) -> None:
        task = self._task
        context = ssl.create_default_context(cafile=task.ca)
        host = urllib.parse.urlsplit(task.url).netloc
        client = http.client.HTTPSConnection(host, context=context, timeout=TIMEOUT_SECONDS)
        due = time.monotonic()
        with contextlib.closing(client) as connection:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    wrong = self._one(connection)
                except (OSError, http.client.HTTPException) as error:
                    connection.close()
                    wrong = repr(error)
                with self._lock:
                    self.seen.slowest = max(self.seen.slowest, time.monotonic() - began)
                    self.seen.admitted += not wrong
                    if wrong:
                        self.seen.failed.append((time.time(), wrong))
                due = max(due + THREADS / PER_SECOND, time.monotonic() - 1)  # a pause is made up for a second long
                self._over.wait(max(0.0, due - time.monotonic()))

    def _one(self, connection: http.client.HTTPSConnection) -> str:
        """What was wrong, "" for nothing."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._task.token}"}
        path = f"/api/v1/namespaces/{self._task.namespace}/pods?dryRun=All"
        connection.request("POST", path, json.dumps(self._task.pod), headers)
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
        if answer.status != 201:
            return f"{answer.status} {content.get('message')}"
        return "" if "habitat.sh/injected" in content["metadata"]["annotations"] else "the pod was not injected"


if __name__ == "__main__":
    print(json.dumps(asdict(_Worker(Task(**json.loads(sys.stdin.readline()))).run())))

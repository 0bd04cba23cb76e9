"""The servers that are measured: the bare handler (the limit), Flask (the floor), ours, and any that somebody names."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.load import Endpoint
from bench.reviews import Review
from certs import dev
from tests.controlplane.build import build_go
from tests.controlplane.client import wait_for
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.processes import Process
from webhook.decide import INJECTION_LABEL

BARE = "bare Go handler"
FLASK = "Flask, fixed patch"
OURS = "habitat-webhook"
WATCHING = "habitat-webhook, as installed"

FIXED_LABEL = "bench.habitat.sh/fixed"
"""What the fixed patch of bare/main.go and flask_fixed.py adds to a pod."""

_REPOSITORY = Path(__file__).resolve().parents[1]
_LOOPBACK = "127.0.0.1"
_FLASK_THREADS = 8
_KEEP_ALIVE_SECONDS = 120
_SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {INJECTION_LABEL: "enabled"}}}
"""Where the pods of bench/reviews.py are."""

_START_SECONDS = 30
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; pid is the root of its process tree."""

    name: str
    url: str
    pid: int
    ca: Path | None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.name, urllib.parse.urlsplit(self.url).netloc, self.ca)

    @property
    def path(self) -> str:
        """With the time-out that the API server tells."""
        parts = urllib.parse.urlsplit(self.url)
        return f"{parts.path or '/'}?{parts.query or 'timeout=5s'}"


class Starter:
    """Starts servers on free ports of the loopback address, with logs and certificates in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        bundle = dev.issue([_LOOPBACK, "localhost"], now=datetime.now(UTC))
        dev.write(bundle, directory)
        self._ca, self._certificate, self._key = (directory / n for n in (dev.CA_CERTIFICATE, dev.CERTIFICATE, dev.KEY))

    @contextlib.contextmanager
    def bare(self) -> Iterator[Server]:
        binary = build_go(Path(__file__).parent / "bare", "habitat-bench-bare")
        command = [str(binary), f"-cert={self._certificate}", f"-key={self._key}"]
        with self._running(BARE, command, r"listening at (https://\S+)") as server:
            yield server

    @contextlib.contextmanager
    def flask(self) -> Iterator[Server]:
        """As gunicorn's documentation has it: gthread, its parser and all else by default."""
        command = [sys.executable, "-m", "gunicorn", f"--chdir={_REPOSITORY}", f"--bind={_LOOPBACK}:0"]
        command += ["--worker-class=gthread", f"--threads={_FLASK_THREADS}", f"--keep-alive={_KEEP_ALIVE_SECONDS}"]
        command += [f"--certfile={self._certificate}", f"--keyfile={self._key}", "--no-control-socket"]
        command += ["bench.flask_fixed:app"]
        with self._running(FLASK, command, r"Listening at: (https://\S+)") as server:
            yield server

    @contextlib.contextmanager
    def ours(self) -> Iterator[Server]:
        """With every setting at its default, its log going to a file; no API server tells it of namespaces."""
        with self._serving(OURS, "--namespaces=none") as server:
            yield server

    @contextlib.contextmanager
    def watching(self) -> Iterator[Server]:
        """As it is installed: an API server tells it of namespaces, and takes its Events."""
        with ControlPlane() as cluster:
            cluster.apply(json.dumps(_SHOP))
            with self._serving(WATCHING, f"--kubeconfig={cluster.kubeconfig}", "--events") as server:
                yield server

    @contextlib.contextmanager
    def _serving(self, name: str, *flags: str) -> Iterator[Server]:
        command = [str(Path(sys.executable).with_name("habitat-webhook")), "serve", *flags]
        command += [f"--listen={_LOOPBACK}:0", f"--metrics-listen={_LOOPBACK}:0"]
        command += [f"--tls-cert={self._certificate}", f"--tls-key={self._key}"]
        with self._running(name, command, r'"message":"serving".*?"listen":"([^"]+)"') as server:
            yield server

    @contextlib.contextmanager
    def _running(self, name: str, command: Sequence[str], announced: str) -> Iterator[Server]:
        process = Process(re.sub(r"\W+", "-", name.lower()), command, directory=self._directory)
        process.log.unlink(missing_ok=True)  # of an earlier server of that name, with another port

        def address() -> str | None:
            process.check()
            found = re.search(announced, process.log.read_text())
            return None if found is None else found[1]

        process.start()
        try:
            said = wait_for(f"{name} to say where it listens (in {process.log})", address, seconds=_START_SECONDS)
            base = said if said.startswith("https://") else f"https://{said}"
            yield Server(name, base.removesuffix("/mutate") + "/mutate", process.pid, self._ca)
            process.check()
        finally:
            process.stop(grace_seconds=_STOP_SECONDS)


def named(text: str) -> Server:
    """A server from `name=URL,pid[,ca]`. Raises BenchError saying what is wrong with the text."""
    form = "allowed: name=https://HOST:PORT/PATH,PID[,CA-FILE]"
    name, equals, rest = text.partition("=")
    parts = rest.split(",")
    if not name or not equals or len(parts) not in (2, 3):
        raise BenchError(f"--server {text}: not of that form; {form}")
    url, pid, *ca = parts
    split = urllib.parse.urlsplit(url)
    if split.scheme != "https" or split.port is None:
        raise BenchError(f"--server {text}: {url!r} is no https:// URL with a port; {form}")
    if not pid.isdigit() or not Path("/proc", pid).is_dir():
        raise BenchError(f"--server {text}: no process {pid!r} runs here, so its CPU time cannot be read; {form}")
    if ca and not Path(ca[0]).is_file():
        raise BenchError(f"--server {text}: there is no file {ca[0]}; {form}")
    return Server(name, url, int(pid), Path(ca[0]).absolute() if ca else None)


def ask(server: Server, review: Review) -> bool:
    """Whether the server answers this review with a patch. Raises BenchError when its answer breaks the contract."""
    context = ssl.create_default_context(cafile=None if server.ca is None else str(server.ca))
    connection = http.client.HTTPSConnection(server.endpoint.address, context=context, timeout=_START_SECONDS)
    try:
        with contextlib.closing(connection):
            connection.request("POST", server.path, review.content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{server.name} does not answer at {server.url}: {error}") from error
    wanted = json.loads(review.content)["request"]["uid"]
    try:
        response = json.loads(body)["response"]
        right = answer.status == 200 and response["uid"] == wanted and response["allowed"]
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise BenchError(
            f"{server.name} did not admit the pod of {review.size}: status {answer.status}, {body[:300]!r}; "
            "measured is only what admits it (--annotation adds what an injector asks for)"
        )
    return bool(response.get("patch"))

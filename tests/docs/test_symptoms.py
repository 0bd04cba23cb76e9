"""The runbook's table of symptoms has the API server's own words."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.controlplane.client import Cluster
from tests.docs.page import DOCS
from tests.docs.shop import refusal, register
from tests.support.relay import relay
from tests.support.server import webhook_server
from tests.support.tls import Files

TABLE = (DOCS / "runbook.md").read_text().partition("## Symptoms")[2].partition("\n## ")[0]
SYMPTOMS = [row.split("|")[1] for row in TABLE.splitlines() if row.startswith("| `")]
SERVICE = {"namespace": "habitat-webhook", "name": "habitat-webhook", "path": "/mutate", "port": 443}


def said(cluster: Cluster, *words: str) -> None:
    """Wait for a refusal with these words; they have to be in one row of the table, in this order."""
    rows = [row for row in SYMPTOMS if re.search(".*".join(map(re.escape, words)), row)]
    assert len(rows) == 1, f"{words} are in {len(rows)} rows"
    cluster.wait(f"the words {words}", lambda: all(word in refusal(cluster) for word in words))


@contextlib.contextmanager
def answering(files: Files, status: int, *, late: threading.Event | None = None) -> Iterator[str]:
    """A webhook that knows one answer, and waits with it until `late` is set; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if late is not None:
                late.wait()
            with contextlib.suppress(OSError):  # who asked may have gone
                self.send_error(status)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the class above
            """The tests' own output stays empty."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            if late is not None:
                late.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.issue()
    return made


def test_nobody_listens(down: Cluster) -> None:
    said(down, "failed calling webhook", "connection refused")


def test_no_answer_comes(down: Cluster, files: Files) -> None:
    with answering(files, 200, late=threading.Event()) as url:
        register(down, url, files.ca.read_bytes())
        said(down, "failed calling webhook", "context deadline exceeded")


def test_the_service_is_not_there(down: Cluster) -> None:
    register(down, service=SERVICE)
    said(down, "failed calling webhook", 'service "habitat-webhook" not found')


def test_the_bundle_is_not_that_of_the_certificate(down: Cluster, files: Files) -> None:
    with answering(files, 200) as url:
        register(down, url)
        said(down, "x509: certificate signed by unknown authority")


def test_the_certificate_has_expired(down: Cluster, tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.issue(days=1, ago=timedelta(days=2))
    with answering(files, 200) as url:
        register(down, url, files.ca.read_bytes())
        said(down, "x509: certificate has expired or is not yet valid")


def test_the_webhook_makes_a_mistake(down: Cluster, files: Files) -> None:
    with answering(files, 500) as url:
        register(down, url, files.ca.read_bytes())
        said(down, "failed calling webhook", "an error on the server")


def test_the_webhook_cannot_ask_for_a_namespace(down: Cluster, tmp_path: Path) -> None:
    """By the labels that it has seen last nobody would have asked about the pod."""
    down.kubectl("label", "namespace", "shop", "habitat.sh/injection-")
    port = down.url.rpartition(":")[2]
    kubeconfig = tmp_path / "kubeconfig"
    with contextlib.ExitStack() as stack:
        with relay(int(port)) as between:
            kubeconfig.write_text(down.kubeconfig.read_text().replace(f":{port}", f":{between.port}"))
            server = stack.enter_context(webhook_server(tmp_path, f"--kubeconfig={kubeconfig}"))
            down.wait("serve to know the namespaces", lambda: server.get("/readyz")[0] == 200)
        down.kubectl("label", "namespace", "shop", "habitat.sh/injection=enabled")
        register(down, server.url, server.files.ca.read_bytes())
        said(down, "failed calling webhook", "has to be asked for, since it is new or its label is")


def test_the_user_makes_a_mistake(down: Cluster, tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        register(down, server.url, server.files.ca.read_bytes())
        words = 'admission webhook "inject.habitat.sh" denied the request'
        assert any(words in row for row in SYMPTOMS)
        down.wait("the words", lambda: words in refusal(down, **{"habitat.sh/topology": "circle"}))

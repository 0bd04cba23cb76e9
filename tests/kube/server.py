"""A plain HTTP server in the place of an API server, for answers that a real one gives only in bad times."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request, and the means to answer it, or not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body that goes out after its header would wait 40 ms for an acknowledgement
    server: Scripted
    body: bytes

    def handle_any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(self)
        self.server.answer(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the signature of http.server
        pass

    def send(self, status: int, content: Any, **headers: str) -> None:
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class Scripted(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answer = answer
        self.requests: list[Request] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what much of this is about; other errors are printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """A kubeconfig for this server, with these fields for its user."""
        content = {
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "shop"}}],
        }
        path.write_text(yaml.safe_dump(content))
        return path


@contextlib.contextmanager
def scripted(answer: Answer) -> Iterator[Scripted]:
    with Scripted(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""/livez, /readyz and /metrics of the controller, in plain HTTP on a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CLIENT_SECONDS = 5.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """live, ready: None when all is well, else a sentence that says what is not; the answer is 503 then.

    metrics: the exposition format.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        live: Callable[[], str | None],
        ready: Callable[[], str | None],
        metrics: Callable[[], bytes],
    ) -> None:
        def check(question: Callable[[], str | None]) -> Callable[[], tuple[int, str, bytes]]:
            def answer() -> tuple[int, str, bytes]:
                wrong = question()
                status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
                return status, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()

            return answer

        pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/livez": check(live),
            "/readyz": check(ready),
            "/metrics": lambda: (HTTPStatus.OK, _METRICS_TYPE, metrics()),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = _CLIENT_SECONDS
            server_version = "habitat-webhook"
            sys_version = ""

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class calls it so
                """A probe every few seconds is not worth a line."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(address, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> str:
        """Such as "127.0.0.1:8080", with the port that was taken."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

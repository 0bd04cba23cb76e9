"""One client's connection: handshake, requests and answers, as a generator that yields what it waits for.

Nothing here blocks. Where gunicorn's own threads read from a socket until a request is complete (and so can be held by
a client that sends slowly), `receive` collects what has come and yields until the rest is there; gunicorn's parser then
finds the whole head in memory, and the application the whole body.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Generator
from typing import Any, Literal, TypeAlias

from gunicorn.config import Config
from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader

from webhook.server.app import MAX_BODY, error_kind
from webhook.server.metrics import ErrorKind

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Waits: TypeAlias = Generator[int, None, None]
Phase: TypeAlias = Literal["handshake", "idle", "request", "answer", "closing"]

MAX_HEAD = 64 * 1024
LINGER_SECONDS = 2.0
_CHUNK = 64 * 1024
_LINGER_BYTES = 2 * MAX_BODY  # enough for a client that sends all of a body that was refused before it looks


class RequestError(Exception):
    """A request that gets an HTTP error and the end of its connection; kind: under which it is counted."""

    def __init__(self, status: int, message: str, kind: ErrorKind | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind or error_kind(status)


class ClientGone(Exception):  # noqa: N818 - no error of ours
    """The client closed its connection while nothing was owed to it."""


class Inbox(Unreader):  # type: ignore[misc]  # gunicorn ships no types
    """What has come from the client and was not consumed yet.

    gunicorn's parser reads from it and finds the end of the stream where the bytes end: it never waits.
    """

    def chunk(self, size_hint: int | None = None) -> bytes:  # noqa: ARG002 - gunicorn's signature
        return b""

    def add(self, data: bytes) -> None:
        self.buf.seek(0, os.SEEK_END)
        self.buf.write(data)

    def __len__(self) -> int:
        return int(self.buf.getbuffer().nbytes)

    def has_head(self) -> bool:
        return b"\r\n\r\n" in self.buf.getvalue()


class Outbox:
    """Stands for the socket towards gunicorn's Response; head and body then leave in one write, one TLS record."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)

    send = sendall

    def take(self) -> memoryview:
        data = memoryview(b"".join(self.parts))
        self.parts.clear()
        return data


class Connection:
    """The state of one connection.

    deadline: monotonic seconds at which the worker ends it. secure: whether the client speaks TLS. body_length: bytes
    that the request under way has or will have in memory. waits_for: what the poller has been asked to watch for.
    """

    __slots__ = (
        "application", "body_length", "client", "deadline", "inbox", "life", "outbox", "parser", "phase",
        "secure", "server", "sock", "waits_for",
    )  # fmt: skip

    def __init__(self, cfg: Config, sock: socket.socket, client: Any, server: Any, application: Any) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.application = application
        self.inbox = Inbox()
        self.outbox = Outbox()
        self.parser = RequestParser(cfg, (), client)
        self.parser.unreader = self.inbox
        self.phase: Phase = "handshake"
        self.deadline = 0.0
        self.body_length = 0
        self.waits_for = 0
        self.life: Waits = iter(())  # type: ignore[assignment]  # the worker gives it one
        self.secure = isinstance(sock, ssl.SSLSocket)

    def enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.deadline = time.monotonic() + seconds

    def handshake(self) -> Waits:
        """TLS; raises ssl.SSLError or OSError when it fails."""
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - for the type checker
        while True:
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE
            else:
                return

    def receive(self, timeout: float, room: Callable[[int], None]) -> Generator[int, None, Request]:
        """The next request, its body in memory unless it is refused for its size or lack of one.

        room: called with a body's length before any of it is collected; raises RequestError when that is too much now.
        Raises ClientGone between two requests, RequestError within one, and gunicorn's ParseException.
        """
        if not self.has_bytes():
            yield READ
        self.enter("request", timeout)
        while not self.inbox.has_head():
            try:
                more = yield from self._pull()
            except ConnectionError:
                more = 0
            if not more and not len(self.inbox):
                raise ClientGone
            if not more:
                raise RequestError(400, "the request ended within its head", "truncated")
            if len(self.inbox) > MAX_HEAD:
                raise RequestError(431, f"the request's head is over {MAX_HEAD} bytes")
        request = next(self.parser)
        request.scheme = "https" if self.secure else "http"
        yield from self._body(request, room)
        return request

    def has_bytes(self) -> bool:
        return len(self.inbox) > 0 or (self.secure and self.sock.pending() > 0)  # type: ignore[attr-defined]

    def _body(self, request: Request, room: Callable[[int], None]) -> Waits:
        reader = request.body.reader
        if not isinstance(reader, LengthReader) or reader.length > MAX_BODY:
            request.force_close()  # the application refuses it by its head; what comes of the body is not read
            return
        room(reader.length)
        self.body_length = reader.length
        if len(self.inbox) < reader.length and any(name == "EXPECT" for name, _ in request.headers):
            self.outbox.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            yield from self.flush()
        while len(self.inbox) < reader.length:
            more = yield from self._pull()
            if not more:
                raise RequestError(400, f"the body ended after {len(self.inbox)} of {reader.length} bytes", "truncated")

    def finish(self) -> bool:
        """Drop what the application has not read of a body, or it would be taken for the next request."""
        return bool(self.parser.finish_body())

    def _pull(self) -> Generator[int, None, int]:
        """Wait for bytes and take them in; 0 at the end of the stream."""
        while True:
            try:
                data = self.sock.recv(_CHUNK)
            except (ssl.SSLWantReadError, BlockingIOError):
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE
            else:
                self.inbox.add(data)
                return len(data)

    def flush(self) -> Waits:
        """Send what the outbox holds."""
        data = self.outbox.take()
        while data:
            try:
                sent = self.sock.send(data)
            except ssl.SSLWantReadError:
                yield READ
            except (ssl.SSLWantWriteError, BlockingIOError):
                yield WRITE
            else:
                data = data[sent:]

    def linger(self) -> Waits:
        """Half-close, then read on until the client has closed too (RFC 9112 §9.6).

        Closing at once, with bytes of the client unread, would reset the connection and could destroy the last answer.
        """
        self.enter("closing", LINGER_SECONDS)
        if self.secure:
            with contextlib.suppress(OSError, ValueError):  # sends close_notify; the client's own is not waited for
                self.sock.unwrap()  # type: ignore[attr-defined]
        self.sock.shutdown(socket.SHUT_WR)
        taken = 0
        while taken < _LINGER_BYTES:
            yield READ
            data = self.sock.recv(_CHUNK)
            if not data:
                return
            taken += len(data)

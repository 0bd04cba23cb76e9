"""gunicorn's threaded worker, with a poller that waits for no client and answers small reviews itself.

What differs from `gunicorn.workers.gthread`, and why:

- There a thread does the TLS handshake and reads a request with blocking calls that have no time-out, so as many slow
  clients as there are threads stop the server. Here the poller collects what has come (`connection.py`), each phase has
  a deadline, and a thread sees complete requests only.
- A small review takes about as long as handing it to another thread and back, and threads gain nothing for pure Python.
  So only those above INLINE_BYTES go to the pool, and the others do not wait behind them.
- Head and body of an answer leave in one write.

HTTP itself stays gunicorn's: parser, WSGI environment, response.
"""

from __future__ import annotations

import errno
import gc
import math
import signal
import ssl
import time
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Any

# gunicorn would load its C parser at the first request, when there may be no file descriptor left for that.
import gunicorn_h1c  # type: ignore[import-untyped] # noqa: F401
from gunicorn.http import errors, wsgi
from gunicorn.http.message import Request
from gunicorn.workers.gthread import ThreadWorker

from webhook.log import trace
from webhook.server.app import Later, error_body
from webhook.server.connection import READ, WRITE, ClientGone, Connection, Phase, RequestError, Waits
from webhook.server.metrics import ErrorKind

INLINE_BYTES = 64 * 1024
"""A review of this size takes a few milliseconds, which the other clients can wait."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Bodies above INLINE_BYTES, of all clients together: what slow or many clients can make the process hold."""

STOP_IDLE_SECONDS = 2.0
"""A stopping server keeps connections without a request so long: one may be on its way, to get `Connection: close`."""

_TICK_SECONDS = 1.0
_WORTH: dict[Phase, int] = {"closing": 0, "handshake": 1, "idle": 2, "request": 3, "answer": 4}
_STATUSES: dict[type[Exception], int] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}


class ReviewWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The worker of `webhook.server.run.Server`, whose first listener speaks TLS and the second plain HTTP."""

    def init_process(self) -> None:
        self.server = self.app
        self.settings = self.server.settings
        self.connections: set[Connection] = set()
        self.next_tick = 0.0
        self.stop_at = math.inf
        # As plain attributes: gunicorn asks for sixteen settings a request, and each goes through __getattr__.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def run(self) -> None:
        self.poller.register(self.method_queue.fileno(), READ, self.method_queue.run_callbacks)
        self._tick()
        gc.collect()
        gc.freeze()  # what is loaded now lives as long as the process: no collection has to look at it again
        self.set_accept_enabled(True)
        self.server.start(self)
        while time.monotonic() < self.stop_at:
            self._turn(self.stop_at)
        self._drain()
        self.server.stop()
        self.server.log("info", "stopped", pid=self.pid)
        self.tpool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()

    def _turn(self, until: float) -> None:
        wake = min(self.next_tick, until)
        self.wait_for_and_dispatch_events(timeout=max(0.0, wake - time.monotonic()))
        if time.monotonic() >= self.next_tick:
            self._tick()

    def _tick(self) -> None:
        """Once a second: the arbiter's heartbeat, what the server looks at, and clients whose time is over."""
        now = time.monotonic()
        self.next_tick = now + _TICK_SECONDS
        self.notify()
        if not self.is_parent_alive():
            self.stop_at = now
        self.server.tick()
        for connection in [c for c in self.connections if c.deadline <= now]:
            self._expire(connection)

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGHUP, self.handle_hup)

    def handle_hup(self, sig: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler's signature
        """From the arbiter. Done in the loop: the signal may come in the middle of a line of the log."""
        self.method_queue.defer(self.server.switch_log)

    # stopping

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler's signature
        """SIGTERM: not ready from now on; after the delay no new connections, and an end to those there are."""
        if not self.server.readiness.stopping:
            self.server.readiness.stopping = True
            self.stop_at = time.monotonic() + self.settings.shutdown_delay
            self.method_queue.defer(lambda: None)  # wakes the poller

    def _drain(self) -> None:
        self.server.readiness.stopping = True
        self.alive = False
        self.server.log("info", "draining", pid=self.pid, connections=len(self.connections))
        for listener in self.sockets:
            while self.accept(listener):
                pass  # those that the kernel has accepted already
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        end = time.monotonic() + self.settings.drain_timeout
        for connection in self.connections:
            if connection.phase in ("idle", "handshake"):
                connection.deadline = min(connection.deadline, time.monotonic() + STOP_IDLE_SECONDS)
        while self.connections and time.monotonic() < end:
            self._turn(end)
        for connection in list(self.connections):
            self._close(connection)

    # connections

    def accept(self, listener: Any) -> bool:
        """Take in one connection; False when none is waiting."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return False
        if len(self.connections) >= self.settings.max_connections:
            self._make_room()
        secure = listener is self.sockets[0]
        try:
            sock.setblocking(False)
            if secure:
                context = self.server.certificate.current()
                if context is None:
                    raise ssl.SSLError(0, "no certificate has been loaded yet")
                sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError as error:  # ssl.SSLError is one; also a client that has gone again already
            self._failed("tls", client, "handshake", error)
            sock.close()
            return True
        application = self.server.admission if secure else self.server.health
        connection = Connection(self.cfg, sock, client, listener.getsockname(), application)
        connection.life = self._live(connection)
        self.connections.add(connection)
        self._advance(connection)
        return True

    def _make_room(self) -> None:
        """Close the connection that is worth least: a flood of new ones is to end its own, not the API server's."""
        victim = min(self.connections, key=lambda c: (_WORTH[c.phase], c.deadline), default=None)
        self.server.metrics.errors["overloaded"].inc()
        if victim is not None:
            self._close(victim)

    def _advance(self, connection: Connection, _sock: Any = None, *, error: RequestError | None = None) -> None:
        """Go on with a connection until it has to wait, and have the poller watch for what it waits for.

        error: raised where it waits now.
        """
        if connection not in self.connections:
            return  # closed while its review was in a thread
        try:
            waits_for = connection.life.throw(error) if error else next(connection.life)
        except StopIteration:
            self._close(connection)
            return
        except OSError as error:  # ssl.SSLError is one
            kind: ErrorKind = "tls" if connection.phase == "handshake" else "truncated"
            self._failed(kind, connection.client, connection.phase, error)
            self._close(connection)
            return
        self._watch(connection, waits_for)

    def _watch(self, connection: Connection, waits_for: int) -> None:
        if waits_for == connection.waits_for:
            return
        if not waits_for:
            self.poller.unregister(connection.sock)
        elif connection.waits_for:
            self.poller.modify(connection.sock, waits_for, partial(self._advance, connection))
        else:
            self.poller.register(connection.sock, waits_for, partial(self._advance, connection))
        connection.waits_for = waits_for

    def _close(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self.connections.discard(connection)
        connection.life.close()
        connection.sock.close()

    def _expire(self, connection: Connection) -> None:
        if connection.phase == "request":
            error = RequestError(408, f"the request was not complete after {self.settings.client_timeout:g} s")
            self._advance(connection, error=error)
            return
        if connection.phase in ("handshake", "answer"):
            self._failed("timeout", connection.client, connection.phase, TimeoutError("the client is too slow"))
        self._close(connection)

    def _failed(self, kind: ErrorKind, client: Any, phase: Phase, error: Exception) -> None:
        """Count and log a connection that ended otherwise than it should.

        One that was only opened and closed, as port checks do, is neither.
        """
        port_check = phase == "handshake" and isinstance(error, ConnectionError | ssl.SSLEOFError)
        if port_check or phase in ("idle", "closing"):
            return
        self.server.metrics.errors[kind].inc()
        reason = getattr(error, "reason", None) or str(error)
        self.server.log("warning", f"connection failed during its {phase}: {reason}", client=client[0])

    # a connection's life

    def _live(self, connection: Connection) -> Waits:
        settings = self.settings
        if connection.secure:
            connection.enter("handshake", settings.client_timeout)
            yield from connection.handshake()
        try:
            while True:
                connection.enter("idle", settings.keep_alive if self.alive else STOP_IDLE_SECONDS)
                request = yield from connection.receive(settings.client_timeout, self._room)
                keep = yield from self._answer(connection, request)
                connection.body_length = 0
                if not keep:
                    break
                if connection.has_bytes():
                    yield WRITE  # at once, but after the other clients
        except ClientGone:
            return
        except RequestError as error:
            yield from self._refuse(connection, error)
        except (errors.ParseException, errors.NoMoreData) as error:
            yield from self._refuse(connection, RequestError(_STATUSES.get(type(error), 400), str(error)))
        except OSError:
            raise  # the connection's own: see _advance
        except Exception as error:  # noqa: BLE001 - one request must never end the worker
            self.server.log("error", "the server itself failed on a request", exception=trace(error))
            connection.outbox.take()
            yield from self._refuse(connection, RequestError(500, "habitat-webhook failed; its log says how"))
        else:
            yield from connection.linger()

    def _room(self, length: int) -> None:
        waiting = sum(c.body_length for c in self.connections if c.body_length > INLINE_BYTES)
        if length > INLINE_BYTES and waiting + length > MAX_WAITING_BYTES:
            raise RequestError(503, "too many large reviews at once; try again")

    def _answer(self, connection: Connection, request: Request) -> Generator[int, None, bool]:
        """Answer one request; whether the connection can be used for another one."""
        connection.enter("answer", math.inf)
        if connection.body_length > INLINE_BYTES:
            future = self.tpool.submit(self._respond, connection, request)
            yield from self._until(future, connection)
            keep: bool = future.result()
        else:
            response, body = self._call(connection, request)
            if isinstance(body, Later):
                yield from self._until(body.ready, connection)
            keep = self._write(connection, response, body)
        connection.enter("answer", self.settings.client_timeout)
        yield from connection.flush()
        return keep

    def _until(self, done: Future[Any], connection: Connection) -> Waits:
        """Let the other clients be served until it is done."""
        done.add_done_callback(partial(self._resume, connection))
        yield 0

    def _resume(self, connection: Connection, _future: Future[Any]) -> None:
        self.method_queue.defer(self._advance, connection)

    def _respond(self, connection: Connection, request: Request) -> bool:
        """Run the application; its answer is in the outbox then. Whether the connection can be kept."""
        return self._write(connection, *self._call(connection, request))

    def _call(self, connection: Connection, request: Request) -> tuple[wsgi.Response, Iterable[bytes]]:
        response, environ = wsgi.create(request, connection.outbox, connection.client, connection.server, self.cfg)
        connection.outbox.take()  # gunicorn's 100 Continue, which was sent before the body came
        return response, connection.application(environ, response.start_response)

    def _write(self, connection: Connection, response: wsgi.Response, body: Iterable[bytes]) -> bool:
        if self.server.readiness.stopping:
            response.force_close()
        try:
            for part in body:
                response.write(part)
            response.close()
        finally:
            if hasattr(body, "close"):
                body.close()
        return not response.should_close() and connection.finish()

    def _refuse(self, connection: Connection, error: RequestError) -> Waits:
        """Answer a request that never reached the application, and end the connection."""
        self.server.metrics.errors[error.kind].inc()
        self.server.log("warning", str(error), status=error.status, client=connection.client[0])
        body = error_body(error.status, str(error))
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        connection.enter("closing", self.settings.client_timeout)
        connection.outbox.sendall(head.encode() + body)
        yield from connection.flush()
        yield from connection.linger()

"""What stands between clients and a port of this machine, and can let a part of a request through and keep the rest."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator

_CHUNK = 16 * 1024


class Relay:
    """Listens on `port` of loopback until `stop`. It knows nothing of TLS: it counts bytes."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._left = math.inf
        self._changed = threading.Condition()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, name="relay")]
        self._threads[0].start()

    def hold(self, after: int) -> None:
        """Let so many more bytes of clients through, and then none until `release`."""
        with self._changed:
            self._left = after

    def release(self) -> None:
        with self._changed:
            self._left = math.inf
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends all connections."""
        self.release()
        _shut(self._listener)
        self._threads[0].join()
        _shut(*self._ends)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # of accept: the end
            while True:
                client, _ = self._listener.accept()
                self._ends.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    _shut(client)
                    continue
                self._ends.append(server)
                for source, to, take in ((client, server, self._take), (server, client, int)):
                    thread = threading.Thread(target=_pass, args=(source, to, take), name="relay")
                    self._threads.append(thread)
                    thread.start()

    def _take(self, size: int) -> int:
        """How many of these bytes may pass, at least one; waits for that."""
        with self._changed:
            self._changed.wait_for(lambda: self._left >= 1)
            taken = int(min(self._left, size))
            self._left -= taken
            return taken


def _pass(source: socket.socket, to: socket.socket, take: Callable[[int], int]) -> None:
    with contextlib.suppress(OSError):  # either side has gone, which the other is told
        while data := source.recv(_CHUNK):
            while data:
                size = take(len(data))
                to.sendall(data[:size])
                data = data[size:]
    _shut(source, to)


def _shut(*ends: socket.socket) -> None:
    """Wakes whoever reads or accepts there, which closing does not."""
    for end in ends:
        with contextlib.suppress(OSError):  # it has ended already
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(target: int) -> Iterator[Relay]:
    """One that is stopped at the end of the block."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.stop()

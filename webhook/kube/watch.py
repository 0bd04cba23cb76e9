"""A watch: one long answer of JSON objects, a line each.

Not `kubernetes.watch` (version 37): unless told otherwise it decodes an event, encodes it again and decodes that into
a typed model; it skips a line that is not JSON without a word; it asks for the next watch without any delay; and on a
connection that has died silently it waits for ever. Here a line is decoded once, by orjson.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import orjson
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from webhook.kube.errors import NO_ANSWER, ApiError, from_status

_CHUNK_BYTES = 64 * 1024


class Lines:
    """Cuts a stream of bytes into lines, wherever its chunks end."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk ends, without their newlines and without empty ones."""
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*self._begun, ended[0]])
            self._begun.clear()
        if rest:
            self._begun.append(rest)
        return [line for line in ended if line]


class Watch(Iterator[tuple[str, dict[str, Any]]]):
    """Events as they come: ("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK", the object).

    Ends when the server ends it, or after `stop`. Iterating raises ApiError: for an ERROR event with the status of its
    Status object (410: the resourceVersion is too old, list again), and with status 0 for a broken connection.
    One thread iterates; `stop` may come from any other. Close it, by `with` for instance.
    """

    def __init__(self, response: BaseHTTPResponse, call: str) -> None:
        self._response = response
        self._call = call
        self._lines = Lines()
        self._waiting: deque[bytes] = deque()
        self._closing = threading.Lock()
        self._closed = False
        self._stopped = False

    def __next__(self) -> tuple[str, dict[str, Any]]:
        while not self._waiting:
            chunk = self._read()
            if not chunk:
                raise StopIteration
            self._waiting.extend(self._lines.feed(chunk))
        if self._stopped:
            raise StopIteration
        try:
            event = orjson.loads(self._waiting.popleft())
            kind, found = event["type"], event["object"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            # Without what it comes from, which quotes the line.
            raise ApiError(NO_ANSWER, "BadEvent", "a line of the watch is no event", call=self._call) from None
        if kind == "ERROR":
            raise from_status(found, call=self._call)
        return kind, found

    def _read(self) -> bytes:
        """What has come, at least one byte; b"" at the end."""
        try:
            chunk = self._response.read1(_CHUNK_BYTES)
        except (HTTPError, OSError, ValueError) as error:  # ValueError: the socket was shut down between two reads
            if self._stopped:
                return b""
            raise ApiError(NO_ANSWER, type(error).__name__, str(error), call=self._call) from error
        # After `stop` TLS is torn down, and what still comes may be its bytes rather than ours.
        return b"" if self._stopped else chunk

    def stop(self) -> None:
        """End the watch from another thread: whoever waits for the next event gets the end, at once."""
        self._stopped = True
        # ValueError, RuntimeError, OSError: it was over by itself a moment before.
        with self._closing, contextlib.suppress(ValueError, RuntimeError, OSError):
            if not self._closed:
                self._response.shutdown()

    def close(self) -> None:
        """Give the connection up. Only by the thread that iterates."""
        with self._closing:
            self._closed = True
            self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

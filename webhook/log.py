"""One JSON object a line on stdout: decisions, gunicorn's own messages, and what libraries log."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


class Log:
    """Lines from `level` up go to `stream`, each in one write."""

    def __init__(self, level: str = "info", stream: BinaryIO | None = None) -> None:
        self._given = self.least = _number(level)
        self.stream = stream

    def switch(self) -> str:
        """Log everything from now on, or again from the level that was given; which of the two it is, in a word."""
        self.least = self._given if self.least == logging.DEBUG else logging.DEBUG
        return logging.getLevelName(self.least).lower()

    def __call__(self, level: str, message: str, **fields: Any) -> None:
        """One line: time, level, message, then the fields. Fields must be what JSON can hold."""
        if _number(level) < self.least:
            return
        line = orjson.dumps(
            {"time": datetime.now(UTC), "level": level, "message": message, **fields}, option=_OPTIONS, default=str
        )
        stream = self.stream or sys.stdout.buffer
        with contextlib.suppress(
            OSError
        ):  # a reader that has gone must not fail the review; there is nowhere to say it
            stream.write(line)
            stream.flush()


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def trace(error: BaseException) -> str:
    """Frames and types of an exception, after those of what it came from.

    Without the exceptions' own texts: they can quote a value of the pod's, and no such value goes into the log.
    """
    parts: list[str] = []
    at: BaseException | None = error
    while at is not None:
        parts.insert(0, "".join(traceback.format_tb(at.__traceback__)) + type(at).__qualname__)
        at = at.__cause__ or at.__context__
    return "\nthen:\n".join(parts)


class JsonHandler(logging.Handler):
    """Brings what is logged through `logging` into the same form; a traceback is one field, not many lines."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = trace(record.exc_info[1])
        self.log(record.levelname.lower(), record.getMessage(), **fields)

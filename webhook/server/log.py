"""One JSON object a line on stdout: decisions, gunicorn's own messages, and what libraries log."""

from __future__ import annotations

import contextlib
import logging
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


class Log:
    """Lines from `level` up go to `stream`, each in one write."""

    def __init__(self, level: str = "info", stream: BinaryIO | None = None) -> None:
        self.least = _number(level)
        self.stream = stream

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


class JsonHandler(logging.Handler):
    """Brings what is logged through `logging` into the same form; a traceback is one field, not many lines."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exception"] = (self.formatter or logging.Formatter()).formatException(record.exc_info)
        self.log(record.levelname.lower(), record.getMessage(), **fields)

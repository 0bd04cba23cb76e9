"""What stops a benchmark."""

from __future__ import annotations


class BenchError(RuntimeError):
    """Something could not be measured; the text says what, and what to do."""

"""Drives the load generator of bench/load."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.errors import BenchError
from tests.controlplane.build import build_go

_EXIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to ask: host:port, the CA of its certificate (None: the system's), the client's own pair if it needs one."""

    name: str
    address: str
    ca: Path | None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """A kind of request: POST to path, the bodies in turn."""

    name: str
    path: str
    bodies: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Timing:
    """Latencies of `requests` answers, in milliseconds."""

    requests: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Result:
    """What one phase saw. by_name: for each kind of request."""

    seconds: float
    requests: int
    reconnects: int
    all: Timing
    by_name: dict[str, Timing]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def build_load() -> Path:
    """The load generator. Raises BuildError, ToolchainError."""
    return build_go(Path(__file__).parent / "load", "habitat-bench-load")


class Load:
    """Connections to one endpoint, open from here to the end of the `with` block.

    Raises BenchError when they cannot be opened, and in `phase` when an answer has another status than `status`.
    """

    def __init__(
        self, binary: Path, endpoint: Endpoint, requests: Sequence[Requests], *, connections: int, status: int = 200
    ) -> None:
        self.endpoint = endpoint
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        job = {
            "address": endpoint.address,
            "ca": str(endpoint.ca or ""),
            "certificate": str(endpoint.certificate or ""),
            "key": str(endpoint.key or ""),
            "connections": connections,
            "status": status,
            "targets": [
                {"name": one.name, "path": one.path, "bodies": [str(body) for body in one.bodies]} for one in requests
            ],
        }
        try:
            self._exchange(job)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The end of its input is the generator's sign to end."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def phase(self, requests: int, seconds: float) -> Result:
        """Ask until `requests` are answered or `seconds` are over."""
        found = self._exchange({"requests": requests, "seconds": seconds})
        if found["errors"]:
            raise BenchError(
                f"{self.endpoint.name}: {found['errors']} of {found['errors'] + found['requests']} requests failed; "
                f"the first: {found['first_error']}"
            )
        if not found["requests"]:
            raise BenchError(f"{self.endpoint.name}: no answer within {seconds:g} s")
        by_name = {name: _timing(one) for name, one in found["targets"].items()}
        return Result(found["seconds"], found["requests"], found["reconnects"], _timing(found["all"]), by_name)

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        line = ""
        with suppress(BrokenPipeError):  # it has ended, and says why below
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
            line = stdout.readline()
        if not line:
            self._process.wait(_EXIT_SECONDS)
            self._said.seek(0)
            raise BenchError(f"{self.endpoint.name}: {self._said.read().decode(errors='replace').strip()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _timing(found: dict[str, Any]) -> Timing:
    return Timing(found["requests"], found["p50_us"] / 1000, found["p99_us"] / 1000)

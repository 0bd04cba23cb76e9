"""Containers and pods in one line, for tests that are about a command line or a variable."""

from __future__ import annotations

from typing import Any

from tests.support.supervisor.start import start
from tests.support.supervisor.verdict import Exit, Running


def container(*args: str, **env: str) -> dict[str, Any]:
    """A container of an exported image whose licence is accepted."""
    variables = {"HAB_LICENSE": "accept-no-persist"} | env
    made: dict[str, Any] = {"name": "web", "env": [{"name": n, "value": v} for n, v in variables.items() if v != "-"]}
    return made | ({"args": list(args)} if args else {})


def run(*args: str, **env: str) -> Running:
    started = start(container(*args, **env))
    assert isinstance(started, Running), started
    return started


def exit_code(*args: str, **env: str) -> int:
    started = start(container(*args, **env))
    assert isinstance(started, Exit), started
    return started.code


def pod(made: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-1"}, "spec": {"containers": [made], **spec}}

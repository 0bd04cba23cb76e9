from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from webhook.kube.client import Client
from webhook.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane.client import Cluster


class KeptLog(Log):
    """A log whose lines a test can look at."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        super().__init__("debug", self.kept)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.kept.getvalue().splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == message]


@pytest.fixture
def log() -> KeptLog:
    return KeptLog()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """The administrator."""
    made = Client.connect(cluster.kubeconfig)
    yield made
    made.close()

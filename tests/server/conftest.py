from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.server import WebhookServer, webhook_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    """One server for a module's tests that leave it as they found it."""
    with webhook_server(tmp_path_factory.mktemp("server")) as running:
        yield running

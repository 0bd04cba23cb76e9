"""Several threads look at rings: what is remembered of one ring is not lost by a look at another."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from webhook.kube.client import Client
from webhook.ring.metrics import Metrics
from webhook.ring.pods import Member, member
from webhook.ring.reconcile.keys import Keys
from webhook.ring.reconcile.steps import Steps
from webhook.rings import Ring

RINGS = [Ring("shop", f"ring-{n}") for n in range(30)]
ROUNDS = 60


class Missing:
    """An API server that answers each dry run with: there is no such Secret."""

    def create(self, _path: str, _body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        assert dry_run
        return {}


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def user(ring: Ring) -> Member:
    """A pod that has run with the ring's key."""
    pod = member({"metadata": {"namespace": ring.namespace, "name": ring.name, "uid": ring.name}})
    return replace(pod, key_secret=ring.key_secret_in(ring.namespace), started=True, injected=True)


def test_missing_keys_are_counted_right_while_other_rings_are_looked_at() -> None:
    metrics = Metrics()
    client = cast("Client", Missing())
    looker = Keys(client, check=0.0, allowed=lambda: True, metrics=metrics, tell=lambda *_said: None)
    errors: list[BaseException] = []

    def run(rings: list[Ring], *, used: bool) -> None:
        try:
            for _ in range(ROUNDS):
                for ring in rings:
                    looker.look(ring, [user(ring)] if used else [], None, Steps())
        except BaseException as error:  # noqa: BLE001 -- for the test's own thread
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(RINGS[:10],), kwargs={"used": True}),
        threading.Thread(target=run, args=(RINGS[10:20],), kwargs={"used": True}),
        threading.Thread(target=run, args=(RINGS[20:],), kwargs={"used": False}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert b"ring_keys_missing 20.0" in metrics.text()

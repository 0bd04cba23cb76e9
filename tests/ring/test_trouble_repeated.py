"""What cannot be done is not tried at every look, and what was remembered as a leader is not kept for the next time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from webhook.kube.client import Client
from webhook.kube.errors import ApiError
from webhook.kube.events import Recorder
from webhook.ring import service
from webhook.ring.metrics import Metrics
from webhook.ring.pods import Member, member
from webhook.ring.reconcile import keys as keys_module
from webhook.ring.reconcile import services as services_module
from webhook.ring.reconcile.keys import Keys
from webhook.ring.reconcile.services import Services
from webhook.ring.reconcile.steps import Steps
from webhook.rings import Ring

RING = Ring("shop", "payments")


@dataclass(slots=True)
class Server:
    """An API server that refuses what is made, and has what is listed. asked: what it was asked, in that order."""

    refusal: ApiError
    listed: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def create(self, path: str, _body: dict[str, Any], **_options: Any) -> dict[str, Any]:
        self.asked.append(f"create {path}")
        raise self.refusal

    def list(self, path: str, **_options: Any) -> list[tuple[list[dict[str, Any]], str]]:
        self.asked.append(f"list {path}")
        return [(self.listed, "1")]

    def delete(self, path: str, **_options: Any) -> None:
        self.asked.append(f"delete {path}")


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (keys_module, services_module):
        monkeypatch.setattr(module.time, "monotonic", made)
    return made


class NoEvents:
    def event(self, *_said: Any) -> None:
        """Not what is looked at here."""


def services(server: Server, metrics: Metrics, store: dict[str, dict[str, Any]]) -> Services:
    return Services(
        cast("Client", server),
        store,
        linger=300.0,
        allowed=lambda: True,
        metrics=metrics,
        events=cast("Recorder", NoEvents()),
    )


def keys(server: Server, metrics: Metrics) -> Keys:
    return Keys(cast("Client", server), check=60.0, allowed=lambda: True, metrics=metrics, tell=lambda *_said: None)


def user(*, started: bool) -> Member:
    pod = member({"metadata": {"namespace": "shop", "name": "one", "uid": "one"}})
    return replace(pod, key_secret=RING.key_secret_in("shop"), started=started, injected=True)


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.exposition.registry.get_sample_value(f"habitat_webhook_{name}")


def foreign() -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": RING.service, "uid": "1", "labels": {}}}


def test_taken_service_name_is_looked_at_once_a_minute_however_many_pods_come(clock: Clock) -> None:
    server = Server(ApiError(409, "AlreadyExists", "taken"), [foreign()])
    metrics = Metrics()
    looked = services(server, metrics, {})
    for _ in range(50):
        again = looked.needed(RING, [], None)
        assert again is not None
        assert 0 < again <= services_module.FOREIGN_SECONDS
        clock.now += 0.5
    assert len(server.asked) == 2  # the create and the list
    clock.now += services_module.FOREIGN_SECONDS
    looked.needed(RING, [], None)
    assert len(server.asked) == 4
    assert gauge(metrics, "foreign_services") == 1


def test_missing_namespace_is_told_and_no_silence() -> None:
    missing = ApiError(404, "NotFound", 'namespaces "shop" not found')
    with pytest.raises(ApiError, match="namespaces"):
        services(Server(missing), Metrics(), {}).needed(RING, [], None)


def test_refused_secret_is_tried_once_a_second_however_many_pods_come(clock: Clock) -> None:
    server = Server(ApiError(403, "Forbidden", "exceeded quota"))
    looked = keys(server, Metrics())
    errors = 0
    for _ in range(40):
        steps = Steps()
        looked.look(RING, [user(started=False)], None, steps)
        errors += len(steps.errors)
        assert min(steps.times) <= keys_module.TRY_SECONDS or steps.errors
        clock.now += 0.1
    assert len(server.asked) == errors == 4


def test_leader_that_leads_again_gives_an_empty_ring_all_its_time(clock: Clock) -> None:
    """Meanwhile another may have led, and the ring may have had members."""
    server = Server(ApiError(500, "InternalError", "not asked"))
    found = service.desired(RING) | {"metadata": service.desired(RING)["metadata"] | {"uid": "1"}}
    looked = services(server, Metrics(), {f"shop/{RING.service}": found})
    assert looked.empty(RING) == 300.0
    clock.now += 3600
    looked.clear()
    assert looked.empty(RING) == 300.0
    assert server.asked == []
    clock.now += 301
    assert looked.empty(RING) is None
    assert [asked.split()[0] for asked in server.asked] == ["delete"]


@pytest.mark.parametrize("name", ["ring_keys_missing", "foreign_services"])
def test_who_leads_no_more_claims_nothing(clock: Clock, name: str) -> None:
    metrics = Metrics()
    cleared: list[Callable[[], None]] = []
    looked = services(Server(ApiError(409, "AlreadyExists", "taken"), [foreign()]), metrics, {})
    looked.needed(RING, [], None)
    cleared.append(looked.clear)

    class Gone(Server):
        def create(self, path: str, body: dict[str, Any], **_options: Any) -> dict[str, Any]:
            return {}

    missed = keys(Gone(ApiError(500, "InternalError", "not asked")), metrics)
    missed.look(RING, [user(started=True)], None, Steps())
    cleared.append(missed.clear)
    assert gauge(metrics, name) == 1
    for clear in cleared:
        clear()
    assert gauge(metrics, name) == 0

"""When `serve` asks for a namespace, and what becomes of the review meanwhile; with a client that counts its calls."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.support.reviews import encoded, pod, review
from tests.support.server import WebhookServer, webhook_server
from webhook.decide import INJECTION_LABEL, Settings
from webhook.kube.errors import NO_ANSWER, ApiError
from webhook.log import Log
from webhook.namespaces import Namespace
from webhook.review import read
from webhook.server import namespaces as module
from webhook.server.asking import NamespaceError, Unsettled
from webhook.server.namespaces import FAILED_SECONDS, KEPT_SECONDS, Namespaces
from webhook.server.surroundings import Surroundings

ENABLED = {INJECTION_LABEL: "enabled"}
PATIENCE = 20.0


class Counting:
    """A client that has some namespaces, and counts what it is asked. gate: cleared, it keeps its answers back."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self.labels = labels
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.away = False

    def get(self, path: str, *, metadata_only: bool, seconds: float) -> dict[str, Any]:
        assert metadata_only
        assert seconds == module.READ_SECONDS
        self.calls.append(path)
        assert self.gate.wait(PATIENCE)
        name = path.rpartition("/")[2]
        if self.away:
            raise ApiError(NO_ANSWER, "ConnectTimeoutError", "no route", call=f"GET {path}")
        if name not in self.labels:
            raise ApiError(404, "NotFound", "not found", call=f"GET {path}")
        return {"metadata": {"name": name, "labels": self.labels[name]}}


class Known:
    """Namespaces whose watch stands still. clock: monotonic seconds, to be moved."""

    def __init__(self, client: Counting) -> None:
        self.clock = 1000.0
        self.client = client
        self.ends: list[str] = []
        self.log = io.BytesIO()
        self.namespaces = Namespaces(
            client,  # type: ignore[arg-type]  # what is asked of it is there
            Log("info", self.log),
            read=self.ends.append,
            clock=lambda: self.clock,
        )
        self.informer = self.namespaces._informer
        self.informer._thread = threading.Thread(target=lambda: None)  # nothing comes but what a test puts there
        self.namespaces.start()

    def watched(self, name: str, labels: dict[str, str]) -> None:
        self.informer._kept[name] = Namespace(name, labels, {})

    def settled(self, name: str) -> Namespace | None:
        """What comes, waited for."""
        try:
            return self.namespaces.get(name)
        except Unsettled as missing:
            return missing.answer.result(PATIENCE)


@pytest.fixture
def known() -> Iterator[Known]:
    made = Known(Counting(shop=ENABLED))
    yield made
    made.client.gate.set()
    made.namespaces.stop()


def test_a_namespace_that_is_watched_costs_no_call(known: Known) -> None:
    known.watched("shop", ENABLED)
    for _ in range(1000):
        found = known.namespaces.get("shop")
        assert found is not None
        assert found.labels == ENABLED
    assert known.client.calls == []


def test_one_that_is_not_is_asked_for_once_by_all_who_wait(known: Known) -> None:
    known.client.gate.clear()
    waiting: list[Future[Namespace | None]] = []
    for _ in range(10):
        with pytest.raises(Unsettled) as missing:
            known.namespaces.get("shop")
        waiting.append(missing.value.answer)
    known.client.gate.set()
    assert {found.name for w in waiting if (found := w.result(PATIENCE))} == {"shop"}
    assert (known.client.calls, known.ends) == (["/api/v1/namespaces/shop"], ["found"])
    assert known.namespaces.get("shop") == Namespace("shop", ENABLED, {})
    assert len(known.client.calls) == 1


def test_an_answer_holds_for_a_moment_only_and_so_does_that_there_is_none(known: Known) -> None:
    for name, end in (("shop", "found"), ("nowhere", "absent")):
        known.settled(name)
        known.clock += KEPT_SECONDS - 0.1
        known.settled(name)
        assert known.ends == [end]
        known.clock += 0.2
        known.settled(name)
        assert known.ends == [end, end]
        known.ends.clear()
    assert known.settled("nowhere") is None
    assert "shop" not in known.namespaces._reads, "what does not hold any more is kept"


def test_a_call_that_failed_is_an_error_and_is_tried_again_soon(known: Known) -> None:
    known.client.away = True
    with pytest.raises(NamespaceError, match=r"namespace shop has to be asked for.*no route"):
        known.settled("shop")
    with pytest.raises(NamespaceError):
        known.namespaces.get("shop")
    assert known.ends == ["failed"]
    known.client.away = False
    known.clock += FAILED_SECONDS + 0.1
    assert known.settled("shop") == Namespace("shop", ENABLED, {})


def test_who_has_waited_too_long_for_a_turn_is_not_asked_for(known: Known) -> None:
    known.client.gate.clear()
    names = [f"n{number}" for number in range(10)]
    waiting = []
    for name in names:
        with pytest.raises(Unsettled) as missing:
            known.namespaces.get(name)
        waiting.append(missing.value.answer)
    known.clock += module.QUEUE_SECONDS + 0.1
    known.client.gate.set()
    late = [w.exception(PATIENCE) for w in waiting]
    assert [str(e).count("too many others") for e in late if e] == [1] * (len(names) - len(known.client.calls))
    assert len(known.client.calls) < len(names)


def test_a_stale_picture_is_said_once_and_its_end_too(known: Known) -> None:
    known.informer._synced.set()
    known.informer.contact = known.clock
    for age in (0.0, module.STALE_SECONDS + 1, module.STALE_SECONDS + 60):
        known.clock = known.informer.contact + age
        known.namespaces.report()
    assert known.namespaces.age() == module.STALE_SECONDS + 60
    assert known.namespaces.missing() is None, "an API server that has gone makes nobody unready"
    known.informer.contact = known.clock
    known.namespaces.report()
    known.namespaces.report()
    said = [line for line in known.log.getvalue().splitlines() if b"namespaces" in line]
    assert [b"count as they were" in line for line in said] == [True, False]


# which reviews have to wait


def surrounded(known: Known, annotations: dict[str, str] | None = None) -> Any:
    request = read(encoded(review(pod(annotations), namespace="shop")))
    surroundings = Surroundings(Settings(), known.namespaces)
    try:
        return surroundings.of(request)
    except Unsettled as missing:
        return surroundings.of(request, missing.answer)


OPTED_IN = {"habitat.sh/service": "redis", "habitat.sh/inject": "true"}
OPTED_OUT = {"habitat.sh/service": "redis", "habitat.sh/inject": "false"}


@pytest.mark.parametrize(
    ("labels", "annotations", "calls"),
    [
        (ENABLED, None, 0),
        ({}, OPTED_IN, 0),
        ({}, OPTED_OUT, 0),
        ({}, None, 1),
        ({INJECTION_LABEL: "disabled"}, OPTED_IN, 1),
    ],
)
def test_labels_by_which_nobody_would_have_asked_are_looked_at_again(
    known: Known, labels: dict[str, str], annotations: dict[str, str] | None, calls: int
) -> None:
    known.watched("shop", labels)
    situation = surrounded(known, annotations)
    assert len(known.client.calls) == calls
    assert situation.namespace_labels == (ENABLED if calls else labels)


def test_without_namespaces_nothing_is_known_and_nobody_is_asked() -> None:
    situation = Surroundings(Settings()).of(read(encoded(review())))
    assert (situation.namespace_labels, situation.rules.defaults) == (None, ())


# who waits meanwhile


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path, faulty=True) as server:
        yield server


@pytest.mark.parametrize("padding", [0, 70_000], ids=["answered by the poller", "answered in a thread"])
def test_others_are_answered_while_a_review_waits(faulty: WebhookServer, padding: int) -> None:
    body = encoded(review(uid="wait-1")) + b" " * padding
    with contextlib.closing(faulty.client()) as waiting:
        waiting.request("POST", "/mutate", body, {"Content-Type": "application/json"})
        for uid in ("a", "b", "free-1"):
            assert faulty.post(encoded(review(uid=uid)))[0] == 200
        response = waiting.getresponse()
        assert (response.status, b'"uid":"wait-1"' in response.read()) == (200, True)
        # the connection goes on
        waiting.request("POST", "/mutate", encoded(review(uid="c")), {"Content-Type": "application/json"})
        assert waiting.getresponse().status == 200
    uids = [line["uid"] for line in faulty.lines() if line["message"] == "review"]
    assert sorted(uids) == ["a", "b", "c", "free-1", "wait-1"]
    # free-1 itself may be written after it: what it sets free goes on in another thread.
    assert uids.index("wait-1") > max(uids.index("a"), uids.index("b"))


def test_a_client_that_goes_while_it_waits_harms_nobody(faulty: WebhookServer) -> None:
    with contextlib.closing(faulty.client()) as waiting:
        waiting.request("POST", "/mutate", encoded(review(uid="wait-1")), {"Content-Type": "application/json"})
        assert faulty.post(encoded(review(uid="a")))[0] == 200
    assert faulty.post(encoded(review(uid="free-1")))[0] == 200
    faulty.wait_for_line("review", uid="wait-1")
    assert faulty.post(encoded(review(uid="b")))[0] == 200
    assert [line for line in faulty.lines() if "exception" in line] == []

"""Events on the owners of pods: what is said, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.reviews import SERVICE, encoded, pod, review
from webhook.decide import Reason, Situation
from webhook.review import answer, read
from webhook.server.events import REASONS, WARNED, OwnerEvents

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f", "uid": "u-1", "controller": True}
UNKNOWN = SERVICE | {"habitat.sh/license": "accept", "habitat.sh/topologie": "leader"}


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[dict[str, str], str, str, str]] = []

    def event(self, regarding: Any, kind: str, reason: str, note: str) -> None:
        self.events.append((dict(regarding), kind, reason, note))


def told(obj: dict[str, Any], *, owners: Any = (OWNER,), **request: Any) -> list[tuple[dict[str, str], str, str, str]]:
    """The Events that a review leads to."""
    obj["metadata"]["ownerReferences"] = list(owners)
    asked = read(encoded(review(obj, **request)))
    sink = Told()
    OwnerEvents(sink).tell(asked, answer(asked, Situation(namespace=asked.namespace)).decision)
    return sink.events


def test_warnings_of_a_pod_are_said_on_its_owner() -> None:
    [(regarding, kind, reason, note)] = told(pod(UNKNOWN))
    assert regarding == {key: OWNER[key] for key in ("apiVersion", "kind", "name", "uid")} | {"namespace": "shop"}
    assert (kind, reason) == ("Warning", WARNED)
    assert "habitat.sh/topologie is unknown and has no effect; did you mean habitat.sh/topology?" in note


def test_a_pod_that_is_left_alone_says_why() -> None:
    obj = pod(SERVICE)
    obj["spec"]["containers"][0]["command"] = ["hab", "sup", "run"]
    [(_, _, reason, note)] = told(obj)
    assert reason == Reason.HAND_WRITTEN_SUPERVISOR.code
    assert note.startswith(REASONS[reason])
    assert "habitat.sh/entrypoint" in note


def test_nothing_is_said_where_there_is_nothing_to_say_or_somebody_else_says_it() -> None:
    quiet = SERVICE | {"habitat.sh/license": "accept"}
    assert told(pod(quiet)) == []
    assert told(pod(UNKNOWN), dryRun=True) == []
    assert told(pod(UNKNOWN | {"habitat.sh/topology": "ring"})) == [], "the controller makes a FailedCreate of it"
    assert told(pod(UNKNOWN), owners=()) == [], "whoever created it has read the warnings"
    assert told(pod(UNKNOWN), owners=({**OWNER, "controller": False},)) == []


@pytest.mark.parametrize(
    "owner", [{**OWNER, "uid": ""}, {**OWNER, "name": None}, {"controller": True}, "web", None, {**OWNER, "kind": 7}]
)
def test_an_owner_that_is_none_does_no_harm(owner: Any) -> None:
    assert all(said[0]["kind"] == "7" for said in told(pod(UNKNOWN), owners=(owner,)))


def test_an_event_holds_no_value() -> None:
    secret = UNKNOWN | {"habitat.sh/config": 'password = "hunter2"'}
    [(_, _, _, note)] = told(pod(secret))
    assert "hunter2" not in note
    assert "swordfish" not in note

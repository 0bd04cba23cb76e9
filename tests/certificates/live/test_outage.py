"""`serve` while there is no API server: nothing that it answers with depends on one."""

from __future__ import annotations

import contextlib
import time

from tests.certificates.live.installation import REVIEW, Installation

AWAY_SECONDS = 10.0


def answered(place: Installation, trusted: bytes) -> bytes:
    """What `serve` says to a review, verified as the API server would."""
    with contextlib.closing(place.client(trusted)) as connection:
        connection.request("POST", "/mutate", REVIEW, {"Content-Type": "application/json"})
        return connection.getresponse().read()


def test_serve_answers_as_before_while_the_api_server_is_away(place: Installation) -> None:
    with place.controller("before"):
        place.settled()
    trusted = place.bundles()[0]
    before = answered(place, trusted)
    assert b'"patch"' in before
    place.cluster.stop_apiserver()
    try:
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            assert answered(place, trusted) == before
            assert place.server.get("/readyz") == (200, "ok\n")
            assert place.server.get("/livez")[0] == 200
            time.sleep(0.5)
    finally:
        place.cluster.start_apiserver()
    place.wait("an admission", lambda: place.admitted() == (201, ""))

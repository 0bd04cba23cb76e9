"""What all the tests of this folder leave behind: the calls that were made, and nothing secret anywhere."""

from __future__ import annotations

import json

import pytest

from tests.certificates.live.installation import CA, TLS, USER, Installation
from tests.support import audit
from tests.support.lookback import token_parts


def test_nothing_that_a_controller_has_asked_was_forbidden(place: Installation) -> None:
    assert audit.forbidden(audit.calls(place.directory, USER)) == []


@pytest.mark.usefixtures("whole")
def test_every_right_for_certificates_was_used(place: Installation) -> None:
    roles = [role for role in place.roles if role["metadata"]["name"] == "habitat-webhook-certificates"]
    assert {role["kind"] for role in roles} == {"ClusterRole", "Role"}
    assert audit.unused_rules(roles, audit.calls(place.directory, USER)) == []


@pytest.mark.usefixtures("whole")
def test_no_key_and_no_token_is_in_any_log_event_metric_answer_or_audit_line(place: Installation) -> None:
    for name in (CA, TLS):
        place.data(name)
    keys = place.keys | {version["tls.key"] for version in place.mount.versions}
    logs = [p.output.read_text() for p in place.processes] + [place.server.output.read_text()]
    events = json.dumps(place.cluster.get("events", "--all-namespaces"))
    metrics = place.server.get("/metrics")[1]
    said = "\n".join([*logs, *place.said, metrics, events, audit.log(place.directory).read_text()])
    assert len(keys) >= 4
    assert "CaPublished" in events
    assert all(name in said for name in ("certificate_steps_total", "certificate_loads_total", "nothing is wrong"))
    assert "certificate not loaded" in said, "an error of each role"
    assert "was not made by habitat-webhook" in said
    assert "PRIVATE KEY" not in said
    assert not any(part in said for part in token_parts(place.kubeconfig))
    for key in keys:
        # Whole lines of the PEM, which is also what base64 of base64 would begin with.
        assert not any(line in said for line in key.decode().splitlines()[1:] if len(line) > 20)

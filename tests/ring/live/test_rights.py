"""What all the tests of this folder leave behind: what was asked of the API server, as the shipped roles allow it, and
nothing secret anywhere. The last of them."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from tests.ring.live.installation import Installation, roles
from tests.support import audit
from tests.support.lookback import token_parts
from webhook.ring import keys
from webhook.rings import Ring

KEY = re.compile(
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])|" + base64.b64encode(b"SYM-SEC-1\n")[:12].decode()
)
"""What a ring key always has, whichever it is: 32 bytes in base64; and as a Secret's data, its first line."""

ENDING = "because it is being terminated"
"""In the API server's refusal to make anything in a namespace that is being deleted: nobody is allowed that."""

FULL = "exceeded quota"
"""In a refusal by the quota that test_keys.py and others have put into the way."""


def test_nothing_that_a_controller_has_asked_was_forbidden(rings: Installation) -> None:
    assert [c for c in rings.forbidden() if ENDING not in c.message and FULL not in c.message] == []


@pytest.mark.usefixtures("whole")
def test_every_right_of_the_shipped_roles_was_used(rings: Installation) -> None:
    assert audit.unused_rules(roles(), rings.done()) == []


@pytest.mark.usefixtures("whole")
def test_no_ring_key_and_no_token_is_in_any_log_event_or_audit_line(rings: Installation) -> None:
    key = keys.new_key(Ring("default", "any"), datetime.now(UTC), bytes(range(200, 232)))
    for written in (key.text, base64.b64encode(key.text.encode()).decode()):
        assert KEY.search(written), "what is looked for is what a key looks like"
    assert any((c.verb, c.resource, c.code) == ("create", "secrets", 201) for c in rings.done())
    logs = [*rings.directory.glob("controllers/*/controller.log"), rings.directory / "webhook" / "log"]
    assert len(logs) > 10
    events = json.dumps(rings.cluster.get("events", "--all-namespaces"))
    token = token_parts(rings.kubeconfig)
    for said in (*(path.read_text() for path in logs), events, audit.log(rings.directory).read_text()):
        assert not KEY.search(said)
        assert not any(part in said for part in token)

"""From nothing to a webhook that the API server trusts, by five controllers that begin at the same time."""

from __future__ import annotations

import contextlib

from certs import bundle
from tests.certificates.live.installation import CA, FOREIGN, KINDS, TLS, USER, Installation
from tests.support import audit


def made(place: Installation) -> list[audit.Call]:
    """The Secrets that controllers have made so far."""
    done = audit.calls(place.directory, USER)
    return [c for c in done if (c.verb, c.resource, c.code) == ("create", "secrets", 201)]


def test_five_controllers_at_once_make_one_ca_and_every_bundle_verifies_the_leaf(place: Installation) -> None:
    for name in (CA, TLS):
        place.delete(name)
    before = len(made(place))
    foreign = [place.configuration(kind, FOREIGN) for kind in KINDS]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(place.controller(f"of-five-{n}", "--log-level=debug")) for n in range(5)]
        place.settled()
        place.wait("the first admission", lambda: place.admitted() == (201, ""))
        assert sum(p.leads for p in processes) == 1
        assert sum(p.metric("certificate_steps_total", step="create") for p in processes) == 1
    assert len(made(place)) == before + 2
    assert len(bundle.parse(place.bundles()[0])) == 1
    assert [place.configuration(kind, FOREIGN) for kind in KINDS] == foreign
    assert len(place.bundles()) == 4


def test_the_next_controller_changes_nothing(place: Installation) -> None:
    """Of what is as it should be; it is the same whichever process leads."""
    with place.controller("first") as process:
        place.wait("the controller to lead", lambda: process.leads)
        place.settled()
    before = [place.secret(CA), place.secret(TLS), *(place.configuration(kind) for kind in KINDS)]
    with place.controller("next") as process:
        place.wait("a look", lambda: process.metric("ca_expires_in_seconds") > 0)
        assert process.metric("ca_state", state="stable") == 1
        assert process.metric("ca_bundles_wrong") == 0
    assert [place.secret(CA), place.secret(TLS), *(place.configuration(kind) for kind in KINDS)] == before

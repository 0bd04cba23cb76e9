"""A rotation that its leader does not live to see the end of."""

from __future__ import annotations

from certs import bundle
from tests.certificates.live.installation import CA, TLS, Installation


def test_rotation_goes_on_after_its_leader_was_killed_between_two_steps(place: Installation) -> None:
    with place.controller("first", "--ca-settle=3600") as first:
        place.wait("the first to lead", lambda: first.leads)
        place.settled()
        old, serving = place.authorities().current.certificate, place.leaf().certificate
        with place.controller("second") as second, place.load(threads=1) as load:
            assert place.certs("rotate").exit_code == 0
            place.wait("the next CA to be published", lambda: "next.crt" in place.data(CA) and place.whole())
            assert place.leaf().certificate == serving
            first.kill()
            place.wait("the second to lead", lambda: second.leads)
            place.wait("the next CA to sign", lambda: "next.crt" not in place.data(CA))
            place.settled()
            place.wait("its leaf", lambda: place.leaf().certificate != serving)
            place.settled()
        assert load.failed == []
    kept = place.authorities()
    assert kept.current.certificate != old
    assert old in [o.certificate for o in kept.old]
    assert bundle.issuer(place.leaf().certificate, [kept.current.certificate])
    assert place.data(TLS)["ca.crt"] == kept.bundle()

"""Renewal and rotation under load through real TLS: no admission fails, no handshake either."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from certs import bundle
from certs.leaf import made
from tests.certificates.live.installation import CA, TLS, Installation
from tests.certs.making import authority
from tests.support.controller import ControllerProcess


def certs(place: Installation, *arguments: str) -> str:
    """One run of `habitat-webhook certs` that succeeds."""
    result = place.certs(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("leader")
def test_renewal_and_rotation_under_load_fail_no_admission(place: Installation) -> None:
    first = place.authorities().current.certificate
    leaves = [place.leaf().certificate.serial_number]
    with place.load() as load:
        certs(place, "renew", "--wait=30")
        place.settled()
        leaves.append(place.leaf().certificate.serial_number)
        assert "the new CA has signed" in certs(place, "rotate", "--wait=60")
        place.settled()
        leaves.append(place.leaf().certificate.serial_number)
        place.wait("the new leaf to be met", lambda: leaves[-1] in load.handshakes)
    assert load.failed == []
    assert set(load.handshakes) == set(leaves)
    assert len(set(leaves)) == 3
    assert load.admitted > 100
    assert load.reviewed > 1000
    per_second = (load.admitted + load.reviewed) / load.seconds
    print(f"{load.admitted} pods, {load.reviewed} reviews, {len(load.handshakes)} handshakes: {per_second:.0f}/s")
    kept = place.authorities()
    assert kept.current.certificate != first
    until = kept.kept_until(first)
    assert until is not None
    assert timedelta(days=29) < until - datetime.now(UTC) <= timedelta(days=30)
    assert bundle.issuer(place.leaf().certificate, [kept.current.certificate])


def test_status_shows_what_is_there_and_what_is_wrong(place: Installation, leader: ControllerProcess) -> None:
    text = certs(place, "status")
    assert text.endswith("nothing is wrong\n")
    assert text.count("trusted") >= 4
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        place.spoil("validating", {1: b""})
        result = place.certs("status", "-o", "json")
        assert result.exit_code == 1
        assert '"NotTrusted"' in result.stdout
    finally:
        os.kill(leader.pid, signal.SIGCONT)
    place.wait("every caBundle to be right again", place.whole)


def test_leaf_that_has_expired_while_the_controller_was_suspended_is_renewed_as_it_wakes(
    place: Installation, leader: ControllerProcess
) -> None:
    """What 40 days leave behind: a leaf that has been dead for ten of them."""
    issued_before = leader.metric("certificate_steps_total", step="issue")
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        kept = place.authorities()
        started = datetime.now(UTC) - timedelta(days=40)
        issued = authority(now=started, days=400).issue(["a.svc"], now=started, lifetime=timedelta(days=30))
        place.write(TLS, made(issued).encode(kept.bundle()), kind="kubernetes.io/tls")
    finally:
        os.kill(leader.pid, signal.SIGCONT)
    place.settled()
    assert leader.metric("certificate_steps_total", step="issue") == issued_before + 1
    place.wait("an admission", lambda: place.admitted() == (201, ""))


def test_damaged_leaf_is_replaced_and_the_old_one_served_until_then(
    place: Installation, leader: ControllerProcess
) -> None:
    before = place.leaf()
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        damaged = {"tls.crt": before.pem, "tls.key": before.key[:100], "ca.crt": before.bundle}
        place.write(TLS, damaged, kind="kubernetes.io/tls")
        place.server.wait_for_line("certificate not loaded")
        assert place.handshake(place.bundles()[0]) == before.certificate.serial_number
        assert place.admitted() == (201, "")
    finally:
        os.kill(leader.pid, signal.SIGCONT)
    place.settled()
    assert place.leaf() != before


def test_foreign_ca_is_refused_and_not_overwritten_and_admissions_go_on(
    place: Installation, leader: ControllerProcess
) -> None:
    acme = authority(now=datetime.now(UTC), name="Acme CA")
    data = {"ca.crt": acme.certificate_pem(), "ca.key": acme.key_pem()}
    place.write(CA, data, ours=False)
    place.wait("it to be refused", lambda: leader.metric("ca_state", state="refused") == 1)
    written = place.secret(CA)
    place.spoil("mutating", {0: b"", 1: b""})
    place.wait("admissions to go on", lambda: place.admitted() == (201, ""))
    result = place.certs("status")
    assert result.exit_code == 1
    assert "was not made by habitat-webhook" in result.stdout
    assert place.secret(CA) == written
    # What the message says to do: a new CA, while the leaf of the one that is gone stays trusted.
    with place.load(threads=1) as load:
        place.delete(CA)
        place.settled()
        place.wait("the new CA to sign", lambda: bundle.issuer(
            place.leaf().certificate, [place.authorities().current.certificate]
        ))  # fmt: skip
        place.settled()
    assert load.failed == []

"""Forty days that pass while the controller is suspended, with its own clocks: it wakes, and they have passed.

Only the controller's clocks: a Go program takes the time from the kernel, so the API server stays where it is. What
`serve` would be asked by it in forty days is looked at in the Secrets; test_rotation.py has an expired leaf that
everybody agrees on.
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certs import bundle
from tests.certificates.live.installation import CA, TLS, Installation
from tests.support import ahead

JUMP = timedelta(days=40)


def test_leaf_that_died_in_forty_days_of_sleep_is_renewed_by_the_same_ca_as_the_controller_wakes(
    place: Installation, tmp_path: Path
) -> None:
    clock = tmp_path / "ahead"
    clock.write_text("0")
    with place.controller("sleeper", program=("-m", ahead.__name__), **{ahead.VARIABLE: str(clock)}) as process:
        place.wait("the controller to lead", lambda: process.leads)
        place.settled()
        before, kept = place.leaf(), place.data(CA)
        issued = process.metric("certificate_steps_total", step="issue")
        try:
            os.kill(process.pid, signal.SIGSTOP)
            clock.write_text(str(JUMP.total_seconds()))
            os.kill(process.pid, signal.SIGCONT)
            awake = datetime.now(UTC) + JUMP
            assert before.certificate.not_valid_after_utc < awake
            after = place.wait("a new leaf", lambda: new if (new := place.leaf()) != before else None)
            assert bundle.verifies(after.certificate, place.authorities().certificates, awake)
            assert timedelta(days=29) < after.certificate.not_valid_after_utc - awake < timedelta(days=31)
            assert place.data(CA) == kept
            assert place.whole()
            place.wait("the step", lambda: process.metric("certificate_steps_total", step="issue") == issued + 1)
            assert process.metric("ca_state", state="stable") == 1
        finally:
            # What docs/certificates.md says of a clock that was ahead; the CA is none of it.
            clock.write_text("0")
            place.delete(TLS)
        place.wait("a leaf of today", lambda: TLS if place.data(TLS) else None)
        place.settled()
    place.wait("an admission", lambda: place.admitted() == (201, ""))

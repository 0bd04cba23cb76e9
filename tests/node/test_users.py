"""The table of users, groups and writable paths (supervisor.md §0), row by row; and that what is injected is needed."""

from __future__ import annotations

import pytest

from tests.controlplane.client import KubectlError
from tests.node.pods import Pods, inject, pod
from tests.node.rows import EXITS, NEVER_READY, NOT_ROOT, ROWS


@pytest.mark.parametrize("row", ROWS)
def test_every_user_is_ready(plain: Pods, row: str) -> None:
    plain.ready(row)


@pytest.mark.parametrize("row", NOT_ROOT)
def test_every_user_but_root_is_ready_in_a_restricted_namespace(restricted: Pods, row: str) -> None:
    restricted.ready(row)


def test_a_restricted_namespace_refuses_root(restricted: Pods) -> None:
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        restricted.apply(inject([pod("root")], restricted.namespace))


@pytest.mark.parametrize("control", EXITS)
def test_without_what_is_injected_the_supervisor_exits(plain: Pods, control: str) -> None:
    assert f"exit 1: {EXITS[control][2]}\n" in plain.exited(control)


@pytest.mark.parametrize("control", NEVER_READY)
def test_a_mount_below_the_services_folder_needs_a_volume_on_that_folder(plain: Pods, control: str) -> None:
    failures = ("get", "events", f"--field-selector=involvedObject.name={control},reason=Unhealthy")
    message = "Readiness probe failed: HTTP probe failed with statuscode: 500"
    status = plain.wait(control, "unhealthy", lambda _: message in plain.kubectl(*failures))
    assert [(c["started"], c["ready"]) for c in status["containerStatuses"]] == [(True, False)]

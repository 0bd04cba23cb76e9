"""Users, groups and writable paths: each row of the observed table (supervisor.md §0) by what is injected for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.making import a_pod, env, injected, mounts, problems, with_redis
from webhook.inject import apply

FIVE = {"/hab/sup", "/hab/svc", "/hab/launcher", "/hab/cache", "/tmp"}
SERVICE = "/hab/svc/redis"


@pytest.mark.parametrize(
    ("security", "annotations", "paths", "home", "fs_group"),
    [
        ({}, {}, set(), None, None),
        ({"runAsUser": 1000}, {}, set(), None, None),
        ({"runAsUser": 1000, "runAsGroup": 0}, {}, set(), None, None),
        ({"runAsUser": 42}, {}, FIVE, "/tmp", 42),  # observed both Ready and not: it depends on the image's passwd
        ({"runAsUser": 42, "runAsGroup": 0}, {}, set(), None, None),
        ({"runAsUser": 1000, "runAsGroup": 1000}, {}, FIVE, "/tmp", 1000),
        ({"runAsUser": 1000, "runAsGroup": 0, "readOnlyRootFilesystem": True}, {}, FIVE, "/tmp", None),
        ({"runAsUser": 42, "runAsGroup": 42, "readOnlyRootFilesystem": True}, {}, FIVE, "/tmp", 42),
        ({"runAsUser": 1000, "runAsGroup": 0}, {"files-secret": "f"}, {SERVICE, f"{SERVICE}/files"}, None, None),
        ({"runAsUser": 1000, "runAsGroup": 0}, {"data-claim": "d"}, {SERVICE, f"{SERVICE}/data"}, None, 42),
        (
            {"runAsUser": 1000, "runAsGroup": 1000},
            {"data-claim": "d"},
            FIVE | {SERVICE, f"{SERVICE}/data"},
            "/tmp",
            1000,
        ),
        ({"readOnlyRootFilesystem": True}, {}, FIVE, None, None),
        ({"readOnlyRootFilesystem": True}, {"data-claim": "d"}, FIVE | {f"{SERVICE}/data"}, None, 42),
        ({"runAsNonRoot": True}, {}, set(), None, None),
    ],
)
def test_row(
    security: dict[str, Any], annotations: dict[str, str], paths: set[str], home: str | None, fs_group: int | None
) -> None:
    pod = a_pod(with_redis() | annotations, securityContext=security)
    container, outcome = injected(pod)
    assert set(mounts(container)) - {"/habitat"} == paths
    assert env(container).get("HOME") == home
    assert apply(pod, outcome.operations)["spec"].get("securityContext", {}).get("fsGroup") == fs_group


def test_identity_may_come_from_the_pod() -> None:
    container, _ = injected(a_pod(spec={"securityContext": {"runAsUser": 1000, "runAsGroup": 1000}}))
    assert set(mounts(container)) >= FIVE


def test_users_own_volume_at_a_written_path_stays() -> None:
    mine = [{"name": "scratch", "mountPath": "/tmp"}]
    container, _ = injected(a_pod(securityContext={"readOnlyRootFilesystem": True}, volumeMounts=mine))
    assert mounts(container)["/tmp"] == "scratch"
    assert set(mounts(container)) >= FIVE


def test_users_mount_below_the_service_folder_counts() -> None:
    mine = [{"name": "hooks", "mountPath": "/hab/svc/redis/hooks"}]
    container, _ = injected(a_pod(securityContext={"runAsUser": 1000}, volumeMounts=mine))
    assert mounts(container)["/hab/svc/redis"] == "habitat-service"


def test_users_fs_group_stays() -> None:
    pod = a_pod(with_redis(data_claim="d"), spec={"securityContext": {"fsGroup": 7}})
    _, outcome = injected(pod)
    assert apply(pod, outcome.operations)["spec"]["securityContext"] == {"fsGroup": 7}


def test_home_below_root_cannot_work_for_another_user() -> None:
    [said] = problems(a_pod(env=[{"name": "HOME", "value": "/root"}], securityContext={"runAsUser": 1000}))
    assert "HOME" in said
    injected(a_pod(env=[{"name": "HOME", "value": "/root"}]))


def test_volumes_that_hide_packages_or_remember_peers_are_warned_of() -> None:
    for path in ("/hab", "/hab/pkgs", "/hab/sup"):
        _, outcome = injected(a_pod(volumeMounts=[{"name": "v", "mountPath": path}]))
        assert any(path in w for w in outcome.warnings)

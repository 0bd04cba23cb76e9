"""The model of the Supervisor is held to the facts: users, groups, read-only root, mounts (§0, last table)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.supervisor import FIVE, RING_KEY, Exit, Image, NeverReady, Ready, judge
from tests.support.supervisor.shorthand import container, pod

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
FIVE_EMPTY: dict[str, dict[str, Any]] = {path: {"emptyDir": {}} for path in FIVE}
WEB_EMPTY: dict[str, dict[str, Any]] = {"/hab/svc/web": {"emptyDir": {}}}
FILES: dict[str, dict[str, Any]] = {"/hab/svc/web/files": {"emptyDir": {}}}
DATA: dict[str, dict[str, Any]] = {"/hab/svc/web/data": {"persistentVolumeClaim": {"claimName": "data"}}}


def web(
    user: int | None = None,
    group: int | None = None,
    *,
    volumes: dict[str, dict[str, Any]] | None = None,
    read_only: bool = False,
    fs_group: int | None = None,
    **env: str,
) -> dict[str, Any]:
    """A pod in a `restricted` namespace with volumes by mount path."""
    made = container(**env)
    context: dict[str, Any] = RESTRICTED | {"readOnlyRootFilesystem": read_only}
    if user is not None:
        context["runAsUser"] = user
    if group is not None:
        context["runAsGroup"] = group
    mounts = [{"name": f"v{n}", "mountPath": path} for n, path in enumerate(volumes or {})]
    listed = [{"name": f"v{n}", **source} for n, source in enumerate((volumes or {}).values())]
    made |= {"securityContext": context, "volumeMounts": mounts}
    return pod(made, volumes=listed, securityContext={} if fs_group is None else {"fsGroup": fs_group})


@pytest.mark.parametrize(("user", "group"), [(1000, None), (1000, 0), (42, None)])
def test_a_user_with_group_0_is_ready_without_volumes(user: int, group: int | None) -> None:
    assert isinstance(judge(web(user, group), "web"), Ready)


def test_a_user_whom_the_image_gives_another_group_is_not() -> None:
    assert isinstance(judge(web(42), "web", Image(passwd={42: 42})), Exit)


def test_user_and_group_1000_exit_with_1() -> None:
    verdict = judge(web(1000, 1000), "web")
    assert isinstance(verdict, Exit)
    assert verdict.code == 1


def test_user_and_group_1000_need_five_volumes_fs_group_and_a_home() -> None:
    ready = web(1000, 1000, fs_group=1000, volumes=FIVE_EMPTY, HOME="/tmp")
    assert isinstance(judge(ready, "web"), Ready)
    assert isinstance(judge(web(1000, 1000, fs_group=1000, volumes=FIVE_EMPTY), "web"), Exit)
    assert isinstance(judge(web(1000, 1000, fs_group=1000, HOME="/tmp"), "web"), Exit)


@pytest.mark.parametrize("missing", FIVE[:-1])
def test_each_of_the_five_is_needed_without_group_0(missing: str) -> None:
    volumes = {path: source for path, source in FIVE_EMPTY.items() if path != missing}
    assert isinstance(judge(web(1000, 1000, fs_group=1000, volumes=volumes, HOME="/tmp"), "web"), Exit)


@pytest.mark.parametrize(("user", "group", "home"), [(1000, 0, "/"), (42, 42, "/tmp")])
def test_a_read_only_root_is_ready_with_the_five(user: int, group: int, home: str) -> None:
    assert isinstance(judge(web(user, group, volumes=FIVE_EMPTY, read_only=True, HOME=home), "web"), Ready)


@pytest.mark.parametrize("missing", FIVE)
def test_each_of_the_five_is_needed_on_a_read_only_root(missing: str) -> None:
    volumes = {path: source for path, source in FIVE_EMPTY.items() if path != missing}
    assert isinstance(judge(web(1000, 0, volumes=volumes, read_only=True), "web"), Exit)


@pytest.mark.parametrize("volumes", [FILES, DATA])
def test_a_mount_below_the_services_folder_keeps_a_non_root_pod_from_ready(volumes: dict[str, Any]) -> None:
    assert isinstance(judge(web(1000, 0, volumes=volumes), "web"), NeverReady)


def test_an_empty_dir_on_the_services_folder_itself_mends_it() -> None:
    assert isinstance(judge(web(1000, 0, volumes=WEB_EMPTY | FILES), "web"), Ready)
    all_of_it = FIVE_EMPTY | WEB_EMPTY | FILES | DATA
    assert isinstance(judge(web(1000, 1000, fs_group=1000, volumes=all_of_it, HOME="/tmp"), "web"), Ready)


def test_an_empty_dir_on_the_parent_does_not_mend_it() -> None:
    assert isinstance(judge(web(1000, 0, volumes=FIVE_EMPTY | FILES, read_only=True), "web"), NeverReady)


def test_root_on_a_read_only_root_needs_the_parent() -> None:
    assert isinstance(judge(web(volumes=WEB_EMPTY, read_only=True), "web"), Exit | NeverReady)
    without_parent = {path: source for path, source in FIVE_EMPTY.items() if path != "/hab/svc"} | WEB_EMPTY
    assert isinstance(judge(web(volumes=without_parent, read_only=True), "web"), NeverReady)
    assert isinstance(judge(web(volumes=FIVE_EMPTY | FILES, read_only=True), "web"), Ready)


def test_root_with_a_mount_below_the_services_folder_is_ready() -> None:
    assert isinstance(judge(web(volumes=FILES | DATA), "web"), Ready)


def test_root_without_the_services_user_is_never_ready() -> None:
    assert isinstance(judge(web(), "web", Image(svc_user=False)), NeverReady)
    assert isinstance(judge(web(1000, 0), "web", Image(svc_user=False)), Ready)


@pytest.mark.parametrize("home", ["", "/", "/tmp"])
def test_a_home_that_the_image_has_or_tmp_will_do_with_group_0(home: str) -> None:
    assert isinstance(judge(web(1000, 0, HOME=home), "web"), Ready)


def test_roots_home_for_another_user_exits_with_86() -> None:
    verdict = judge(web(1000, 0, HOME="/root"), "web")
    assert isinstance(verdict, Exit)
    assert verdict.code == 86


def test_run_as_non_root_without_a_user_is_refused_by_the_kubelet() -> None:
    made = web()
    made["spec"]["securityContext"] = {"runAsNonRoot": True}
    assert isinstance(judge(made, "web"), NeverReady)
    made["spec"]["securityContext"]["runAsUser"] = 1000
    assert isinstance(judge(made, "web"), Ready)


@pytest.mark.parametrize("path", ["/hab", "/hab/pkgs"])
def test_a_mount_that_hides_the_packages_does_not_start(path: str) -> None:
    assert isinstance(judge(web(volumes={path: {"emptyDir": {}}}), "web"), Exit)


def test_a_ring_key_needs_a_key_cache_that_can_be_written() -> None:
    """§7: the key's text is written into the cache; §1.1: which for a user other than root is below HOME."""
    assert isinstance(judge(web(1000, 0, HAB_RING_KEY=RING_KEY), "web"), Ready)
    assert isinstance(judge(web(volumes=FIVE_EMPTY, read_only=True, HAB_RING_KEY=RING_KEY), "web"), Ready)
    closed = web(1000, 0, volumes=FIVE_EMPTY, read_only=True, HAB_RING_KEY=RING_KEY)
    assert isinstance(judge(closed, "web"), Exit)
    opened = web(1000, 0, volumes=FIVE_EMPTY, read_only=True, HAB_RING_KEY=RING_KEY, HOME="/tmp")
    assert isinstance(judge(opened, "web"), Ready)
    secret_cache = {"/hab/cache/keys": {"secret": {"secretName": "k"}}}
    assert isinstance(judge(web(volumes=secret_cache, HAB_RING_KEY=RING_KEY), "web"), Exit)
    assert isinstance(judge(web(volumes=secret_cache), "web"), Ready)


def test_a_licence_that_is_written_down_needs_a_place_for_it() -> None:
    """§12: `accept` writes a file, and failing to is an error; `accept-no-persist` writes nothing."""
    assert isinstance(judge(web(HAB_LICENSE="accept"), "web"), Ready)
    closed = web(volumes=FIVE_EMPTY, read_only=True, HAB_LICENSE="accept")
    assert isinstance(judge(closed, "web"), Exit)
    assert isinstance(judge(web(volumes=FIVE_EMPTY, read_only=True), "web"), Ready)

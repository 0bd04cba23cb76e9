"""Users, groups, read-only root and mounts: after injection the model says Ready, or the engine said no (§0, §15)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contract.making import injected, outcome_of, pod_of, ready
from tests.support.pod_security import violations
from tests.support.supervisor import FIVE, Image, Ready, judge, key_cache, place_of, writable
from webhook.inject import Reason

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
    "runAsNonRoot": True,
}
USERS: dict[str, dict[str, Any]] = {
    "root": {},
    "0:0": {"runAsUser": 0, "runAsGroup": 0},
    "1000": {"runAsUser": 1000},
    "42": {"runAsUser": 42},
    "1000:0": {"runAsUser": 1000, "runAsGroup": 0},
    "42:0": {"runAsUser": 42, "runAsGroup": 0},
    "42:42": {"runAsUser": 42, "runAsGroup": 42},
    "1000:1000": {"runAsUser": 1000, "runAsGroup": 1000},
}
STORAGE: dict[str, dict[str, str]] = {
    "nothing": {},
    "files": {"files-secret": "web-files"},
    "claim": {"data-claim": "web-data"},
    "volume": {"data-volume": "mine"},
    "files and claim": {"files-secret": "web-files", "data-claim": "web-data"},
    "config": {"config-secret": "web-config"},
    "ring key": {"ring-key": "managed"},
}
MINE: list[dict[str, Any]] = [{"name": "mine", "emptyDir": {}}]


def security(user: str, *, read_only: bool = False) -> dict[str, Any]:
    """A container's securityContext in a `restricted` namespace where the user allows it."""
    context = dict(USERS[user])
    if context.get("runAsUser"):
        context |= RESTRICTED
    return {"securityContext": context | ({"readOnlyRootFilesystem": True} if read_only else {})}


# --- the rows of the observed table --------------------------------------------------------------------------------


def test_row_42_alone_gets_what_42_42_needs() -> None:
    """Observed Ready, but the image's passwd can give it group 42, with which it is not (tests/node)."""
    made = ready(security("42"))
    assert len(made.container["volumeMounts"]) == 6


@pytest.mark.parametrize("user", ["1000", "1000:0"])
def test_row_group_0_without_volumes_is_ready(user: str) -> None:
    made = ready(security(user))
    assert [mount["name"] for mount in made.container["volumeMounts"]] == ["habitat-peers"]


def test_row_1000_1000_alone_gets_five_volumes_and_a_home() -> None:
    made = ready(security("1000:1000"))
    assert set(FIVE) <= {mount["mountPath"] for mount in made.container["volumeMounts"]}
    assert made.env("HOME") == "/tmp"
    assert made.pod["spec"]["securityContext"]["fsGroup"] == 1000


def test_row_1000_1000_with_fs_group_1000_keeps_it() -> None:
    made = ready(security("1000:1000"), securityContext={"fsGroup": 1000})
    assert made.pod["spec"]["securityContext"] == {"fsGroup": 1000}


@pytest.mark.parametrize("user", ["1000:0", "42:42"])
def test_row_read_only_root_gets_the_five(user: str) -> None:
    made = ready(security(user, read_only=True))
    assert set(FIVE) <= {mount["mountPath"] for mount in made.container["volumeMounts"]}


@pytest.mark.parametrize("storage", ["files", "claim"])
def test_row_a_mount_below_the_service_gets_an_empty_dir_above_it(storage: str) -> None:
    for user in ("1000:0", "1000:1000"):
        made = ready(security(user), STORAGE[storage])
        assert "/hab/svc/web" in {mount["mountPath"] for mount in made.container["volumeMounts"]}


def test_row_a_mount_of_the_users_below_the_service_gets_it_too() -> None:
    container = security("1000:0") | {"volumeMounts": [{"name": "mine", "mountPath": "/hab/svc/web/data"}]}
    ready(container, volumes=MINE)


def test_row_root_on_a_read_only_root_gets_the_parent() -> None:
    for storage in ("nothing", "files", "claim"):
        made = ready(security("root", read_only=True), STORAGE[storage])
        assert "/hab/svc" in {mount["mountPath"] for mount in made.container["volumeMounts"]}


# --- every combination ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "read_only", "storage", "where"),
    list(itertools.product(USERS, [False, True], STORAGE, ["container", "pod"])),
)
def test_every_combination_is_ready_and_as_secure_as_before(
    user: str,
    read_only: bool,
    storage: str,
    where: str,
) -> None:
    container = security(user, read_only=read_only)
    shared: dict[str, Any] = {}
    if where == "pod":
        own = container["securityContext"]
        shared = {name: own.pop(name) for name in ("runAsUser", "runAsGroup", "runAsNonRoot") if name in own}
    made = ready(container, STORAGE[storage], securityContext=shared, volumes=MINE)
    assert set(violations(made.pod)) <= set(violations(made.before))
    assert made.pod["spec"]["containers"][0].get("securityContext") == container["securityContext"]
    assert shared.items() <= made.pod["spec"]["securityContext"].items()


@pytest.mark.parametrize(("user", "read_only"), list(itertools.product(USERS, [False, True])))
def test_whoever_gets_a_ring_key_can_write_it_down(user: str, read_only: bool) -> None:
    """§7: HAB_RING_KEY is written into the key cache, which is below HOME for everybody but root (§1.1)."""
    made = ready(security(user, read_only=read_only), {"ring-key": "web-key"})
    place = place_of(made.container, made.pod, Image())
    cache = key_cache(made.supervisor, place)
    assert writable(cache, place) or writable(cache.split("/.hab")[0] or "/", place)


@pytest.mark.parametrize("user", ["root", "1000:0", "1000:1000"])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_licence_that_is_written_down_works_or_is_refused(user: str, read_only: bool) -> None:
    """§12: HAB_LICENSE=accept writes a file below /hab for root, below HOME for others; failing to is exit 1."""
    container = security(user, read_only=read_only)
    if outcome_of(container, {"license": "accept"}).reason is not Reason.INVALID:
        ready(container, {"license": "accept"})


@pytest.mark.parametrize("user", ["root", "1000:0", "1000:1000"])
def test_a_read_only_key_cache_of_the_users_and_a_ring_key_work_or_are_refused(user: str) -> None:
    """§7: the key's text is written into the cache, where a mounted Secret is read-only: exit 86."""
    container = security(user) | {"volumeMounts": [{"name": "keys", "mountPath": "/hab/cache/keys"}]}
    volumes = [{"name": "keys", "secret": {"secretName": "keys"}}]
    outcome = outcome_of(container, {"ring-key": "web-key"}, volumes=volumes)
    if outcome.reason is not Reason.INVALID:
        ready(container, {"ring-key": "web-key"}, volumes=volumes)


@pytest.mark.parametrize("path", ["/hab", "/hab/pkgs"])
def test_a_mount_that_hides_the_packages_is_refused(path: str) -> None:
    """§15: never mount on /hab or /hab/pkgs; the image would lose what it runs."""
    container = {"volumeMounts": [{"name": "mine", "mountPath": path}]}
    outcome = outcome_of(container, volumes=MINE)
    assert outcome.reason is Reason.INVALID or any(path in warning for warning in outcome.warnings)


def test_a_home_that_cannot_work_is_not_passed_over_in_silence() -> None:
    """§0: HOME=/root for a user other than root is exit 86; only the user can change it."""
    container = security("1000:0") | {"env": [{"name": "HOME", "value": "/root"}]}
    outcome = outcome_of(container)
    assert outcome.reason is Reason.INVALID or any("HOME" in warning for warning in outcome.warnings)


def test_a_users_own_volumes_on_the_five_paths_are_kept() -> None:
    mounts = [{"name": "mine", "mountPath": path} for path in ("/hab/sup", "/tmp/")]
    made = ready(security("1000:1000") | {"volumeMounts": mounts}, volumes=MINE)
    paths = [mount["mountPath"].rstrip("/") for mount in made.container["volumeMounts"]]
    assert len(paths) == len(set(paths))
    assert made.container["volumeMounts"][:2] == mounts


def test_supplemental_groups_alone_do_not_hurt() -> None:
    ready(security("1000:1000"), securityContext={"supplementalGroups": [0, 3000]})
    ready(security("1000:0"), securityContext={"supplementalGroups": [3000]})


def test_an_fs_group_of_the_users_is_never_changed() -> None:
    for group in (0, 42, 2000):
        made = injected(security("1000:1000"), {"data-claim": "web-data"}, securityContext={"fsGroup": group})
        assert made.pod["spec"]["securityContext"]["fsGroup"] == group
        assert isinstance(made.verdict, Ready), made.verdict


def test_the_uninjected_pod_of_each_row_shows_why_it_is_needed() -> None:
    """The table is no tautology: without injection the model refuses what the kubelet refused."""
    licence = {"env": [{"name": "HAB_LICENSE", "value": "accept-no-persist"}]}
    for container in (security("1000:1000"), security("1000:0", read_only=True), security("root", read_only=True)):
        assert not isinstance(judge(pod_of(container | licence), "web", Image()), Ready)

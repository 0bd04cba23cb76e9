"""Which paths a Supervisor can write, by user, group, read-only root and mounts (supervisor.md §0 and §15).

Permissions are reasoned from who owns what in an exported image: everything is root's, gid 0 may write every directory
below /hab, /.hab/cache/keys is 0770 root:root, /tmp is 1777, the rest is root's alone; the kubelet makes an emptyDir
0777, and the runtime makes every folder that leads to a nested mount as root 0755.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.supervisor.verdict import Exit, NeverReady, Running
from tests.support.supervisor.world import Image

FIVE = ("/hab/sup", "/hab/svc", "/hab/launcher", "/hab/cache", "/tmp")
"""What the Supervisor writes, even without a ring key."""

READ_ONLY_SOURCES = ("configMap", "secret", "downwardAPI", "projected", "image")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a container, with the volume behind it; `volume` is {} for one that the pod does not define."""

    path: str
    volume: Mapping[str, Any]
    read_only: bool
    sub_path: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom a container runs."""

    uid: int
    groups: frozenset[int]
    read_only_root: bool
    fs_group: int | None
    mounts: tuple[Mount, ...]

    @property
    def root(self) -> bool:
        return self.uid == 0

    def covering(self, path: str) -> Mount | None:
        """The mount that a path lies on, None for the container's own root filesystem."""
        above = [mount for mount in self.mounts if within(path, mount.path)]
        return max(above, key=lambda mount: len(mount.path), default=None)

    def below(self, path: str) -> Iterator[Mount]:
        """Mounts strictly below a path."""
        return (mount for mount in self.mounts if mount.path != path and within(mount.path, path))


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def place_of(container: Mapping[str, Any], pod: Mapping[str, Any], image: Image) -> Place:
    """Who the process is: the container's securityContext before the pod's, the image's passwd for a known uid."""
    spec = pod.get("spec") or {}
    shared = spec.get("securityContext") or {}
    own = container.get("securityContext") or {}

    def setting(name: str) -> Any:
        return shared.get(name) if own.get(name) is None else own.get(name)

    uid = setting("runAsUser") or 0
    gid = setting("runAsGroup")
    if gid is None:
        gid = image.passwd.get(uid, 0)
    fs_group = shared.get("fsGroup")
    groups = {gid, *(shared.get("supplementalGroups") or ())} | ({fs_group} if fs_group is not None else set())
    volumes = {volume.get("name"): volume for volume in spec.get("volumes") or ()}
    mounts = tuple(
        Mount(
            posixpath.normpath(mount["mountPath"]),
            volumes.get(mount.get("name"), {}),
            bool(mount.get("readOnly")),
            mount.get("subPath") or mount.get("subPathExpr") or "",
        )
        for mount in container.get("volumeMounts") or ()
    )
    return Place(uid, frozenset(groups), bool(own.get("readOnlyRootFilesystem")), fs_group, mounts)


def mount_is_writable(mount: Mount, place: Place) -> bool:
    """Whether the process may create files at the top of a mounted volume."""
    volume = mount.volume
    if mount.read_only or any(volume.get(source) is not None for source in READ_ONLY_SOURCES):
        return False
    if (claim := volume.get("persistentVolumeClaim")) and claim.get("readOnly"):
        return False
    if place.root or volume.get("emptyDir") is not None:
        return True
    # A fresh file system belongs to root; the kubelet hands it to fsGroup, but never a hostPath.
    return place.fs_group is not None and volume.get("hostPath") is None


def writable(path: str, place: Place) -> bool:
    """Whether the process may create files in a folder of an exported image or of a mount on it."""
    if mount := place.covering(path):
        leads_to_mount = mount.path != path and any(True for _ in place.below(path))
        return mount_is_writable(mount, place) and (place.root or not leads_to_mount)
    if place.read_only_root:
        return False
    if place.root or within(path, "/tmp") or within(path, "/var/tmp"):
        return True
    # Of /.hab it is known that its cache/keys is 0770; the rest of it is given the benefit of the doubt.
    return 0 in place.groups and (within(path, "/hab") or within(path, "/.hab"))


def home_of(env: Mapping[str, str]) -> str:
    return env.get("HOME") or "/"


def key_cache(supervisor: Running, place: Place) -> str:
    """Where ring keys are kept: the flag, its variable, or by user (supervisor.md §1.1)."""
    if supervisor.flags["cache-key-path"]:
        return str(supervisor.flags["cache-key-path"])
    return "/hab/cache/keys" if place.root else posixpath.join(home_of(supervisor.env), ".hab/cache/keys")


def check(supervisor: Running, place: Place) -> Exit | NeverReady | None:
    """What the file system does to a Supervisor, None where it may live."""
    for folder in ("/", "/hab", "/hab/pkgs"):
        if any(mount.path == folder for mount in place.mounts):
            return Exit(1, f"a mount on {folder} hides the packages", by="kubelet")
    if problem := _check_five(place) or _check_home(supervisor, place) or _check_licence(supervisor, place):
        return problem
    return _check_service_folder(supervisor, place)


def _check_five(place: Place) -> Exit | NeverReady | None:
    for folder in FIVE:
        if writable(folder, place):
            continue
        under_svc = [mount for mount in place.mounts if within(mount.path, folder) and mount.path != folder]
        if place.root and folder == "/hab/svc" and place.read_only_root and under_svc:
            return NeverReady("a mount below /hab/svc is not enough for root: it also changes the mode of /hab/svc")
        return Exit(
            1, f"{folder} cannot be written by uid {place.uid} with groups {sorted(place.groups)}", by="hab-sup"
        )
    return None


def _check_home(supervisor: Running, place: Place) -> Exit | None:
    """A Supervisor that is not root opens $HOME/.hab/cache/keys at its start, key or not."""
    cache = key_cache(supervisor, place)
    needs_write = bool(supervisor.flags["ring-key"])
    if needs_write and not (writable(cache, place) or _can_make(cache, place)):
        return Exit(86, f"the ring key cannot be written to {cache}", by="hab-sup")
    if place.root or needs_write:
        return None
    image_has_it = cache == "/.hab/cache/keys" and 0 in place.groups
    if not (image_has_it or writable(cache, place) or _can_make(cache, place)):
        code = 86 if 0 in place.groups else 1
        return Exit(code, f"the key cache {cache} can be neither opened nor made", by="hab-sup")
    return None


def _can_make(path: str, place: Place) -> bool:
    """Whether the nearest folder above that surely exists lets the process make the rest of the path."""
    known = {"/", "/tmp", "/var/tmp", "/hab", *FIVE, *(mount.path for mount in place.mounts)}
    above = max((folder for folder in known if within(path, folder)), key=len)
    return writable(above, place)


def _check_licence(supervisor: Running, place: Place) -> Exit | None:
    """HAB_LICENSE=accept writes a file; accept-no-persist does not (supervisor.md §12)."""
    if supervisor.env.get("HAB_LICENSE") != "accept":
        return None
    home = posixpath.join(home_of(supervisor.env), ".hab")
    folder = "/hab/accepted-licenses" if place.root else posixpath.join(home, "accepted-licenses")
    if not (writable(folder, place) or _can_make(folder, place)):
        return Exit(1, f"HAB_LICENSE=accept cannot write {folder}")
    return None


def _check_service_folder(supervisor: Running, place: Place) -> NeverReady | None:
    """The Supervisor makes hooks, config, logs, … in /hab/svc/<service>, which must be its own or open to it."""
    folder = f"/hab/svc/{supervisor.package}"
    if not supervisor.package or place.root:
        return None
    nested = list(place.below(folder))
    here = [mount for mount in place.mounts if mount.path == folder]
    if here and not mount_is_writable(here[0], place):
        return NeverReady(f"Can't create {folder}/hooks, Permission denied: the volume on {folder} cannot be written")
    if nested and not here:
        return NeverReady(f"Can't create {folder}/hooks, Permission denied: the runtime makes {folder} as root 0755")
    return None

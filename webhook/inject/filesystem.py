"""Where the Supervisor writes, and what it needs there under this user and group.

supervisor.md §0, the table of users, groups and writable paths (observed), in rules:

| who | needs |
|---|---|
| root, or any user with group 0; root file system writable | nothing |
| any user, root file system read-only | an emptyDir on each of the five paths |
| user and group both not 0, or the image's own user 42 | the five, and HOME at a writable place |
| not root, and a mount below /hab/svc/<service> | an emptyDir on that folder too: else the runtime makes it root's |
| not root, and a mount below /hab/sup/default | the same there, for the same reason |
| a volume for data, or a group that is not 0 | fsGroup, when the pod sets none |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.decide import mapping, sequence
from webhook.inject.target import Target
from webhook.inject.volumes import Storage, normal, users_mounts
from webhook.options import PREFIX
from webhook.problems import Findings, shown
from webhook.spec import SupervisorSpec

WRITTEN = {
    "habitat-sup": "/hab/sup",
    "habitat-svc": "/hab/svc",
    "habitat-launcher": "/hab/launcher",
    "habitat-cache": "/hab/cache",
    "habitat-tmp": "/tmp",  # noqa: S108 -- a path in the container
}
"""Volume name -> the five paths that the Supervisor writes (supervisor.md §0)."""

SERVICE_USER = 42
"""User and group of an exported image's service (supervisor.md §3)."""

_LICENCES = "/hab/accepted-licenses"
_READ_ONLY_KINDS = ("secret", "configMap", "projected", "downwardAPI")
_HOME = "/tmp"  # noqa: S108 -- a path in the container


@dataclass(frozen=True, slots=True)
class Identity:
    """user, group: numbers, None when nothing in the pod says. root: the process is root, as far as the pod tells."""

    user: int | None
    group: int | None
    root: bool
    read_only: bool

    @property
    def foreign_group(self) -> bool:
        """A user unknown to the image gets group 0; only a group that is said can be another."""
        return not self.root and self.group not in (None, 0)


def identity(spec: Mapping[str, Any], container: Mapping[str, Any]) -> Identity:
    """Who the container's process will be: its own securityContext, then the pod's, then the image's root."""
    pod, own = mapping(spec, "securityContext"), mapping(container, "securityContext")

    def said(name: str) -> Any:
        value = own.get(name)
        return pod.get(name) if value is None else value

    user, group = said("runAsUser"), said("runAsGroup")
    if user == SERVICE_USER and group is None:
        group = SERVICE_USER  # the runtime finds the image's service user in its /etc/passwd, and this group with it
    root = user == 0 or (user is None and said("runAsNonRoot") is not True)
    return Identity(user, group, root, own.get("readOnlyRootFilesystem") is True)


def prepare(who: Identity, service: str, storage: Storage) -> str | None:
    """Add the emptyDirs that this identity needs; returns the HOME to set, None to leave it."""
    needs_all = who.read_only or who.foreign_group
    if needs_all:
        for name, path in WRITTEN.items():
            storage.scratch(name, path)
    if not who.root:
        for name, folder in (("habitat-sup-default", "/hab/sup/default"), ("habitat-service", f"/hab/svc/{service}")):
            if storage.below(folder):
                storage.scratch(name, folder)
        if "/hab/sup/default" in storage.mounts:
            storage.scratch("habitat-sup", "/hab/sup")
    # The key cache of one who is not root is below HOME (supervisor.md §1.1), which "/" cannot hold when read-only.
    return _HOME if needs_all and not who.root else None


def fs_group(who: Identity, spec: Mapping[str, Any], *, data: bool) -> int | None:
    """The fsGroup to set, None when the pod has one or none is needed."""
    if mapping(spec, "securityContext").get("fsGroup") is not None:
        return None
    if who.foreign_group:
        return who.group
    return SERVICE_USER if data else None


def judge(
    who: Identity,
    spec: SupervisorSpec,
    target: Target,
    pod_spec: Mapping[str, Any],
    home: str | None,
    findings: Findings,
) -> None:
    """What cannot work, or works otherwise than it looks, because of what the user mounts or sets.

    home: the HOME that this identity needs, None when any will do.
    """
    mounts = users_mounts(target.container)
    own = next((v.get("value") for v in sequence(target.container, "env") if v.get("name") == "HOME"), None)
    if own and not who.root and (own == "/root" or own.startswith("/root/")):
        what = "HOME is below /root, and the container does not run as root"
        findings.problem(f"{target.field}.env", what, "set HOME to /tmp, or remove it")
    elif own and home and own != home and own not in mounts:
        what = f"HOME is {shown(own)}, which this user cannot write"
        findings.problem(f"{target.field}.env", what, f"set HOME to {home} or to a volume, or remove it")
    if spec.options.license == "accept" and who.root and who.read_only and _LICENCES not in mounts:
        what = f"accept writes a file below {_LICENCES}, and the root file system is read-only"
        findings.problem(PREFIX + "license", what, "set accept-no-persist")
    if spec.options.ring_key and who.root and _read_only_keys(target.container, pod_spec):
        what = "the key is written to /hab/cache/keys, where the container has mounted something read-only"
        findings.problem(PREFIX + "ring-key", what, "remove that mount: the annotation brings the key")
    if who.user is None and not who.root:
        findings.warn("runAsNonRoot without runAsUser: an exported image is root's, and the kubelet will not start it")
    for path in ("/hab", "/hab/pkgs"):
        if path in mounts:
            findings.warn(f"a volume at {path} hides the image's own packages")
    if "/hab/sup" in mounts:
        findings.warn("a volume at /hab/sup remembers dead peers; a pod that starts with it may not find its ring")


def _read_only_keys(container: Mapping[str, Any], pod_spec: Mapping[str, Any]) -> bool:
    """Whether the user has mounted something at the key cache that cannot be written (supervisor.md §7)."""
    volumes = {v.get("name"): v for v in sequence(pod_spec, "volumes")}
    for mount in sequence(container, "volumeMounts"):
        if normal(str(mount.get("mountPath"))) in ("/hab/cache", "/hab/cache/keys"):
            volume = volumes.get(mount.get("name"), {})
            return bool(mount.get("readOnly")) or any(kind in volume for kind in _READ_ONLY_KINDS)
    return False

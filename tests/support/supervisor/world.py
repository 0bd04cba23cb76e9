"""What surrounds a Supervisor in a test: the image, the node, the cluster's Secrets and ConfigMaps, DNS.

Every answer is fixed, so that the same pod always gets the same verdict.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RING_KEY = "SYM-SEC-1\nring-20260101000000\n\nGCrBOW6CCN75LMl0j2V5QqQ6nNzWm6and9hkKBSUFPI="
"""A ring key as supervisor.md §7 describes its file."""

HEAD = (2, 1, 78)
"""The version of Habitat that supervisor.md §0 was observed on."""

_SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]", re.DOTALL)
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def _plausible(name: str, key: str) -> str:
    """What a user's object would hold under a key."""
    if key == "ring-key":
        return RING_KEY
    return f"# {key} of {name}\n" if key.endswith(".toml") else f"{key}-of-{name}"


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Image:
    """Facts about an exported image that nobody can read in a pod.

    ident: what was exported, and the CMD's ident. version: of the Habitat inside. passwd: uid -> gid of the image's
    /etc/passwd beside root; the kubelet's runtime gives any other uid the group 0. svc_user: SVC_USER is in
    /etc/passwd. binds: names the package declares, None for "whatever is asked". entrypoint_passes_args: the
    container's own `command` ends in `exec /init.sh "$@"`.
    """

    ident: str = "core/web"
    version: tuple[int, ...] = HEAD
    passwd: Mapping[int, int] = field(default_factory=dict)
    svc_user: bool = True
    binds: frozenset[str] | None = None
    entrypoint_passes_args: bool = False

    @property
    def subcommands(self) -> tuple[str, ...]:
        """`start` was the word up to 0.55 and `run` has been since 0.56 (supervisor.md §3)."""
        return ("start",) if self.version < (0, 56) else ("run",)

    @property
    def default_args(self) -> list[str]:
        return [self.subcommands[0], self.ident]


@dataclass(frozen=True, slots=True)
class World:
    """The cluster as the kubelet and the Supervisor see it.

    secrets, config_maps: name -> key -> text; a name that is absent exists and holds a plausible text for any key, as
    a user's does. dead_names: DNS names that do not resolve. peers_annotation: None reads the pod's own.
    """

    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dead_names: frozenset[str] = frozenset()
    pod_ip: str = "10.1.2.3"

    def resolves(self, host: str) -> bool:
        """Whether getaddrinfo finds an IPv4 address for a name or a literal."""
        if host.rpartition(".")[2].isdigit():
            return _is_ipv4(host)
        return bool(_HOST_NAME.fullmatch(host)) and len(host) <= 253 and host not in self.dead_names

    def secret(self, name: str, key: str) -> str:
        return self.secrets.get(name, {}).get(key, _plausible(name, key))

    def config_map(self, name: str, key: str) -> str:
        return self.config_maps.get(name, {}).get(key, _plausible(name, key))

    def env_from(self, source: Mapping[str, Any]) -> dict[str, str]:
        """The variables of one envFrom entry; only those that a test has named."""
        prefix = source.get("prefix") or ""
        if source.get("secretRef"):
            data = self.secrets.get(source["secretRef"].get("name", ""), {})
        else:
            data = self.config_maps.get((source.get("configMapRef") or {}).get("name", ""), {})
        return {prefix + key: value for key, value in data.items()}

    def value_from(self, source: Mapping[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
        """The text of an env entry's valueFrom."""
        if ref := source.get("secretKeyRef"):
            return self.secret(ref.get("name", ""), ref.get("key", ""))
        if ref := source.get("configMapKeyRef"):
            return self.config_map(ref.get("name", ""), ref.get("key", ""))
        if ref := source.get("fieldRef"):
            return self.field(ref.get("fieldPath", ""), pod)
        if ref := source.get("resourceFieldRef"):
            return "1" if "cpu" in ref.get("resource", "") else "134217728"
        return f"unknown-source-in-{container.get('name')}"

    def field(self, path: str, pod: Mapping[str, Any]) -> str:
        """A downward API field; an annotation or label that is absent is the empty text, as on a kubelet."""
        metadata = pod.get("metadata") or {}
        if subscript := _SUBSCRIPT.fullmatch(path):
            return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
        fixed = {
            "metadata.name": metadata.get("name") or f"{metadata.get('generateName') or 'pod-'}x7k2p",
            "metadata.namespace": metadata.get("namespace") or "default",
            "metadata.uid": "6f1c4a52-0000-4000-8000-1b1b1b1b1b1b",
            "spec.nodeName": "node-1",
            "spec.serviceAccountName": (pod.get("spec") or {}).get("serviceAccountName") or "default",
            "status.hostIP": "192.0.2.10",
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIPs": "192.0.2.10",
        }
        return str(fixed.get(path, f"unknown-field-{path}"))

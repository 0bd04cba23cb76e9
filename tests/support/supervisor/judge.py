"""The whole verdict on one container of a pod: does a service come up, and does its readiness say so?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.supervisor import configuration, filesystem
from tests.support.supervisor.gateway import State, probe_passes
from tests.support.supervisor.peers import Peers, read_peers
from tests.support.supervisor.start import start
from tests.support.supervisor.verdict import Exit, NeverReady, Ready, Running, Verdict
from tests.support.supervisor.world import Image, World


def container_named(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The container of a pod, native sidecars included. Raises LookupError."""
    spec = pod.get("spec") or {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        if container.get("name") == name:
            return dict(container)
    raise LookupError(f"no container {name!r} in the pod")


def judge(pod: Mapping[str, Any], name: str, image: Image | None = None, world: World | None = None) -> Verdict:
    """What becomes of the container `name` when a kubelet runs the pod.

    Other members of the ring are taken to be there, and binds to be satisfied: that is the ring's affair.
    """
    image, world = image or Image(), world or World()
    container = container_named(pod, name)
    place = filesystem.place_of(container, pod, image)
    if place.root and _must_be_non_root(container, pod):
        return NeverReady("CreateContainerConfigError: runAsNonRoot, and the image will run as root")
    started = start(container, pod, image, world)
    if not isinstance(started, Running):
        return started
    if problem := filesystem.check(started, place) or _ring_key_problem(started) or _bind_problem(started, image):
        return problem
    peers = watched_peers(started, place, pod, world)
    if peers.fate not in {"waits", "seeks"}:
        return Exit(86, f"peers file: {peers.why}", by="hab-sup") if "86" in peers.fate else NeverReady(peers.why)
    if place.root and not image.svc_user:
        return NeverReady("SVC_USER is not in /etc/passwd: health stays 404")
    if why := configuration.service_problem(started, place, pod, world):
        return NeverReady(f"health stays 404: {why}")
    return _probe_problem(started, container) or Ready(started)


def watched_peers(supervisor: Running, place: filesystem.Place, pod: Mapping[str, Any], world: World) -> Peers:
    """What the Supervisor makes of its peers file as the pod stands; "waits" where it watches none."""
    path = supervisor.flags["peer-watch-file"]
    if path is None:
        return Peers("waits")
    return read_peers(configuration.file_at(str(path), place, pod, world), own=world.pod_ip, world=world)


def _must_be_non_root(container: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    shared = (pod.get("spec") or {}).get("securityContext") or {}
    own = container.get("securityContext") or {}
    chosen = shared.get("runAsNonRoot") if own.get("runAsNonRoot") is None else own.get("runAsNonRoot")
    return bool(chosen)


def _ring_key_problem(supervisor: Running) -> Exit | None:
    """An empty or broken key, an empty ring name: parsed by clap, fatal in the Supervisor (§0, §1.3)."""
    key, ring = supervisor.flags["ring-key"], supervisor.flags["ring"]
    if key is not None and configuration.ring_key_name(str(key)) is None:
        return Exit(86, "HAB_RING_KEY is not the text of a ring key", by="hab-sup")
    return Exit(86, "the ring's name is empty", by="hab-sup") if ring == "" else None


def _bind_problem(supervisor: Running, image: Image) -> Exit | None:
    if image.binds is None:
        return None
    asked = {bind.partition(":")[0] for bind in supervisor.flags["bind"]}
    if unknown := asked - image.binds:
        return Exit(86, f"the package declares no bind {sorted(unknown)}", by="hab-sup")
    return None


def _probe_problem(supervisor: Running, container: Mapping[str, Any]) -> NeverReady | None:
    """Readiness must see a healthy service; startup and liveness must not mind one that still waits."""
    asked: tuple[tuple[str, State], ...] = (
        ("startupProbe", "unknown"),
        ("livenessProbe", "unknown"),
        ("readinessProbe", "ok"),
    )
    for kind, state in asked:
        probe = container.get(kind)
        if probe and probe_passes(probe, supervisor, container, state) is False:
            return NeverReady(f"{kind} fails while the service is {state}: {probe}")
    return None

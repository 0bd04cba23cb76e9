"""Where the run takes place: a control plane of its own, or a cluster that somebody named."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.build import ensure_binaries
from tests.controlplane.client import Cluster, KubectlError, existing_cluster
from tests.controlplane.cluster import ControlPlane
from tests.demo.story import NAMESPACES
from tests.demo.terminal import step
from webhook.ring.pods import SELECTOR

LOOPBACK = "127.0.0.1"
SYSTEM = "habitat-demo-system"
"""Where the controller's ServiceAccount is in somebody else's cluster."""

OURS = (*NAMESPACES, SYSTEM)
ADDRESS_NEEDED = """\
make run KUBECONFIG=… also needs ADDRESS=…: the API server of that cluster will call the webhook on this machine, so it
needs an IP address at which it reaches this machine, and a firewall that lets it through to a free port.
  kind       the gateway of its Docker network (docker network inspect kind)
  minikube   what `minikube ssh getent hosts host.minikube.internal` says
  k3s here   this machine's own address
  elsewhere  often there is none, since the cluster cannot reach into your network
Nothing was changed in the cluster."""


class PlaceError(RuntimeError):
    """The run cannot take place there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """address: where the API server reaches the webhook. own: our control plane, whose pods kwok makes Ready."""

    cluster: Cluster
    address: str
    own: bool


@contextlib.contextmanager
def own_control_plane() -> Iterator[Place]:
    with ControlPlane() as cluster:
        yield Place(cluster, LOOPBACK, own=True)


@contextlib.contextmanager
def existing(kubeconfig: Path, address: str) -> Iterator[Place]:
    """Somebody's cluster: nothing of ours may be there, and our namespaces go at the end.

    Raises PlaceError, KubectlError.
    """
    if not address:
        raise PlaceError(ADDRESS_NEEDED)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise PlaceError(
            f"ADDRESS={address} is not an IP address; name the one at which the API server reaches this machine"
        ) from None
    if not kubeconfig.is_file():
        raise PlaceError(f"KUBECONFIG={kubeconfig} is not a file; name one kubeconfig")
    kubectl = Path(shutil.which("kubectl") or ensure_binaries()["kubectl"])
    with tempfile.TemporaryDirectory(prefix="habitat-demo-") as scratch:
        try:
            cluster = existing_cluster(kubeconfig.absolute(), Path(scratch), kubectl=kubectl)
        except ValueError as error:
            raise PlaceError(str(error)) from error
        _check(cluster)
        try:
            yield Place(cluster, address, own=False)
        finally:
            step(f"removing {', '.join(OURS)} from the cluster")
            with contextlib.suppress(KubectlError):
                cluster.kubectl("delete", "namespace", *OURS, "--ignore-not-found", "--wait=false")


def _check(cluster: Cluster) -> None:
    """Raise PlaceError where the demo would get into the way of something, or cannot be fenced in."""
    present = cluster.kubectl("get", "namespaces", *OURS, "--ignore-not-found", "-o", "name").split()
    if present:
        raise PlaceError(
            f"this cluster has {', '.join(present)} already; delete what an earlier run left, or name another"
        )
    in_use = ["get", "mutatingwebhookconfiguration", "habitat-webhook", "--ignore-not-found", "-o", "name"]
    members = ["get", "pods", "-A", "-l", SELECTOR, "-o", "name"]
    found = [*cluster.kubectl(*in_use).split(), *cluster.kubectl(*members).split()]
    if found:
        raise PlaceError(
            f"this cluster has a habitat-webhook already ({found[0]}): its controller and the demo's would look after"
            " each other's rings; name another cluster"
        )
    kinds = json.loads(cluster.kubectl("get", "--raw", "/apis/admissionregistration.k8s.io/v1"))["resources"]
    if not any(kind["name"] == "validatingadmissionpolicies" for kind in kinds):
        raise PlaceError(
            "this cluster is too old for the fence around the controller; it takes Kubernetes 1.30 or newer"
        )

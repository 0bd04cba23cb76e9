"""The installation on a real kubelet: one command, and everything that is said of it while it runs, changes and goes.

The tests tell one story and run in this order: each leaves the installation whole, the last one without it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.client import Cluster
from tests.deploy.documented import run as run_documented
from tests.deploy.installed import Installed
from tests.image.jail import NOBODY
from tests.node import product
from tests.node.installation import DEPLOYMENTS, NAMESPACE, PAGE, Installation, installed, sigkill, uninstall
from tests.node.load import Seen, load
from tests.node.place import namespace
from tests.node.pods import Manifest, Pods, deployment, pod
from tests.node.rows import LOCKED
from tests.support.manifests import install

Say = Callable[[str], None]
SECURITY = {**LOCKED, "runAsUser": 1000}
MOUNT_SECONDS = 150
"""Until a changed Secret is in a pod: a kubelet's sync of a minute, jitter, and its cache."""
OUT_SECONDS = 5
"""Until a container that died is out of its Service: a kubelet looks once a second."""
AT_LEAST = 200
"""Admissions of a load, also on a machine that is busy with something else."""
BROKEN = re.compile(r"failed calling webhook.*(EOF|connection reset by peer|connection refused|broken pipe)", re.DOTALL)


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(cluster, tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture(scope="module")
def shop(place: Installation) -> Iterator[Pods]:
    """A namespace that asks for injection and enforces Pod Security `restricted`, with a ring of two."""
    with namespace(place.cluster, enforce="restricted") as name:
        place.cluster.kubectl("label", "namespace", name, "habitat.sh/injection=enabled")
        pods = Pods(place.cluster, name)
        pods.apply([deployment(pod("web", SECURITY, ring="shop", ring_key="managed"), replicas=2)])
        yield pods


def _members(shop: Pods) -> dict[str, Manifest]:
    """Name -> pod of the ring."""
    items: list[Manifest] = shop.cluster.get("pods", "-l", "app=web", f"--namespace={shop.namespace}")["items"]
    return {item["metadata"]["name"]: item for item in items}


def _ready_members(shop: Pods) -> dict[str, Manifest]:
    """The same once both are there and ready, without a restart."""

    def two() -> dict[str, Manifest] | None:
        found = _members(shop)
        return found if len(found) == 2 else None

    for name in shop.cluster.wait("two pods of the Deployment", two):
        shop.ready(name)
    return _members(shop)


def _rate(seen: Seen) -> str:
    whole = seen.admitted + len(seen.failed)
    return f"{whole} admissions, {whole / seen.seconds:.0f} a second, the slowest {seen.slowest * 1000:.0f} ms"


def test_one_command_brings_four_pods_that_are_ready_in_their_own_security_context(
    place: Installation, saw: Say
) -> None:
    labels = place.cluster.get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for role in DEPLOYMENTS:
        pods = place.pods(role)
        assert len(pods) == 2
        for name, found in pods.items():
            [container] = found["spec"]["containers"]
            [status] = place.ready(name)["containerStatuses"]
            assert status["image"] == container["image"] == product.name()
            assert status["user"]["linux"]["uid"] == NOBODY
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
    saw(f"deploy/install.yaml: two pods of each role ready as user {NOBODY}, {place.seconds:.0f} s after the command")


def test_the_controller_has_written_the_ca_that_it_made(place: Installation, saw: Say) -> None:
    kinds = {d["kind"] for d in install()}
    assert "Secret" not in kinds
    [shipped] = [d for d in install() if d["kind"] == "MutatingWebhookConfiguration"]
    assert all("caBundle" not in webhook["clientConfig"] for webhook in shipped["webhooks"])
    clients = [webhook["clientConfig"] for webhook in place.configuration()["webhooks"]]
    made = place.secret("habitat-webhook-tls")["ca.crt"]
    assert [client["caBundle"] for client in clients] == [made] * 2
    service = {"name": "habitat-webhook", "namespace": NAMESPACE, "path": "/mutate", "port": 443}
    assert [client["service"] for client in clients] == [service] * 2
    saw("caBundle of both entries, which nobody shipped, is the CA beside the certificate that the controller made")


def test_an_annotated_deployment_comes_out_injected_and_is_ready(shop: Pods, saw: Say) -> None:
    found = _ready_members(shop)
    addresses = {name: member["status"]["podIP"] for name, member in found.items()}
    for member in found.values():
        assert "habitat.sh/injected" in member["metadata"]["annotations"]
    for name, address in addresses.items():
        shop.until(name, "/habitat/peers", next(a for a in addresses.values() if a != address))
        assert shop.variable(name, "HAB_RING_KEY").startswith(f"SYM-SEC-1\nshop.{shop.namespace}-")
    saw("a Deployment of two, injected by way of the Service, is ready; each has the other in its peers and one key")


def test_a_renewed_certificate_reaches_every_pod_by_itself(place: Installation, shop: Pods, saw: Say) -> None:
    pods = list(place.pods("admission"))
    [before] = {place.served(name) for name in pods}
    with load(place.cluster, shop.namespace, pod("probe", SECURITY)) as running:
        place.certs("renew", "--wait=60")
        began = time.monotonic()
        took: dict[str, float] = {}

        def served() -> bool:
            for name in pods:
                if name not in took and place.served(name) != before:
                    took[name] = time.monotonic() - began
            time.sleep(1)  # leaves the machine to the kubelet
            return len(took) == len(pods)

        place.cluster.wait("both pods to serve the new certificate", served, seconds=MOUNT_SECONDS)
        seen = running.stop()
    [after] = {place.served(name) for name in pods}
    assert after != before
    assert seen.failed == []
    assert "nothing is wrong" in place.certs("status")
    for name in pods:
        place.ready(name)
    seconds = " and ".join(f"{s:.0f}" for s in sorted(took.values()))
    saw(
        f"certs renew: serial number {before:x} became {after:x} in the pods after {seconds} s; {_rate(seen)}, 0 failed"
    )


def test_a_rolling_restart_loses_no_admission(place: Installation, shop: Pods, saw: Say) -> None:
    before = set(place.pods("admission"))
    with load(place.cluster, shop.namespace, pod("probe", SECURITY)) as running:
        place.kubectl("rollout", "restart", f"deployment/{DEPLOYMENTS['admission']}")
        place.rolled_out("admission")
        place.cluster.wait("the old pods to be gone", lambda: before.isdisjoint(place.pods("admission")), seconds=90)
        seen = running.stop()
    assert seen.failed == []
    assert seen.admitted > AT_LEAST
    for name in place.pods("admission"):
        place.ready(name)
    saw(f"kubectl rollout restart: two new pods for two old ones in {seen.seconds:.0f} s; {_rate(seen)}, 0 failed")


def test_a_killed_webhook_fails_calls_until_it_is_out_of_the_service_and_none_after(
    place: Installation, shop: Pods, saw: Say
) -> None:
    """Two kinds: what it was answering, and what the API server, which does not know yet, sends to it afterwards."""
    victim = min(place.pods("admission"))

    def restarted() -> bool:
        [status] = place.pods("admission")[victim]["status"]["containerStatuses"]
        return (status["restartCount"], status["ready"]) == (1, True)

    with load(place.cluster, shop.namespace, pod("probe", SECURITY)) as running:
        sigkill(place.cluster, NAMESPACE, victim)
        place.cluster.wait("the killed one to be ready again", restarted, seconds=90)
        seen = running.stop()
    [status] = place.pods("admission")[victim]["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["exitCode"] == 128 + 9
    assert [what for _, what in seen.failed if not BROKEN.search(what)] == []
    times = sorted(when for when, _ in seen.failed)
    span = times[-1] - times[0] if times else 0.0
    refused = sum("connection refused" in what for _, what in seen.failed)
    saw(
        f"SIGKILL of one of two: {len(seen.failed)} failed within {span:.1f} s, {len(seen.failed) - refused} of them "
        f"in flight, {refused} refused a connection by the dead one; {_rate(seen)}"
    )
    assert span < OUT_SECONDS
    assert seen.admitted > AT_LEAST


def test_uninstalled_it_leaves_the_pods_running_and_nothing_of_its_own(
    place: Installation, shop: Pods, saw: Say
) -> None:
    before = _ready_members(shop)
    uninstall(place.cluster)
    assert Installed(place.cluster).left() == []
    assert place.cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found") == ""

    one = min(before)
    sigkill(place.cluster, shop.namespace, one)

    def back(status: Manifest) -> bool:
        [container] = status["containerStatuses"]
        return (container["restartCount"], container["ready"]) == (1, True)

    Pods(shop.cluster, shop.namespace).wait(one, "ready again", back, restarts=True)
    after = _members(shop)
    assert {name: m["metadata"]["uid"] for name, m in after.items()} == {
        name: m["metadata"]["uid"] for name, m in before.items()
    }
    other = next(m["status"]["podIP"] for name, m in after.items() if name != one)
    assert shop.run(one, "cat", "/habitat/peers").split() == [other]
    plain = shop.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", manifest=pod("plain", SECURITY))
    assert "habitat.sh/injected" not in json.loads(plain)["metadata"]["annotations"]

    shop.kubectl("delete", "deployment", "web", "--cascade=foreground")
    run_documented(place.cluster, PAGE, "What is left")
    kept = ("get", "services,secrets", "-A", "-l", "app.kubernetes.io/managed-by=habitat-webhook", "-o", "name")
    assert place.cluster.kubectl(*kept) == ""
    saw("uninstalled: an injected pod was killed, started again and found its peer; then nothing of ours was left")

"""The installation on a real API server: by kubectl and by kustomize, again over itself, and gone without a trace.

kwok plays the kubelet, so that no container runs: that the image starts under this security context is seen on a real
node (tests/node).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.deploy.chart import NAMESPACE
from tests.deploy.documented import run
from tests.deploy.installed import Installed
from tests.support.manifests import DEPLOY, INSTALL, Document, install


@pytest.fixture(scope="module")
def applied() -> Iterator[Installed]:
    """deploy/install.yaml as docs/install.md has it applied, in a cluster of its own, and a ring in namespace shop.

    In the end it is uninstalled as docs/upgrade-uninstall.md says, and what is left is looked at.
    """
    with ControlPlane(nodes=2) as cluster:
        cluster.kubectl("create", "namespace", "shop")
        run(cluster, "install.md", "How do I install it?")
        place = Installed(cluster)
        place.available()
        place.publish()
        cluster.apply("\n---\n".join(json.dumps(d) for d in RING))
        cluster.kubectl("wait", "pod/web", "-n", "shop", "--for=condition=Ready", "--timeout=60s")
        yield place
        run(cluster, "upgrade-uninstall.md", "Uninstall by kubectl")
        place.gone()
        left = cluster.get("pods,services,secrets", "-n", "shop")["items"]
        assert {(d["kind"], d["metadata"]["name"]) for d in left} == {(d["kind"], d["metadata"]["name"]) for d in RING}
        [pod] = [d for d in left if d["kind"] == "Pod"]
        assert (pod["status"]["phase"], "deletionTimestamp" in pod["metadata"]) == ("Running", False)
        run(cluster, "upgrade-uninstall.md", "What is left")
        assert [d["kind"] for d in cluster.get("pods,services,secrets", "-n", "shop")["items"]] == ["Pod"]


# A pod that was injected before, and what the controller has made for its ring.
_MADE = {"app.kubernetes.io/managed-by": "habitat-webhook", "habitat.sh/ring": "default"}
RING: list[Document] = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"habitat.sh/service": "web", "habitat.sh/ring": "default"},
            "annotations": {"habitat.sh/service": "web", "habitat.sh/injected": "{}", "habitat.sh/inject": "false"},
        },
        "spec": {"containers": [{"name": "web", "image": "core/web:1"}]},
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "habitat-ring-default", "namespace": "shop", "labels": _MADE},
        "spec": {"clusterIP": "None", "ports": [{"port": 9638}]},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "habitat-ring-default-key", "namespace": "shop", "labels": _MADE},
        "data": {},
    },
]


def test_one_command_installs_it(applied: Installed) -> None:
    pods = applied.cluster.get("pods", "-n", NAMESPACE)["items"]
    assert len(pods) == 4
    by_role: dict[str, set[str]] = {}
    for pod in pods:
        role = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        by_role.setdefault(role, set()).add(pod["spec"]["nodeName"])
    assert {role: len(nodes) for role, nodes in by_role.items()} == {"admission": 2, "controller": 2}, "not spread"


AGAIN = {
    "apply": ["apply", "-f", str(INSTALL)],
    "kustomize": ["apply", "-k", str(DEPLOY)],
    "server-side": ["apply", "--server-side", "-f", str(INSTALL)],
}


def as_it_is(place: Installed) -> list[Document]:
    """Every object of deploy/install.yaml, without what the API server and controllers keep in it.

    kubectl's own words do not tell: it says "configured" of a list that it sends again as it was.
    """
    found = place.cluster.get("-f", str(INSTALL))["items"]
    kept = ("name", "namespace", "labels")
    return [
        {key: value for key, value in d.items() if key != "status"}
        | {"metadata": {k: d["metadata"].get(k) for k in kept}}
        for d in found
    ]


@pytest.mark.parametrize("way", AGAIN)
def test_applying_it_again_changes_nothing_and_leaves_the_ca(applied: Installed, way: str) -> None:
    before = as_it_is(applied)
    done = applied.cluster.run_kubectl(*AGAIN[way])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(before) == len(install())
    assert as_it_is(applied) == before
    assert applied.published()


def test_an_upgrade_by_kubectl_leaves_the_ca(applied: Installed) -> None:
    run(applied.cluster, "upgrade-uninstall.md", "Upgrade by kubectl")
    assert applied.published()


def test_it_is_switched_off_and_on_again_without_a_ca_until_the_controller_puts_it_in(applied: Installed) -> None:
    run(applied.cluster, "upgrade-uninstall.md", "Switch it off for a while")
    assert all("caBundle" not in w["clientConfig"] for w in applied.configuration()["webhooks"])
    applied.publish()
    assert applied.published()


def test_all_its_pods_come_back_at_once_though_nobody_answers_and_only_annotated_ones_wait(applied: Installed) -> None:
    """No container runs here, so the webhook is down in any case, with failurePolicy Fail."""
    cluster = applied.cluster
    before = {pod["metadata"]["uid"] for pod in cluster.get("pods", "-n", NAMESPACE)["items"]}
    cluster.kubectl("delete", "pods", "--all", "-n", NAMESPACE)
    applied.available()
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in cluster.get("pods", "-n", NAMESPACE)["items"])
    cluster.kubectl("label", "namespace", "shop", "habitat.sh/injection=enabled")

    def created(namespace: str, **annotations: str) -> tuple[int, str]:
        pod = {"metadata": {"name": "probe", "annotations": annotations}, "spec": RING[0]["spec"]}
        status, answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        return status, answer.get("message", "")

    asking = {"habitat.sh/service": "web"}
    status, why = created("shop", **asking)
    assert (status, "failed calling webhook" in why) == (500, True)
    assert [created("shop"), created("kube-system", **asking), created("default", **asking)] == [(201, "")] * 3
    cluster.kubectl("label", "namespace", "shop", "habitat.sh/injection-")

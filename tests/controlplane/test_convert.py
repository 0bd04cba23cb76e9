"""Converted Habitat objects on a real API server: accepted, their pods injected, the operator's claims found again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.running import run, values
from tests.controlplane.client import Cluster
from tests.controlplane.manifests import annotated_pod
from tests.controlplane.test_webhook import Installed, dry_run, pods, registered
from tests.convert.cases import Case, found
from tests.docs.page import commands
from tests.docs.shop import shell
from tests.support.server import ROOT, webhook_server
from webhook.workloads import objects

CASES = [case for case in found() if case.written() and case.name not in ("relatives", "kube-system")]
"""Those whose objects an API server of today knows, outside the system's own namespace."""


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with (
        webhook_server(tmp_path_factory.mktemp("webhook")) as server,
        registered(cluster, server.url, server.files.ca.read_bytes()) as name,
    ):
        webhook = Installed(cluster, server, name)
        with webhook.namespace() as namespace:
            cluster.wait("the webhook to be called", lambda: injected(dry_run(cluster, namespace, annotated_pod())))
        yield webhook


def injected(pod: dict[str, Any]) -> bool:
    return "habitat.sh/injected" in pod["metadata"].get("annotations", {})


def applied(cluster: Cluster, text: str, namespace: str) -> list[dict[str, Any]]:
    """The objects of a manifest, applied in another namespace than they name; the converted workloads are returned."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "watcher", "namespace": namespace}}
    items, made = [account], []
    for found_object in (item for value in values(text) for item in objects(value)):
        if found_object.kind == "Namespace":
            continue
        value = dict(found_object.value)
        value["metadata"] = {**value["metadata"], "namespace": namespace}
        value["metadata"].pop("ownerReferences", None)  # to objects that are not there, so the collector would act
        items.append(value)
        if found_object.template and "annotations" in found_object.template["metadata"]:
            made.append(value)
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_converted_workloads_are_accepted_and_their_pods_injected(installed: Installed, case: Case) -> None:
    cluster = installed.cluster
    with installed.namespace() as namespace:
        for workload in applied(cluster, case.recorded()["out.yaml"], namespace):
            name, count = workload["metadata"]["name"], workload["spec"]["replicas"]

            def complete(name: str = name, count: int = count) -> list[dict[str, Any]] | None:
                """The pods of the workload, and none of what stands beside it under the same label."""
                items = cluster.get("pods", "-n", namespace, "-l", f"habitat-name={name},habitat!=true")["items"]
                return items if len(items) == count else None

            if count:
                assert all(map(injected, cluster.wait(f"{count} pods of {name}", complete)))


OPERATORS = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, labels: {habitat: "true", habitat-name: store}}
spec:
  replicas: 2
  podManagementPolicy: Parallel
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {habitat-name: store}}
  template:
    metadata: {labels: {habitat: "true", habitat-name: store, topology: standalone}}
    spec:
      containers:
        - name: habitat-service
          image: acme/redis:4
          volumeMounts: [{name: persistent, mountPath: /hab/svc/redis/data}]
  volumeClaimTemplates:
    - metadata: {name: persistent, labels: {habitat: "true", habitat-name: store}}
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: fast
        resources: {requests: {storage: 1Gi}}
"""
"""What the operator made of HABITAT (supervisor.md §14.1)."""

HABITAT = """\
apiVersion: habitat.sh/v1beta1
kind: Habitat
metadata: {name: store}
customVersion: v1beta2
spec:
  v1beta2:
    image: acme/redis:4
    count: 2
    persistentStorage: {size: 1Gi, storageClassName: fast, mountPath: /hab/svc/redis/data}
    service: {name: redis, topology: standalone}
"""


def test_data_that_the_operator_has_left_is_found_again(installed: Installed) -> None:
    cluster = installed.cluster
    with installed.namespace() as namespace:

        def claims() -> dict[str, str] | None:
            items = cluster.get("persistentvolumeclaims", "-n", namespace)["items"]
            return {c["metadata"]["name"]: c["metadata"]["uid"] for c in items} if len(items) == 2 else None

        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=OPERATORS)
        before = cluster.wait("the operator's claims", claims)
        assert set(before) == {"persistent-store-0", "persistent-store-1"}
        cluster.kubectl("delete", "statefulset/store", "-n", namespace, "--cascade=foreground", "--wait")

        converted = run("convert", "-f", "-", "--license", "accept-no-persist", stdin=HABITAT).stdout
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=converted)
        made = pods(cluster, namespace, 2)
        assert all(map(injected, made))
        mounted = {v["persistentVolumeClaim"]["claimName"] for pod in made for v in _claim_volumes(pod)}
        assert mounted == set(before)
        assert claims() == before


def test_a_workload_cannot_take_over_the_operator_s_stateful_set(installed: Installed) -> None:
    """Why the Habitat has to go first."""
    with installed.namespace() as namespace:
        installed.cluster.kubectl("apply", "-n", namespace, "-f", "-", input=OPERATORS)
        converted = run("convert", "-f", "-", stdin=HABITAT).stdout
        done = installed.cluster.run_kubectl("apply", "-n", namespace, "-f", "-", input=converted)
        assert done.returncode == 1
        assert 'The StatefulSet "store" is invalid' in done.stderr
        assert "serviceName" in done.stderr


def test_a_service_of_the_operator_s_time_selects_the_converted_pods(installed: Installed) -> None:
    cluster = installed.cluster
    spec = {"selector": {"habitat-name": "web"}, "ports": [{"port": 80}]}
    service = json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": spec})
    habitat = HABITAT.replace("store", "web").replace("    persistentStorage", "    # persistentStorage")
    with installed.namespace() as namespace:
        converted = run("convert", "-f", "-", stdin=f"{habitat}---\n{service}\n").stdout
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=converted)

        def reached() -> bool:
            slices = cluster.get("endpointslices", "-n", namespace, "-l", "kubernetes.io/service-name=front")["items"]
            return sum(len(s.get("endpoints") or ()) for s in slices) == 2

        assert cluster.wait("both pods behind the Service", reached)


def _claim_volumes(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [volume for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "habitats.habitat.sh"},
    "spec": {
        "group": "habitat.sh",
        "scope": "Namespaced",
        "names": {"kind": "Habitat", "plural": "habitats", "shortNames": ["hab"]},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture
def habitats(cluster: Cluster) -> Iterator[None]:
    """A cluster that knows Habitat objects."""
    cluster.apply(json.dumps(CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/habitats.habitat.sh", "--timeout=60s")
    yield
    cluster.kubectl("delete", "crd/habitats.habitat.sh", "--wait=false")


@pytest.mark.usefixtures("habitats")
def test_the_documented_way_leads_there_and_back(installed: Installed, tmp_path: Path) -> None:
    """The page's commands, from Habitats that live in a cluster; this test plays the operator."""
    cluster, steps = installed.cluster, commands("migrate-from-the-operator.md")
    program = tmp_path / "bin" / "habitat-webhook"
    program.parent.mkdir()
    main = "from webhook.cli.main import main; main()"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -c '{main}' \"$@\"\n")
    program.chmod(0o755)
    with installed.namespace(some="label") as namespace:

        def step(title: str, *numbers: int) -> list[str]:
            path = f"PATH={program.parent}:$PATH"
            lines = [steps[title][number] for number in numbers or range(len(steps[title]))]
            return [shell(cluster, f"cd {tmp_path}; {path}; {line.replace('shop', namespace)}") for line in lines]

        def operator() -> None:
            habitat = cluster.get("habitat/store", "-n", namespace)["metadata"]
            owner = {"apiVersion": "habitat.sh/v1beta1", "kind": "Habitat", "name": "store", "uid": habitat["uid"]}
            stateful = yaml.safe_load(OPERATORS)
            stateful["metadata"] |= {"namespace": namespace, "ownerReferences": [owner]}
            cluster.apply(json.dumps(stateful))

        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=HABITAT)
        operator()
        assert not any(map(injected, pods(cluster, namespace, 2)))
        claims = cluster.get("persistentvolumeclaims", "-n", namespace)["items"]

        step("Convert them", 0, 1)
        step("Change over")
        assert all(map(injected, pods(cluster, namespace, 2)))
        assert "store-0" in step("Look at the result", 0)[0]
        step("Go back")
        operator()
        assert not any(map(injected, pods(cluster, namespace, 2)))
        after = cluster.get("persistentvolumeclaims", "-n", namespace)["items"]
        assert [c["metadata"]["uid"] for c in after] == [c["metadata"]["uid"] for c in claims]

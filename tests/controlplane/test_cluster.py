"""The control plane is a real one."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane.build import ASSETS_VARIABLE, kubernetes_version
from tests.controlplane.client import KubectlError, WaitError, existing_cluster
from tests.controlplane.config import POD_ADDRESSES

if TYPE_CHECKING:
    from tests.controlplane.client import Cluster

CONTAINER = {"name": "main", "image": "example/main:1"}


def workload(kind: str, name: str, *, pod: dict[str, Any], **spec: Any) -> str:
    labels = {"app": name}
    group = "batch/v1" if kind == "Job" else "apps/v1"
    if kind != "Job":
        spec["selector"] = {"matchLabels": labels}
    template = {"metadata": {"labels": labels}, "spec": pod}
    manifest = {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": {**spec, "template": template}}
    return json.dumps(manifest)


def pod(name: str, *, finalizers: tuple[str, ...] = (), **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "finalizers": list(finalizers)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [CONTAINER], **spec}}


def condition(kind: str, *, of: dict[str, Any]) -> str:
    return next(str(entry["status"]) for entry in of["status"]["conditions"] if entry["type"] == kind)


def test_api_server_says_the_version_that_was_asked_for(cluster: Cluster) -> None:
    _, version = cluster.request("GET", "/version")
    assert version["gitVersion"] == expected_version()


def expected_version() -> str:
    given = Path(os.environ.get(ASSETS_VARIABLE, ""), "kube-apiserver")
    if ASSETS_VARIABLE not in os.environ or not given.exists():
        return kubernetes_version()
    return subprocess.run([given, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


def test_service_account_without_a_role_is_denied(cluster: Cluster, namespace: str) -> None:
    token = cluster.token(namespace, "default")
    status, answer = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods", token=token)
    assert status == 403
    assert f"system:serviceaccount:{namespace}:default" in answer["message"]


def test_requested_token_has_the_rights_of_its_service_account(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    binding = ("rolebinding", "readers", "--clusterrole=view", f"--serviceaccount={namespace}:reader")
    cluster.kubectl("create", *binding, "-n", namespace)
    kubeconfig = cluster.kubeconfig_for(namespace, "reader")
    assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name", kubeconfig=kubeconfig) == ""
    identity = json.loads(cluster.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig))
    assert identity["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:reader"
    with pytest.raises(KubectlError, match="is forbidden"):
        cluster.kubectl("create", "configmap", "mine", "-n", namespace, kubeconfig=kubeconfig)


def test_impersonation_asks_as_the_named_user(cluster: Cluster, namespace: str) -> None:
    answer = cluster.kubectl("auth", "can-i", "list", "pods", "-n", namespace, as_="nobody", check=False)
    assert "no" in answer.split()


def test_pods_of_a_deployment_become_ready_with_distinct_addresses(cluster: Cluster, namespace: str) -> None:
    manifest = workload("Deployment", "web", pod={"containers": [CONTAINER]}, replicas=3)
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    pods = cluster.get("pods", "-n", namespace)["items"]
    assert [condition("Ready", of=pod) for pod in pods] == ["True"] * 3
    assert [condition("PodScheduled", of=pod) for pod in pods] == ["True"] * 3
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 3
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network(POD_ADDRESSES) for address in addresses)
    assert {pod["status"]["hostIP"] for pod in pods} <= {"172.16.0.2", "172.16.0.3"}


def test_pods_of_a_stateful_set_start_in_order(cluster: Cluster, namespace: str) -> None:
    manifest = workload("StatefulSet", "db", pod={"containers": [CONTAINER]}, replicas=2, serviceName="db")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    cluster.kubectl("rollout", "status", "statefulset/db", "-n", namespace, "--timeout=60s")
    assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split() == ["pod/db-0", "pod/db-1"]


def test_daemon_set_runs_on_every_node(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl(
        "apply", "-n", namespace, "-f", "-", input=workload("DaemonSet", "agent", pod={"containers": [CONTAINER]})
    )
    cluster.kubectl("rollout", "status", "daemonset/agent", "-n", namespace, "--timeout=60s")
    nodes = {pod["spec"]["nodeName"] for pod in cluster.get("pods", "-n", namespace)["items"]}
    assert nodes == {"node-1", "node-2"}


def test_init_containers_end_and_native_sidecars_keep_running(cluster: Cluster, namespace: str) -> None:
    init = [
        {"name": "copy", "image": "example/copy:1"},
        {"name": "proxy", "image": "example/proxy:1", "restartPolicy": "Always"},
    ]
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod("one", initContainers=init)))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/one", "-n", namespace, "--timeout=60s")
    copy, proxy = cluster.get("pod", "one", "-n", namespace)["status"]["initContainerStatuses"]
    assert copy["state"]["terminated"]["exitCode"] == 0
    assert "running" in proxy["state"]
    assert proxy["started"]


def test_pod_with_a_ring_key_has_an_address_before_it_runs(cluster: Cluster, namespace: str) -> None:
    """And is held by an annotation of its own, as by a Secret that is not there."""
    key = {"name": "HAB_RING_KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "ring-key"}}}
    keyed = pod("keyed", containers=[CONTAINER | {"env": [key]}])
    keyed["metadata"]["annotations"] = {"simulated.kubelet/hold": "true"}
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(keyed))

    def waiting() -> dict[str, Any]:
        status = cluster.get("pod", "keyed", "-n", namespace)["status"]
        return dict(status) if "podIP" in status else {}

    status = cluster.wait("the address", waiting)
    assert (status["phase"], condition("Ready", of={"status": status})) == ("Pending", "False")
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "CreateContainerConfigError"}}
    cluster.kubectl("annotate", "pod", "keyed", "-n", namespace, "simulated.kubelet/hold-")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/keyed", "-n", namespace, "--timeout=60s")
    running = cluster.get("pod", "keyed", "-n", namespace)["status"]
    assert running["podIP"] == status["podIP"]
    assert running["startTime"] == status["startTime"]
    assert "running" in running["containerStatuses"][0]["state"]


def test_job_completes(cluster: Cluster, namespace: str) -> None:
    sidecar = {"name": "proxy", "image": "example/proxy:1", "restartPolicy": "Always"}
    template = {"containers": [CONTAINER], "initContainers": [sidecar], "restartPolicy": "Never"}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=workload("Job", "once", pod=template, completions=2))
    cluster.kubectl("wait", "--for=condition=Complete", "job/once", "-n", namespace, "--timeout=60s")
    assert cluster.get("job", "once", "-n", namespace)["status"]["succeeded"] == 2


def test_deleted_pod_goes_at_once_in_spite_of_a_long_grace_period(cluster: Cluster, namespace: str) -> None:
    manifest = json.dumps(pod("slow", terminationGracePeriodSeconds=3600))
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=manifest)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/slow", "-n", namespace, "--timeout=60s")
    cluster.kubectl("delete", "pod", "slow", "-n", namespace, "--timeout=60s")
    assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name") == ""


def test_deleted_pod_with_a_finalizer_stays_until_it_is_removed(cluster: Cluster, namespace: str) -> None:
    manifest = json.dumps(pod("kept", finalizers=("example.com/keep",)))
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=manifest)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/kept", "-n", namespace, "--timeout=60s")
    cluster.kubectl("delete", "pod", "kept", "-n", namespace, "--wait=false")

    def is_finished() -> bool:
        metadata = cluster.get("pod", "kept", "-n", namespace)["metadata"]
        return bool(metadata["deletionGracePeriodSeconds"] == 0)

    cluster.wait("the simulated kubelet's own delete", is_finished)
    cluster.kubectl("patch", "pod", "kept", "-n", namespace, "-p", '{"metadata": {"finalizers": null}}')
    cluster.kubectl("wait", "--for=delete", "pod/kept", "-n", namespace, "--timeout=60s")


def test_namespace_with_workloads_is_deleted_completely(cluster: Cluster) -> None:
    with cluster.namespace() as name:
        # The namespace controller looks again after half of the longest grace period.
        template = {"containers": [CONTAINER], "terminationGracePeriodSeconds": 1}
        for manifest in (
            workload("Deployment", "web", pod=template, replicas=2),
            workload("Job", "once", pod={**template, "restartPolicy": "OnFailure"}),
        ):
            cluster.kubectl("apply", "-n", name, "-f", "-", input=manifest)
        cluster.kubectl("rollout", "status", "deployment/web", "-n", name, "--timeout=60s")
    cluster.kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=60s")
    status, _ = cluster.request("GET", f"/api/v1/namespaces/{name}")
    assert status == 404


def test_pod_security_level_of_a_namespace_is_enforced(cluster: Cluster) -> None:
    with cluster.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        status, answer = cluster.request("POST", f"/api/v1/namespaces/{name}/pods?dryRun=All", pod("lax"))
    assert status == 403
    assert "violates PodSecurity" in answer["message"]


def test_service_gets_the_addresses_of_its_pods(cluster: Cluster, namespace: str) -> None:
    manifest = workload("Deployment", "web", pod={"containers": [CONTAINER]}, replicas=2)
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    cluster.kubectl("expose", "deployment", "web", "--port=80", "-n", namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")

    def endpoints() -> set[str]:
        slices = cluster.get("endpointslices", "-n", namespace)["items"]
        return {address for part in slices for endpoint in part["endpoints"] or [] for address in endpoint["addresses"]}

    def pods() -> set[str]:
        return {pod["status"]["podIP"] for pod in cluster.get("pods", "-n", namespace)["items"]}

    cluster.wait("both pods among the endpoints", lambda: len(endpoints()) == 2)
    assert endpoints() == pods()


def test_kubectl_error_tells_what_kubectl_said(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match=r'kubectl get gremlins ended with exit code 1:\n.*"gremlins"'):
        cluster.kubectl("get", "gremlins")
    assert '"gremlins"' in cluster.kubectl("get", "gremlins", check=False)


def test_waiting_in_vain_tells_what_for_and_the_last_answer(cluster: Cluster) -> None:
    with pytest.raises(WaitError, match="in vain for a miracle; the last answer was ''"):
        cluster.wait("a miracle", lambda: "", seconds=0)


def test_kubectl_does_not_use_the_preferences_of_the_user(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kuberc = tmp_path / ".kube" / "kuberc"
    kuberc.parent.mkdir()
    kuberc.write_text(
        "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
        "defaults: [{command: get, options: [{name: output, default: yaml}]}]\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not cluster.kubectl("get", "namespace", "default").startswith("apiVersion")
    assert [path.name for path in kuberc.parent.iterdir()] == ["kuberc"]


def test_existing_cluster_is_used_by_its_kubeconfig(cluster: Cluster, tmp_path: Path) -> None:
    theirs = existing_cluster(cluster.kubeconfig, tmp_path, kubectl=cluster.access.kubectl)
    assert theirs.url == cluster.url
    assert theirs.get("namespace", "default")["metadata"]["name"] == "default"
    status, _ = theirs.request("GET", "/version", token=theirs.token("default", "default"))
    assert status == 200


def test_kubeconfig_without_certificate_authority_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    bare = tmp_path / "kubeconfig"
    bare.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: 'https://localhost'}}],"
        " contexts: [{name: c, context: {cluster: c, user: ''}}]}"
    )
    with pytest.raises(ValueError, match=r"names no certificate-authority\(-data\); add it"):
        existing_cluster(bare, tmp_path, kubectl=cluster.access.kubectl)

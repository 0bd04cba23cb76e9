"""The project's own image on a real kubelet: its user, a read-only root, no shell, Pod Security `restricted`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from certs import dev
from tests.controlplane.client import Cluster, KubectlError
from tests.image.jail import NOBODY
from tests.node import product
from tests.node.place import namespace
from tests.node.pods import Manifest, Pods, secret
from tests.node.rows import LOCKED
from webhook import __version__

TLS = "/etc/habitat-webhook/tls"


def _pod(name: str, *args: str, **more: Any) -> Manifest:
    container: Manifest = {"name": name, "image": product.name(), "imagePullPolicy": "Never", "args": list(args)}
    container["securityContext"] = {**LOCKED, "readOnlyRootFilesystem": True}
    spec = {"automountServiceAccountToken": False, "containers": [{**container, **more}], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _serve() -> Manifest:
    probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}
    made = _pod("serve", readinessProbe=probe, volumeMounts=[{"name": "tls", "mountPath": TLS, "readOnly": True}])
    made["spec"]["containers"][0]["args"] = ["serve", "--namespaces=none"]  # no account, so no API server
    made["spec"]["securityContext"] = {"fsGroup": NOBODY}
    made["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "tls", "defaultMode": 0o440}}]
    return made


@pytest.fixture(scope="module")
def own(cluster: Cluster) -> Iterator[Pods]:
    pair = dev.issue(["localhost"], now=datetime.now(UTC))
    with namespace(cluster, enforce="restricted") as name:
        pods = Pods(cluster, name)
        certificate = secret("tls", **{"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()})
        pods.apply([{**certificate, "type": "kubernetes.io/tls"}, _pod("version", "version"), _serve()])
        yield pods


def test_it_prints_its_version_and_ends(own: Pods) -> None:
    own.wait("version", "done", lambda status: status["phase"] == "Succeeded")
    assert own.kubectl("logs", "version") == f"habitat-webhook {__version__}\n"


def test_serve_is_ready_with_a_mounted_secret(own: Pods) -> None:
    status = own.ready("serve")
    assert status["containerStatuses"][0]["user"]["linux"]["uid"] == NOBODY
    log = own.kubectl("logs", "serve")
    assert '"message":"certificate loaded"' in log
    assert '"level":"error"' not in log


def test_no_shell_can_be_opened_in_it(own: Pods) -> None:
    own.ready("serve")
    with pytest.raises(KubectlError, match=r"exec.*sh.*no such file"):
        own.kubectl("exec", "serve", "--", "/bin/sh", "-c", "true")


def test_nothing_can_be_written_there(own: Pods) -> None:
    own.ready("serve")
    write = "open('/app/x', 'w')"
    with pytest.raises(KubectlError, match="Read-only file system"):
        own.kubectl("exec", "serve", "--", "python3", "-c", write)

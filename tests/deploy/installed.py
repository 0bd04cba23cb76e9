"""An installation in a cluster of a test's own: what a controller writes into it, and what is left of it."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

from tests.controlplane.client import Cluster
from tests.deploy.chart import NAMESPACE
from tests.deploy.fenced import JSON_PATCH, add

CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/habitat-webhook"
DEPLOYMENTS = ("habitat-webhook", "habitat-webhook-controller")


class Installed:
    """An installation in a cluster in which nobody else installs it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.bundle = base64.b64encode(cluster.ca.read_bytes()).decode()

    def available(self) -> None:
        """Waits until both Deployments have all their pods, which quota, priority and Pod Security have let in."""
        for name in DEPLOYMENTS:
            self.cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=60s")

    def configuration(self) -> Any:
        status, found = self.cluster.request("GET", CONFIGURATION)
        assert status == 200, found
        return found

    def publish(self) -> None:
        """Writes caBundle of all entries as the controller does it: by its account, which the fence lets do that."""
        places = range(len(self.configuration()["webhooks"]))
        patch = [add(f"/webhooks/{n}/clientConfig/caBundle", self.bundle)[0] for n in places]
        headers = {
            "Authorization": f"Bearer {self.cluster.token(NAMESPACE, 'habitat-webhook-controller')}",
            "Content-Type": JSON_PATCH,
        }

        def written() -> bool:  # the rights are a moment old
            with contextlib.closing(self.cluster.connect(administrator=False)) as connection:
                connection.request("PATCH", CONFIGURATION, json.dumps(patch), headers)
                return connection.getresponse().status == 200

        self.cluster.wait("the CA to be written", written)

    def published(self) -> bool:
        return [w["clientConfig"].get("caBundle") for w in self.configuration()["webhooks"]] == [self.bundle] * 2

    def left(self) -> list[str]:
        """What there is of the installation in the whole cluster, the namespace aside."""
        kinds = self.cluster.kubectl("api-resources", "--verbs=list,delete", "-o", "name").split()
        asked = ",".join(kind for kind in kinds if kind not in ("events", "events.events.k8s.io", "pods"))
        label = "-l=app.kubernetes.io/name=habitat-webhook"
        found = self.cluster.kubectl("get", asked, "-A", label, "-o", "name", "--ignore-not-found").split()
        return [name for name in found if name != f"namespace/{NAMESPACE}"]

    def gone(self) -> None:
        # A deleted Deployment's ReplicaSets go a moment later.
        self.cluster.wait("nothing to be left", lambda: self.left() == [])
        self.cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s", "--ignore-not-found")

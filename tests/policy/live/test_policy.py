"""A policy in force on a real API server: what users get, what they read, what is recorded, and how it changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster, wait_for
from tests.controlplane.cluster import ControlPlane
from tests.policy.making import text_of
from tests.policy.test_loaded import BAD, Mounted
from tests.support import audit
from tests.support.manifests import named, rendered
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import VALIDATING, registration, unannotated_too

RULES = """
    - name: everywhere
      defaults: {license: accept-no-persist, channel: stable}
    - name: forced
      match: {podSelector: {matchLabels: {case: forced}}}
      force: {group: forced}
    - name: denied
      match: {podSelector: {matchLabels: {case: denied}}}
      deny: {channel: [unstable]}
      message: Ask Ann.
    - name: warned
      match: {podSelector: {matchLabels: {case: warned}}}
      action: warn
      deny: {channel: [unstable]}
    - name: audited
      match: {podSelector: {matchLabels: {case: audited}}}
      action: audit
      require: [org]
    - name: legacy
      match: {images: ["registry.example.com/legacy:*"]}
      inject: true
      defaults: {service: legacy}
    - name: production
      match: {namespaceSelector: {matchLabels: {tier: production}}}
      force: {topology: leader}
      defaults: {org: policy, binding-mode: strict}
    - name: left-alone
      match: {podSelector: {matchLabels: {case: never}}}
      inject: never
"""
ADMINISTRATOR = "admin"
_PARTS = ("metadata", "spec")


class Place:
    """A cluster with the webhook, its policy, and a namespace."""

    def __init__(self, cluster: Cluster, server: WebhookServer, mounted: Mounted, namespace: str, log: Path) -> None:
        self.cluster, self.server, self.mounted, self.namespace, self.log = cluster, server, mounted, namespace, log

    def show(self, rules: str) -> None:
        """Bring a policy into force."""
        before = self.server.metric("policy_generation")
        self.mounted.show(text_of(rules))
        wait_for("the policy", lambda: self.server.metric("policy_generation") > before)

    def create(self, pod: dict[str, Any]) -> tuple[int, Any]:
        return self.cluster.request("POST", f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All", pod)

    def injected(self, case: str, **annotations: str) -> dict[str, Any]:
        """The container of a pod that the API server would store."""
        status, stored = self.create(a_pod(case, **annotations))
        assert status == 201, stored
        assert "habitat.sh/injected" in stored["metadata"].get("annotations", {}), stored["metadata"]
        container: dict[str, Any] = stored["spec"]["containers"][0]
        return container

    def recorded(self) -> list[dict[str, str]]:
        """The audit log's annotations of all creations so far that the webhook has written any for."""
        found = []
        for line in self.log.read_text().splitlines():
            annotations = json.loads(line).get("annotations", {})
            own = {k.rpartition("/")[2]: v for k, v in annotations.items() if k.startswith("inject.habitat.sh/")}
            found += [own] if own else []
        return found


def a_pod(case: str, image: str = "core/redis", **annotations: str) -> dict[str, Any]:
    marks = {f"habitat.sh/{name}": value for name, value in annotations.items()}
    metadata = {"generateName": "p-", "labels": {"case": case}, "annotations": marks}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "app", "image": image}]},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("policy")
    volume = directory / "mounted"
    volume.mkdir()
    mounted = Mounted(volume)
    mounted.show(text_of(RULES))
    with (
        ControlPlane(nodes=1, apiserver_flags=audit.flags(directory, ADMINISTRATOR)) as cluster,
        webhook_server(directory, "--policy", str(mounted.file), f"--kubeconfig={cluster.kubeconfig}") as server,
        cluster.namespace(labels={"habitat.sh/injection": "enabled"}) as namespace,
    ):
        configuration = registration(server.url, server.files.ca.read_bytes())
        cluster.apply(json.dumps(unannotated_too(configuration)))
        made = Place(cluster, server, mounted, namespace, audit.log(directory))
        wait_for(
            "the webhook to be called", lambda: "habitat.sh/injected" in str(made.create(a_pod("x", service="redis")))
        )
        yield made


def test_default_is_given_and_a_pods_own_word_beats_it(place: Place) -> None:
    assert "--channel=stable" in place.injected("x", service="redis")["args"]
    assert "--channel=mine" in place.injected("x", service="redis", channel="mine")["args"]


def test_forced_value_beats_the_pods(place: Place) -> None:
    assert "--group=forced" in place.injected("forced", service="redis", group="mine")["args"]


def test_refusal_names_the_rule_the_value_and_what_to_do(place: Place) -> None:
    status, answer = place.create(a_pod("denied", service="redis", channel="unstable"))
    assert status == 422
    for text in (answer["message"], answer["details"]["causes"][0]["message"]):
        assert 'policy rule denied: "unstable" is not allowed; not allowed: unstable; Ask Ann.' in text
    assert answer["details"]["causes"][0]["field"] == "metadata.annotations[habitat.sh/channel]"
    assert place.recorded()[-1]["reason"] == "PolicyDenied"


def test_kubectl_shows_the_warning_and_the_pod_is_as_it_wants_to_be(place: Place) -> None:
    pod = json.dumps(a_pod("warned", service="redis", channel="unstable"))
    said = place.cluster.kubectl("create", "-n", place.namespace, "--dry-run=server", "-f", "-", input=pod, check=False)
    assert "Warning: habitat.sh/channel: policy rule warned: its value is not allowed; not allowed: unstable" in said
    assert "--channel=unstable" in place.injected("warned", service="redis", channel="unstable")["args"]


def test_audit_log_has_the_generation_the_rules_and_what_they_record(place: Place) -> None:
    place.injected("audited", service="redis")
    recorded = place.recorded()[-1]
    assert recorded["policy-rules"] == "everywhere,audited"
    assert recorded["policy-audit"].startswith("habitat.sh/org: policy rule audited: it is missing;")
    assert recorded["policy"] == place.server.wait_for_line("policy loaded")["generation"]


def test_unannotated_pod_is_opted_in_by_its_image_and_others_are_not(place: Place) -> None:
    status, stored = place.create(a_pod("x", image="registry.example.com/legacy:1"))
    assert status == 201
    assert stored["metadata"]["labels"]["habitat.sh/service"] == "legacy"
    status, stored = place.create(a_pod("x"))
    assert status == 201
    assert "habitat.sh/injected" not in stored["metadata"].get("annotations", {})
    status, stored = place.create(a_pod("x", image="registry.example.com/legacy:1", inject="false"))
    assert status == 201
    assert "habitat.sh/service" not in stored["metadata"]["labels"]


def test_unannotated_workload_that_a_rule_opts_in_is_looked_at_when_it_is_applied(place: Place) -> None:
    """By the second entry that the chart renders with policy.optIn."""
    configuration = registration(place.server.url, place.server.files.ca.read_bytes(), kind=VALIDATING)
    client = configuration["webhooks"][0]["clientConfig"]
    opted_in = named(rendered("policy"), VALIDATING, "habitat-webhook")["webhooks"]
    configuration["webhooks"] = [entry | {"clientConfig": client} for entry in opted_in]
    place.cluster.apply(json.dumps(configuration))

    def applied(image: str, **annotations: str) -> str:
        pod = {key: part for key, part in a_pod("unannotated", image=image, **annotations).items() if key in _PARTS}
        pod["spec"]["containers"][0]["command"] = ["/bin/own"]
        pod["metadata"].pop("generateName")
        spec = {"selector": {"matchLabels": {"case": "unannotated"}}, "template": pod}
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "legacy"}, "spec": spec}
        command = ("apply", "--dry-run=server", "-f", "-", "-n", place.namespace)
        return place.cluster.run_kubectl(*command, input=json.dumps(made)).stderr

    def asked() -> int:
        return sum(line["message"] == "workload review" for line in place.server.lines())

    try:
        image = "registry.example.com/legacy:1"
        wait_for("the refusal", lambda: "the container has its own command" in applied(image), seconds=20)
        before = asked()
        assert "the container has its own command" in applied(image, service="web")
        assert applied("registry.example.com/other:1") == ""
        assert asked() == before + 2, "by one entry each"
    finally:
        place.cluster.kubectl("delete", "validatingwebhookconfiguration", configuration["metadata"]["name"])


def test_rule_leaves_annotated_pods_alone(place: Place) -> None:
    status, stored = place.create(a_pod("never", service="redis", inject="true"))
    assert status == 201
    assert "habitat.sh/injected" not in stored["metadata"]["annotations"]
    assert place.recorded()[-1]["reason"] == "PolicyNever"


def test_rule_goes_by_the_namespaces_labels_and_its_defaults_are_weaker_than_the_namespaces(place: Place) -> None:
    metadata = {
        "name": "production",
        "labels": {"habitat.sh/injection": "enabled", "tier": "production"},
        "annotations": {"default.habitat.sh/org": "namespace", "default.habitat.sh/topology": "standalone"},
    }
    assert place.cluster.request("POST", "/api/v1/namespaces", {"metadata": metadata})[0] == 201
    pod = a_pod("x", service="redis")
    status, stored = place.cluster.request("POST", "/api/v1/namespaces/production/pods?dryRun=All", pod)
    assert status == 201
    args = stored["spec"]["containers"][0]["args"]
    assert {"--org=namespace", "--topology=leader", "--binding-mode=strict"} <= set(args)
    assert "--topology=leader" not in place.injected("x", service="redis")["args"]


def test_reload_under_load_never_mixes_two_generations_and_an_invalid_one_changes_nothing(place: Place) -> None:
    names = ("alpha", "bravo", "cecil")
    over, failures, seen = threading.Event(), [], []

    def generation(name: str) -> str:
        return f"""
            - {{name: one, force: {{group: {name}}}, defaults: {{license: accept, org: {name}}}}}
            - {{name: two, force: {{channel: {name}}}}}
        """

    def ask() -> None:
        try:
            while not over.is_set():
                args = place.injected("x", service="redis")["args"]
                seen.append(
                    {arg.partition("=")[2] for arg in args if arg.startswith(("--group", "--org", "--channel"))}
                )
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    place.show(generation(names[0]))
    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for name in names[1:]:
        refused = place.server.metric("policy_loads_total", result="refused")
        place.mounted.show(BAD)
        wait_for("the refusal", lambda n=refused: place.server.metric("policy_loads_total", result="refused") > n)
        assert place.server.get("/readyz")[0] == 200
        place.show(generation(name))
        count = len(seen)
        wait_for("pods", lambda n=count: len(seen) > n + 6 or bool(failures))
    over.set()
    for client in clients:
        client.join()
    assert failures == []
    assert all(len(found) == 1 for found in seen), seen
    assert set.union(*seen) == set(names)
    place.show(RULES)

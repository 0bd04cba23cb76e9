"""Namespaces as `serve` knows them, on a real API server: with its own token, and through an outage and a restart."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.support import audit
from tests.support.controller_rights import NAMESPACE, SERVE, SERVE_ACCOUNT, Installed, installed_as_shipped, user_name
from tests.support.reviews import encoded, review
from tests.support.server import WebhookServer, webhook_server
from tests.support.webhook_config import registration
from webhook.server.events import POLICY_REFUSED, WARNED

ENABLED = {"habitat.sh/injection": "enabled"}
USER = user_name(NAMESPACE, SERVE_ACCOUNT)
BORN_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A control plane of its own, and `serve` with the token of its account, registered there."""

    cluster: RunningControlPlane
    rights: Installed
    kubeconfig: Path
    server: WebhookServer
    directory: Path

    @contextlib.contextmanager
    def another(self, name: str, *flags: str) -> Iterator[WebhookServer]:
        """A second `serve`, which nobody calls but the test."""
        directory = self.directory / name
        directory.mkdir()
        with webhook_server(directory, f"--kubeconfig={self.kubeconfig}", "--events", *flags) as server:
            yield server

    def namespace(self, name: str, *, labels: dict[str, str] | None = None, **defaults: str) -> str:
        """defaults: by option, "_" for "-"."""
        marks = {f"default.habitat.sh/{key.replace('_', '-')}": value for key, value in defaults.items()}
        metadata = {"name": name, "labels": ENABLED if labels is None else labels, "annotations": marks}
        assert self.cluster.request("POST", "/api/v1/namespaces", {"metadata": metadata})[0] == 201
        return name

    def change(self, namespace: str, **metadata: Any) -> None:
        patch = json.dumps({"metadata": metadata})
        self.cluster.kubectl("patch", "namespace", namespace, "--type=merge", "-p", patch)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("namespaces")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=1, apiserver_flags=audit.flags(directory, USER)))
        rights = installed_as_shipped(cluster, SERVE, account=SERVE_ACCOUNT)
        kubeconfig = rights.kubeconfig()
        (directory / "webhook").mkdir()
        server = stack.enter_context(webhook_server(directory / "webhook", f"--kubeconfig={kubeconfig}", "--events"))
        made = Place(cluster, rights, kubeconfig, server, directory)
        cluster.wait("serve to be ready", lambda: server.get("/readyz")[0] == 200)
        cluster.apply(json.dumps(registration(server.url, server.files.ca.read_bytes())))
        first = made.namespace("first")
        cluster.wait("the webhook to be called", lambda: injected(created(made, first)[1]))
        yield made


def pod(annotations: dict[str, str] | None = None, *, args: list[str] | None = None) -> dict[str, Any]:
    marks = {"habitat.sh/service": "web"} | (annotations or {})
    container = {"name": "web", "image": "core/web"} | ({"args": args} if args else {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": marks},
        "spec": {"containers": [container]},
    }


def created(place: Place, namespace: str, *about: Any, **more: Any) -> tuple[int, Any]:
    """The API server's answer to the creation of a pod, as a dry run: no service account is waited for."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    place.cluster.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    return place.cluster.request("POST", path, pod(*about, **more))


def injected(found: Any) -> bool:
    return "habitat.sh/injected" in found.get("metadata", {}).get("annotations", {})


def group(found: Any) -> str:
    """The service group that a pod was given."""
    return str(found["metadata"]["labels"]["habitat.sh/group"])


def variables(found: Any) -> dict[str, Any]:
    return {v["name"]: v.get("value") for v in found["spec"]["containers"][0]["env"]}


SAID = {
    "nobody": ({}, None, {}, "default"),
    "the namespace": ({}, None, {"group": "blue"}, "blue"),
    "the pod": ({"habitat.sh/group": "green"}, None, {}, "green"),
    "the pod over the namespace": ({"habitat.sh/group": "green"}, None, {"group": "blue"}, "green"),
    "the container over both": ({"habitat.sh/group": "green"}, ["--group=red"], {"group": "blue"}, "red"),
}


@pytest.mark.parametrize("who", SAID)
def test_whose_word_counts(place: Place, who: str) -> None:
    annotations, args, defaults, expected = SAID[who]
    namespace = place.namespace(f"said-{list(SAID).index(who)}", **defaults)
    status, found = created(place, namespace, annotations, args=args)
    assert (status, group(found)) == (201, expected)


def test_a_licence_may_be_accepted_for_a_whole_namespace(place: Place) -> None:
    namespace = place.namespace("licensed", license="accept-no-persist")
    assert variables(created(place, namespace)[1])["HAB_LICENSE"] == "accept-no-persist"


def test_a_bad_default_is_refused_with_its_namespace_and_an_unknown_one_is_warned_about(place: Place) -> None:
    namespace = place.namespace("mistaken", topology="ring", topologie="leader", service="web")
    status, answer = created(place, namespace)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "habitat.sh/topology" in answer["message"]
    assert f"(from namespace {namespace})" in answer["message"]
    said = [line["message"] for line in place.server.lines() if line.get("namespace") == namespace]
    assert "default.habitat.sh/topologie is unknown" in said
    assert "default.habitat.sh/service has no effect: habitat.sh/service is for one workload" in said
    review = [line for line in place.server.lines() if line.get("namespace") == namespace and "warnings" in line][-1]
    warning = f"default.habitat.sh/topologie of namespace {namespace} is unknown and has no effect"
    assert any(text.startswith(warning[:119]) for text in review["warnings"])


def test_a_namespace_that_was_created_a_moment_ago_is_known(place: Place) -> None:
    for number in range(BORN_AT_ONCE):
        namespace = place.namespace(f"young-{number}", group=f"g{number}")
        status, found = created(place, namespace)
        assert (status, group(found)) == (201, f"g{number}")


def test_a_deployment_that_comes_with_its_namespace_has_its_defaults(place: Place) -> None:
    about = {"name": "whole", "labels": ENABLED, "annotations": {"default.habitat.sh/group": "blue"}}
    template = {"metadata": {"labels": {"app": "web"}, "annotations": {"habitat.sh/service": "web"}}}
    template["spec"] = pod()["spec"]
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "whole"}}
    both = [{"apiVersion": "v1", "kind": "Namespace", "metadata": about}, deployment | {"spec": spec}]
    place.cluster.apply("\n---\n".join(map(json.dumps, both)))

    def there() -> Any:
        pods = place.cluster.get("pods", "-n", "whole")["items"]
        return pods if len(pods) == 2 else None

    for found in place.cluster.wait("two pods", there):
        assert (injected(found), group(found)) == (True, "blue")


def test_a_label_that_was_set_a_moment_ago_counts(place: Place) -> None:
    namespace = place.namespace("switched", labels={})
    for _ in range(5):
        assert not injected(created(place, namespace)[1])
        place.change(namespace, labels=ENABLED)
        place.cluster.wait("the API server to go by the label", lambda: injected(created(place, namespace)[1]))
        # From the first call on that the API server makes, none may slip through.
        assert all(injected(created(place, namespace)[1]) for _ in range(10))
        place.change(namespace, labels={"habitat.sh/injection": None})
        place.cluster.wait("the API server to go by that", lambda: not injected(created(place, namespace)[1]))
    slipped = [line for line in place.server.lines() if line.get("reason") == "NamespaceNotEnabled"]
    assert [line for line in slipped if line["namespace"] == namespace] == []


def test_a_changed_default_arrives(place: Place) -> None:
    namespace = place.namespace("changing", group="blue")
    assert group(created(place, namespace)[1]) == "blue"
    place.change(namespace, annotations={"default.habitat.sh/group": "green"})
    place.cluster.wait("the new default", lambda: group(created(place, namespace)[1]) == "green")


def test_what_is_watched_costs_no_call(place: Place) -> None:
    namespace = place.namespace("quiet", group="blue")
    created(place, namespace)
    place.cluster.wait("the watch to bring it", lambda: known(place.server, namespace))
    before = len(asked(place))
    for _ in range(30):
        assert group(answer(place.server, namespace)) == "blue"
    assert len(asked(place)) == before


def known(server: WebhookServer, namespace: str) -> bool:
    """Whether a review makes the server ask nobody."""
    before = reads(server)
    server.review(pod(), namespace=namespace)
    return reads(server) == before


def reads(server: WebhookServer) -> float:
    return sum(server.metric("namespace_reads_total", result=result) for result in ("found", "absent", "failed"))


def asked(place: Place) -> list[audit.Call]:
    return [call for call in audit.calls(place.directory, USER) if call.verb == "get"]


def answer(server: WebhookServer, namespace: str, annotations: dict[str, str] | None = None) -> Any:
    """The pod as the server itself would have it made, without an API server in between."""
    response = server.review(pod(annotations), namespace=namespace)
    patch = json.loads(base64.b64decode(response["patch"]))
    labels = next(operation["value"] for operation in patch if operation["path"] == "/metadata/labels")
    return {"metadata": {"labels": labels}}


def test_metrics_say_how_well_the_namespaces_are_known(place: Place) -> None:
    there = len(place.cluster.get("namespaces")["items"])
    place.cluster.wait("all to be counted", lambda: place.server.metric("namespaces") >= there)
    assert place.server.metric("namespaces_synced") == 1
    assert 0 <= place.server.metric("namespaces_age_seconds") < 600


def test_a_second_server_begins_with_all_of_them(place: Place) -> None:
    namespace = place.namespace("restarted", group="blue")
    with place.another("second") as server:
        place.cluster.wait("it to be ready", lambda: server.get("/readyz")[0] == 200)
        assert group(answer(server, namespace)) == "blue"
        assert reads(server) == 0
        assert server.stop() == 0


SURPRISING = {"habitat.sh/topologie": "leader"}


def events(place: Place, namespace: str, reason: str) -> list[dict[str, Any]]:
    _, found = place.cluster.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    return [e for e in found["items"] if e["reason"] == reason]


def test_warnings_that_nobody_reads_are_an_event_on_the_owner(place: Place) -> None:
    namespace = place.namespace("events")
    body = pod(SURPRISING)
    template = {
        "metadata": {"labels": {"app": "web"}, "annotations": body["metadata"]["annotations"]},
        "spec": body["spec"],
    }
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    place.cluster.apply(json.dumps(workload))
    place.cluster.wait("the event", lambda: events(place, namespace, WARNED))
    [event] = events(place, namespace, WARNED)
    owners = place.cluster.get("replicasets", "-n", namespace)["items"]
    assert [o["metadata"]["uid"] for o in owners] == [event["regarding"]["uid"]]
    assert (event["type"], event["reportingController"]) == ("Warning", "habitat.sh/webhook")
    said = place.cluster.kubectl("describe", "replicaset", "-n", namespace).partition("Events:")[2]
    assert "did you mean habitat.sh/topology?" in said
    assert "Warning  InjectionWarning" in said


def test_a_dry_run_leads_to_no_event(place: Place) -> None:
    namespace = place.namespace("dry")
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    body = pod(SURPRISING)
    body["metadata"]["ownerReferences"] = [owner]
    status, _ = place.cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    assert status in (201, 403), "403 before the namespace has its ServiceAccount, after the webhook was asked"
    with place.another("dry") as server:
        place.cluster.wait("it to be ready", lambda: server.get("/readyz")[0] == 200)
        assert server.post(encoded(review(body, namespace=namespace, dryRun=True)))[0] == 200
        assert server.stop() == 0, "what waits is written at the end"
    assert events(place, namespace, WARNED) == []


def test_what_is_said_again_counts_up_and_is_written_at_the_end_of_serve(place: Place) -> None:
    namespace = place.namespace("again")
    body = pod(SURPRISING)
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    ]
    with place.another("again") as server:
        place.cluster.wait("it to be ready", lambda: server.get("/readyz")[0] == 200)
        server.review(body, namespace=namespace)
        place.cluster.wait("the event", lambda: events(place, namespace, WARNED))
        for _ in range(4):
            server.review(body, namespace=namespace)
        assert server.metric("events_dropped_total") == 0
        assert server.stop() == 0
    [event] = events(place, namespace, WARNED)
    assert event.get("series", {}).get("count") == 5, server.lines()[-5:]


def test_a_policy_that_cannot_be_used_is_an_event_on_its_config_map(place: Place, tmp_path: Path) -> None:
    namespace, policy = place.namespace("policies"), tmp_path / "policy.yaml"
    policy.write_text("apiVersion: policy.habitat.sh/v1\nkind: Policy\nrules: 7\n")
    flags = (f"--policy={policy}", "--policy-config-map=ours", f"--own-namespace={namespace}")
    with place.another("refused", *flags) as server:
        place.cluster.wait("the event", lambda: events(place, namespace, POLICY_REFUSED))
        assert server.metric("policy_last_error") == 1
    [event] = events(place, namespace, POLICY_REFUSED)
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("ConfigMap", "ours")
    assert f"{policy}:3:" in event["note"]


def test_serve_uses_every_right_that_it_has_and_needs_no_other(place: Place) -> None:
    """Before the outage: an API server that has just begun refuses what it has not read the roles of."""
    not_enabled = place.namespace("plain", labels={})
    place.server.review(pod(), namespace=not_enabled)
    done = audit.calls(place.directory, USER)
    used = {(verb, "namespaces") for verb in ("get", "list", "watch")} | {("create", "events"), ("patch", "events")}
    assert {(call.verb, call.resource) for call in done} == used
    roles = place.rights.roles
    assert [role["metadata"]["name"] for role in roles] == ["habitat-webhook"]
    assert audit.unused_rules(roles, done) == []
    assert audit.forbidden(done) == []


def test_without_an_api_server_the_last_known_count(place: Place) -> None:
    namespace = place.namespace("kept", group="blue")
    place.cluster.wait("the watch to bring it", lambda: known(place.server, namespace))
    failed = place.server.errors("namespace")
    place.cluster.stop_apiserver()
    try:
        assert group(answer(place.server, namespace)) == "blue"
        assert [place.server.get(path)[0] for path in ("/livez", "/readyz")] == [200, 200]

        status, refused = place.server.post(encoded(review(pod(), namespace="never-seen")))
        assert status == 503
        assert "namespace never-seen has to be asked for" in refused["message"]
        assert place.server.errors("namespace") == failed + 1
        place.server.wait_for_line("informer interrupted", informer="namespaces")

        with place.another("blind") as blind:
            blind.wait_for_line("informer interrupted", informer="namespaces")
            status, text = blind.get("/readyz")
            assert (status, "[-] namespaces: the namespaces have not been read" in text) == (503, True)
            assert blind.get("/livez")[0] == 200
    finally:
        place.cluster.start_apiserver()
    place.server.wait_for_line("informer goes on", informer="namespaces")
    place.change(namespace, annotations={"default.habitat.sh/group": "green"})
    place.cluster.wait("what has changed since", lambda: group(answer(place.server, namespace)) == "green")

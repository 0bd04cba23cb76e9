"""What a ring looks like from outside: events where people look for them, and metrics that stay few."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.ring.live.installation import SHARED, Installation
from tests.ring.live.observing import heard, leading
from tests.support.controller import ControllerProcess
from webhook.ring.metrics import Metrics
from webhook.slipped.part import Metrics as SlippedMetrics

RING, SERVICE, APPLICATION = "orchestra", "habitat-ring-orchestra", "violins"
_METRICS = Metrics()
SlippedMetrics(_METRICS.exposition)
DECLARED = _METRICS.exposition.declared
ASKED = {
    "verb": {"get", "list", "watch", "create", "update", "patch", "delete"},
    "resource": {"pods", "services", "configmaps", "secrets", "events", "leases", "namespaces"},
}
"""Values of labels that are not listed where the metric is declared."""


@pytest.fixture(scope="module")
def quick(rings: Installation) -> Iterator[ControllerProcess]:
    with leading(rings) as process:
        yield process


@pytest.fixture(scope="module")
def ring(rings: Installation, quick: ControllerProcess) -> Iterator[str]:
    """The namespace of a ring that has been through something. Its names are in no metric's name or text."""
    with rings.namespace() as namespace:
        config_map = ("create", "configmap", "partitur", "--from-literal=user.toml=a=1", f"--namespace={namespace}")
        rings.cluster.kubectl(*config_map)
        rings.deploy(namespace, APPLICATION, 4, ring=RING, ring_key="managed", config_map="partitur")
        rings.ring(namespace, 4)
        for reason in ("RingFormed", "RingKeyCreated"):
            heard(rings, namespace, reason, "Service")
        spoiled = '{"spec": {"publishNotReadyAddresses": false}}'
        rings.cluster.kubectl("patch", "service", SERVICE, f"--namespace={namespace}", f"--patch={spoiled}")
        heard(rings, namespace, "ServiceRepaired", "Service")
        # Once the rings of earlier tests have gone with their namespaces.
        rings.wait("the numbers", lambda: (quick.metric("rings"), quick.metric("ring_members")) == (1, 4))
        yield namespace


def test_describe_shows_what_happened_to_the_service(rings: Installation, ring: str) -> None:
    said = rings.cluster.kubectl("describe", "service", SERVICE, f"--namespace={ring}")
    events = said.partition("Events:")[2]
    assert re.search(rf"Normal +RingFormed .* The ring {RING}.{ring} has its Service\.", events)
    assert re.search(r"Normal +RingKeyCreated .* has got its key ", events)
    assert re.search(r"Warning +ServiceRepaired .* Somebody had changed it: spec\.publishNotReadyAddresses ", events)
    assert "habitat.sh/ring-controller" in events


def test_describe_shows_the_owner_of_pods_what_concerns_them(rings: Installation, ring: str) -> None:
    heard(rings, ring, "RingKeyCreated", "ReplicaSet")
    said = rings.cluster.kubectl("describe", "replicaset", f"--namespace={ring}", f"--selector=app={APPLICATION}")
    assert re.search(
        rf"Normal +RingKeyCreated .* The ring {RING}.{ring} has got its key ", said.partition("Events:")[2]
    )


def test_get_events_lists_them_with_what_they_are_about(rings: Installation, ring: str) -> None:
    listed = rings.cluster.kubectl("get", "events", f"--namespace={ring}")
    ours = {tuple(line.split()[1:4]) for line in listed.splitlines() if SERVICE in line}
    assert ours == {
        ("Normal", "RingFormed", f"service/{SERVICE}"),
        ("Normal", "RingKeyCreated", f"service/{SERVICE}"),
        ("Warning", "ServiceRepaired", f"service/{SERVICE}"),
    }


def test_every_metric_is_there_with_its_type_and_a_sentence(quick: ControllerProcess) -> None:
    status, text = quick.get("/metrics")
    assert status == 200
    types = dict(re.findall(r"^# TYPE (habitat_webhook_\S+) (\S+)$", text, re.MULTILINE))
    assert types == {name: metric.kind for name, metric in DECLARED.items()}
    helps = dict(re.findall(r"^# HELP (habitat_webhook_\S+) (.*)$", text, re.MULTILINE))
    assert helps == {name: metric.doc for name, metric in DECLARED.items()}
    assert all(sentence.endswith(".") for sentence in helps.values())


def test_numbers_are_those_of_the_ring(ring: str, quick: ControllerProcess) -> None:
    assert ring
    assert [quick.metric(name) for name in ("rings", "ring_members", "ring_size_max", "leader")] == [1, 4, 4, 1]
    assert [quick.metric(name) for name in ("unseeded_pods", "ring_keys_missing", "foreign_services")] == [0, 0, 0]
    # A first pod that is alone for a moment waits for nobody, and is not counted.
    assert quick.metric("peers_written_seconds_count") in (3, 4)
    assert quick.metric("peers_written_seconds_bucket", le="60.0") == quick.metric("peers_written_seconds_count")
    assert quick.metric("writes_total", kind="peers", result="ok") >= 4
    assert quick.metric("writes_total", kind="secret", result="ok") == 1
    assert quick.metric("writes_total", kind="service", result="ok") >= 2
    assert quick.metric("writes_total", result="error") == 0
    assert quick.metric("api_calls_total", verb="create", resource="services", status="201") == 1
    assert quick.metric("reconcile_failures_total") == 0


def test_metrics_name_no_namespace_no_ring_and_no_pod(rings: Installation, ring: str, quick: ControllerProcess) -> None:
    text = quick.get("/metrics")[1]
    secret = (ring, RING, APPLICATION, "partitur", SHARED, "infra", "redis", "payments", "10.128.")
    assert not [name for name in secret if name in text]
    assert not [p for p in rings.pods(ring) if p["metadata"]["name"] in text or p["metadata"]["uid"] in text]
    for name, labels in re.findall(r"^(habitat_webhook_(?!build_info)\w+){(.*)} ", text, re.MULTILINE):
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            if label == "status":
                assert re.fullmatch(r"0|[2-5]\d\d", value)
            elif label != "le":
                values = DECLARED[name].labels[label]
                assert value in (ASKED[label] if isinstance(values, str) else values), name


def test_readiness_and_liveness_are_said_in_plain_text(ring: str, quick: ControllerProcess) -> None:
    assert ring
    assert [quick.get(path) for path in ("/livez", "/readyz")] == [(200, "ok\n"), (200, "ok\n")]
    assert quick.get("/secrets")[0] == 404

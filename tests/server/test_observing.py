"""Health, metrics and log: what an operator sees."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.reviews import SERVICE, encoded, pod, review
from tests.support.serve import SLOW_SECONDS
from tests.support.server import WebhookServer, request_bytes, wait_for, webhook_server
from webhook.metrics import PREFIX
from webhook.server.metrics import Metrics


def test_livez_and_readyz_say_ok(server: WebhookServer) -> None:
    assert server.get("/livez") == (200, "ok\n")
    assert server.get("/readyz") == (200, "ok\n")


def test_plain_port_does_not_answer_reviews(server: WebhookServer) -> None:
    status, text = server.get("/mutate")
    assert status == 404
    assert "/readyz" in json.loads(text)["message"]


def test_reviews_are_counted_by_reason(server: WebhookServer) -> None:
    cases = {
        "Injected": pod(),
        "NotAnnotated": pod({}),
        "OptedOut": pod(SERVICE | {"habitat.sh/inject": "false"}),
        "Invalid": pod({"habitat.sh/service": "no spaces allowed"}),
        "NotAPod": {"kind": "ConfigMap", "apiVersion": "v1"},
    }
    for reason, obj in cases.items():
        before = server.metric("reviews_total", reason=reason)
        server.post(encoded(review(obj)))
        assert server.metric("reviews_total", reason=reason) == before + 1
        assert server.lines()[-1]["reason"] == reason


def test_every_answer_is_in_the_latency_histogram(server: WebhookServer) -> None:
    before = server.metric("review_duration_seconds_count", endpoint="mutate")
    server.post(encoded(review()))
    assert server.metric("review_duration_seconds_count", endpoint="mutate") == before + 1


def test_labels_are_bounded_and_every_series_is_there_from_the_start(server: WebhookServer) -> None:
    server.post(encoded(review(pod(SERVICE | {"habitat.sh/group": "unheard-of"}, namespace="secret-project"))))
    text = server.get("/metrics")[1]
    assert "unheard-of" not in text
    assert "secret-project" not in text
    declared = Metrics().exposition.declared
    found: dict[str, set[tuple[tuple[str, str], ...]]] = {name: set() for name in declared}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in found:
                found[sample.name].add(tuple(sample.labels.items()))
            elif family.name.startswith(PREFIX):
                assert declared[family.name].kind == "histogram"
    for name, metric in declared.items():
        if metric.kind != "histogram" and name != "habitat_webhook_build_info":
            series = itertools.product(
                *([(label, value) for value in values] for label, values in metric.labels.items())
            )
            assert found[name] == set(series), name


def test_one_line_tells_of_one_decision(server: WebhookServer) -> None:
    server.post(encoded(review(uid="line-1", dryRun=True)))
    line = server.wait_for_line("review", uid="line-1")
    assert line.keys() == {
        "time", "level", "message", "uid", "namespace", "owner", "operation", "decision", "reason", "container", "ops",
        "warnings", "problems", "dry_run", "duration_ms",
    }  # fmt: skip
    assert (line["namespace"], line["owner"]) == ("shop", "ReplicaSet/redis-5d8f")
    assert (line["decision"], line["reason"], line["container"]) == ("inject", "Injected", "redis")
    assert line["ops"] > 0
    assert line["dry_run"] is True
    assert line["duration_ms"] > 0


def test_log_holds_no_value_of_variables_or_annotations(server: WebhookServer) -> None:
    annotations = SERVICE | {"habitat.sh/config": 'password = "hunter2"', "habitat.sh/topology": "hunter3"}
    server.post(encoded(review(pod(annotations), uid="secret")))
    line = server.wait_for_line("review", uid="secret")
    assert line["problems"] == ["habitat.sh/topology"]
    log = server.output.read_text()
    assert not [secret for secret in ("hunter2", "hunter3", "swordfish") if secret in log]


def test_log_level_warning_drops_decisions_and_keeps_refusals(tmp_path: Path) -> None:
    with webhook_server(tmp_path, "--log-level", "warning") as server:
        server.post(encoded(review()))
        server.post(b"nonsense")
        assert server.wait_for_line("the body is not JSON")["level"] == "warning"
        assert [line["message"] for line in server.lines() if line["level"] == "info"] == ["serving"]


def test_engine_that_raises_is_http_500_with_uid_in_log_and_answer(tmp_path: Path) -> None:
    with webhook_server(tmp_path, faulty=True) as server:
        status, answer = server.post(encoded(review(uid="fail-1")))
        assert (status, answer["kind"], answer["code"]) == (500, "Status", 500)
        assert "fail-1" in answer["message"]
        assert "quoting" not in json.dumps(answer)
        line = server.wait_for_line("habitat-webhook could not handle the review")
        assert (line["level"], line["uid"], line["namespace"]) == ("error", "fail-1", "shop")
        assert line["exception"].endswith("RuntimeError")
        assert "tests/support/serve.py" in line["exception"]
        assert "quoting" in line["exception"], "the line of code"
        assert "quoting fail-1" not in line["exception"], "an exception's own text could quote the pod"
        assert server.errors("internal") == 1
        assert server.post(encoded(review()))[0] == 200, "the next review is answered"
        large = pod({"habitat.sh/service": "redis", "example.com/large": "x" * 100_000})
        assert server.post(encoded(review(large, uid="fail-2")))[0] == 500, "in a thread too"


@pytest.mark.parametrize("size", [10, 100_000])
def test_slow_review_is_measured(tmp_path: Path, size: int) -> None:
    with webhook_server(tmp_path, faulty=True) as server:
        server.post(encoded(review(pod(SERVICE | {"example.com/large": "x" * size}), uid="slow-1")))
        assert server.metric("review_duration_seconds_sum", endpoint="mutate") >= SLOW_SECONDS


def test_client_that_leaves_before_its_answer_does_no_harm(tmp_path: Path) -> None:
    with webhook_server(tmp_path, faulty=True) as server:
        for size in (10, 100_000):
            with server.connect() as connection:
                obj = pod(SERVICE | {"example.com/large": "x" * size})
                connection.sendall(request_bytes(encoded(review(obj, uid=f"slow-{size}"))))
            server.wait_for_line("review", uid=f"slow-{size}")
        wait_for("the connections' end", lambda: 1 if server.metric("connections") == 1 else None)
        assert server.post(encoded(review()))[0] == 200
        assert server.errors("internal") == 0


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_memory_stays_flat_over_thousands_of_reviews(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server, contextlib.closing(server.client()) as client:
        bodies = [encoded(review(pod(SERVICE | {"example.com/padding": "x" * size}))) for size in (10, 5_000, 40_000)]

        def post(times: int) -> int:
            for number in range(times):
                client.request("POST", "/mutate", bodies[number % 3], {"Content-Type": "application/json"})
                assert client.getresponse().read()
            return resident_kib(server.worker)

        warm = post(1500)
        assert post(3000) < warm + 4 * 1024

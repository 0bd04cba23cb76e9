"""The truth table of docs/who-is-injected.md, row by row, on a real API server."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster, wait_for
from tests.demo.server import Webhook, development_certificates
from tests.support.webhook_config import registration
from webhook.inject import Reason, Situation, inject

PAGE = Path(__file__).resolve().parents[2] / "docs" / "who-is-injected.md"
LABEL = "habitat.sh/injection"
LABELS = {"enabled": {LABEL: "enabled"}, "none": {}, "on": {LABEL: "on"}, "disabled": {LABEL: "disabled"}}
HEADER = "| namespace label"


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    wish: str
    named: bool
    result: str
    reason: str
    asked: bool

    @property
    def annotations(self) -> dict[str, str]:
        said = {} if self.wish == "none" else {"habitat.sh/inject": self.wish}
        return said | ({"habitat.sh/service": "redis"} if self.named else {})

    def pod(self, namespace: str) -> dict[str, Any]:
        metadata = {"generateName": "row-", "namespace": namespace, "annotations": self.annotations}
        spec = {"containers": [{"name": "redis", "image": "core/redis"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def rows() -> list[Row]:
    lines = PAGE.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(HEADER)) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        label, wish, named, result, reason, asked = (cell.strip() for cell in line.strip("|").split("|"))
        wish = re.sub(r'[`"]', "", wish)
        found.append(Row(label.strip("`"), wish, named == "yes", result, reason, asked == "yes"))
    return found


ROWS = rows()


def test_the_table_has_every_combination_that_differs() -> None:
    assert {row.label for row in ROWS} == set(LABELS)
    assert {row.wish for row in ROWS} == {"none", "true", "false", "yes"}
    assert {row.result for row in ROWS} == {"injected", "left alone", "refused"}
    assert len({(row.label, row.wish, row.named) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.label}-{r.wish}-{r.named}")
def test_the_engine_decides_as_the_table_says(row: Row) -> None:
    outcome = inject(row.pod("shop"), Situation(namespace="shop", namespace_labels=LABELS[row.label]))
    assert outcome.reason.code == row.reason
    assert row.result == {Reason.INJECTED: "injected", Reason.INVALID: "refused"}.get(outcome.reason, "left alone")


def test_the_api_server_decides_as_the_table_says(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HABITAT_WEBHOOK_OWN_NAMESPACE", raising=False)
    with contextlib.ExitStack() as stack:
        namespaces = {label: stack.enter_context(cluster.namespace(labels=LABELS[label])) for label in LABELS}
        webhook = stack.enter_context(registered(cluster, tmp_path, [*namespaces.values(), "kube-system"]))
        found = [observed(cluster, webhook, row, namespaces[row.label]) for row in ROWS]
        expected = [(row.result, row.reason if row.asked else "", row.asked) for row in ROWS]
        assert dict(zip(ROWS, found, strict=True)) == dict(zip(ROWS, expected, strict=True))

        opted_in = Row("kube-system", "true", named=True, result="left alone", reason="", asked=False)
        assert observed(cluster, webhook, opted_in, "kube-system") == ("left alone", "", False)


@contextlib.contextmanager
def registered(cluster: Cluster, directory: Path, namespaces: list[str]) -> Iterator[Webhook]:
    webhook = Webhook(directory, "127.0.0.1", certificates=development_certificates(directory, "127.0.0.1"))
    name = f"truth-table-{namespaces[0]}"
    try:
        webhook.start(lambda: None)
        webhook.wait_ready(lambda: None)
        cluster.apply(json.dumps(registration(webhook.url, webhook.ca, name=name, namespaces=namespaces)))
        pod = Row("enabled", "none", named=True, result="", reason="", asked=True).pod(namespaces[0])
        wait_for("the API server to call the webhook", lambda: "habitat.sh/injected" in str(create(cluster, pod)[1]))
        yield webhook
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", name, "--ignore-not-found")
        webhook.stop()


def observed(cluster: Cluster, webhook: Webhook, row: Row, namespace: str) -> tuple[str, str, bool]:
    """What became of the row's pod, the reason that the webhook logged, and whether it was asked."""
    before = len(webhook.reviews())
    status, answer = create(cluster, row.pod(namespace))
    reviews = webhook.reviews()[before:]
    if status == 201:
        result = "injected" if "habitat.sh/injected" in answer["metadata"].get("annotations", {}) else "left alone"
    else:
        result = "refused" if status == 422 else f"HTTP {status}"
    # Reinvocation may ask twice; the answer to the first call is the decision.
    return result, reviews[0]["reason"] if reviews else "", bool(reviews)


def create(cluster: Cluster, pod: dict[str, Any]) -> tuple[int, Any]:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods?dryRun=All"
    return cluster.request("POST", path, pod)

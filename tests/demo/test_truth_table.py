"""The truth table of docs/who-is-injected.md, row by row, on a real API server."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster, wait_for
from tests.demo.server import Webhook, development_certificates
from tests.policy.making import policy, text_of
from tests.support.webhook_config import registration, unannotated_too
from webhook.inject import Reason, Situation, inject

PAGE = Path(__file__).resolve().parents[2] / "docs" / "who-is-injected.md"
LABEL = "habitat.sh/injection"
LABELS = {"enabled": {LABEL: "enabled"}, "none": {}, "on": {LABEL: "on"}, "disabled": {LABEL: "disabled"}}
HEADER = "| namespace |"
OTHER = "any other"
EXCLUDED = ("kube-system", "kube-node-lease")
POLICY = """
- name: opted-in
  match: {podSelector: {matchLabels: {policy: "true"}}}
  inject: true
  defaults: {service: redis}
- name: left-alone
  match: {podSelector: {matchLabels: {policy: never}}}
  inject: never
"""
POLICIES = ("none", "true", "never")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. namespace: an excluded one, or OTHER."""

    namespace: str
    label: str
    policy: str
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
        labels = {"policy": self.policy}
        metadata = {"generateName": "row-", "namespace": namespace, "labels": labels, "annotations": self.annotations}
        spec = {"containers": [{"name": "redis", "image": "core/redis"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def cells(line: str) -> list[str]:
    return [re.sub(r'[`"]', "", cell).strip() for cell in line.strip("|").split("|")]


def rows() -> list[Row]:
    """The table, by the names of its columns, so that it can have more of them."""
    lines = PAGE.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(HEADER))
    names = cells(lines[start])
    found = []
    for line in itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :]):
        cell = dict(zip(names, cells(line), strict=True))
        row = Row(
            cell["namespace"],
            cell["namespace label habitat.sh/injection"],
            cell["policy inject"],
            cell["annotation habitat.sh/inject"],
            cell["habitat.sh/service or /package"] == "yes",
            cell["result"],
            cell["reason"],
            cell["asked"] == "yes",
        )
        found.append(row)
    return found


ROWS = rows()


def decided(row: Row, *, label: str = "", said: str = "") -> Reason:
    """By the engine and the policy alone; label, said: of namespace and policy, instead of the row's."""
    row = replace(row, label=label or row.label, policy=said or row.policy)
    namespace = "shop" if row.namespace == OTHER else row.namespace
    pod = row.pod(namespace)
    situation = Situation(namespace=namespace, namespace_labels=LABELS[row.label])
    return inject(pod, policy(POLICY).about(situation, pod)).reason


def test_the_table_has_every_combination_that_differs() -> None:
    assert {row.namespace for row in ROWS} == {OTHER, *EXCLUDED}
    assert {row.label for row in ROWS} == set(LABELS)
    assert {row.wish for row in ROWS} == {"none", "true", "false", "yes"}
    assert {row.result for row in ROWS} == {"injected", "left alone", "refused"}
    assert {row.policy for row in ROWS} == set(POLICIES)
    assert len({(row.namespace, row.label, row.policy, row.wish, row.named) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.namespace}-{r.label}-{r.policy}-{r.wish}-{r.named}")
def test_the_engine_decides_as_the_table_says(row: Row) -> None:
    reason = decided(row)
    assert reason.code == row.reason
    assert row.result == {Reason.INJECTED: "injected", Reason.INVALID: "refused"}.get(reason, "left alone")


@pytest.mark.parametrize("row", [row for row in ROWS if row.namespace in EXCLUDED], ids=lambda r: r.namespace)
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("said", POLICIES)
def test_no_label_and_no_policy_brings_an_excluded_namespace_in(row: Row, label: str, said: str) -> None:
    assert decided(row, label=label, said=said) is Reason.NAMESPACE_EXCLUDED


def test_the_api_server_decides_as_the_table_says(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HABITAT_WEBHOOK_OWN_NAMESPACE", raising=False)
    with contextlib.ExitStack() as stack:
        webhook = stack.enter_context(running(cluster, tmp_path))
        places = {
            (label, ruled): stack.enter_context(cluster.namespace(labels=LABELS[label]))
            for label in LABELS
            for ruled in (False, True)
        }
        for ruled, configured in ((False, registration), (True, opting_in)):
            mine = [place for (_, by_policy), place in places.items() if by_policy is ruled]
            stack.enter_context(registered(cluster, webhook, configured, [*mine, *EXCLUDED]))
        where = [places[row.label, row.policy != "none"] if row.namespace == OTHER else row.namespace for row in ROWS]
        found = [observed(cluster, webhook, row, place) for row, place in zip(ROWS, where, strict=True)]
        expected = [(row.result, row.reason if row.asked else "", row.asked) for row in ROWS]
        assert dict(zip(ROWS, found, strict=True)) == dict(zip(ROWS, expected, strict=True))


def opting_in(url: str, ca: bytes, **about: Any) -> dict[str, Any]:
    return unannotated_too(registration(url, ca, **about))


@contextlib.contextmanager
def running(cluster: Cluster, directory: Path) -> Iterator[Webhook]:
    rules = directory / "policy.yaml"
    rules.write_text(text_of(POLICY))
    certificates = development_certificates(directory, "127.0.0.1")
    way = {"certificates": certificates, "kubeconfig": cluster.kubeconfig}
    webhook = Webhook(directory, "127.0.0.1", f"--policy={rules}", **way)
    try:
        webhook.start(lambda: None)
        webhook.wait_ready(lambda: None)
        yield webhook
    finally:
        webhook.stop()


@contextlib.contextmanager
def registered(
    cluster: Cluster, webhook: Webhook, configured: Callable[..., dict[str, Any]], namespaces: list[str]
) -> Iterator[None]:
    """Until the API server calls it for the first of the namespaces, which is an enabled one."""
    name = f"truth-table-{namespaces[0]}"
    cluster.apply(json.dumps(configured(webhook.url, webhook.ca, name=name, namespaces=namespaces)))
    try:
        pod = next(row for row in ROWS if row.result == "injected").pod(namespaces[0])
        wait_for("the API server to call the webhook", lambda: "habitat.sh/injected" in str(create(cluster, pod)[1]))
        yield
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", name, "--ignore-not-found")


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

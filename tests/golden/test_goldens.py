"""Goldens through the command line, the engine and HTTPS: one input, one result, byte for byte."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonpath import JSONPatch

from tests.golden.cases import SHARED_RINGS, Case, found
from tests.support.pod_security import violations
from tests.support.server import WebhookServer, webhook_server
from webhook.inject import Settings, Situation, apply, inject, uninject
from webhook.rings import shared_rings
from webhook.workloads import Found, objects

CASES = found()
SETTINGS = Settings(shared_rings=shared_rings(SHARED_RINGS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path_factory.mktemp("golden"), "--shared-rings", SHARED_RINGS) as running:
        yield running


def templates(case: Case) -> Iterator[tuple[Found, dict[str, Any], Situation]]:
    """Each pod template of a case as the Pod that a controller would create, and what surrounds it."""
    for document in yaml.safe_load_all(case.source.read_text()):
        for item in objects(document):
            if isinstance(item.template, dict):
                pod = {"apiVersion": "v1", "kind": "Pod"} | copy.deepcopy(item.template)
                namespace = item.namespace or "default"
                claims = item.claim_templates
                yield item, pod, Situation(namespace=namespace, claim_templates=claims, settings=SETTINGS)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_command_line_gives_the_recorded_result(case: Case, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        case.update()
    assert case.recorded(), f"{case.name} is new: run pytest tests/golden --update, and read what it wrote"
    assert case.results() == case.recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_no_golden_is_stale(case: Case) -> None:
    assert case.source.is_file(), f"{case.folder.name} has no input any more: remove the folder"
    known = {"in.yaml", "out.yaml", "patch.json", "report.txt"}
    assert {path.name for path in case.folder.iterdir()} <= known


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_engine_gives_what_the_command_line_gave(case: Case) -> None:
    """The engine's operations, applied by another implementation than the command line's, give the recorded objects."""
    recorded = [json.loads(text) for text in _json_objects(case.recorded().get("patch.json", ""))]
    outcomes = [(item, pod, inject(pod, situation)) for item, pod, situation in templates(case)]
    if any(outcome.problems for _, _, outcome in outcomes):
        assert recorded == []
        return
    changed = [(item, pod, outcome) for item, pod, outcome in outcomes if outcome.operations]
    assert len(changed) == len(recorded)
    for (item, pod, outcome), patch in zip(changed, recorded, strict=True):
        second = JSONPatch(copy.deepcopy(patch["patch"])).apply(copy.deepcopy(dict(item.value)))
        template = next(objects(second)).template
        assert {"apiVersion": "v1", "kind": "Pod"} | template == apply(pod, outcome.operations)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_https_gives_what_the_engine_gives(case: Case, server: WebhookServer) -> None:
    for _item, pod, situation in templates(case):
        pod_with_volumes = _with_claim_volumes(pod, situation.claim_templates)
        outcome = inject(pod_with_volumes, Situation(namespace=situation.namespace, settings=SETTINGS))
        response = server.review(pod_with_volumes, namespace=situation.namespace)
        assert response["allowed"] is not bool(outcome.problems)
        patch = response.get("patch")
        assert (json.loads(base64.b64decode(patch)) if patch else []) == outcome.operations
        assert response.get("warnings", []) == list(outcome.warnings)  # no golden has more than a response carries
        if outcome.problems:
            assert response["status"]["message"] == outcome.message()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_twice_is_once_and_back_is_where_it_was(case: Case) -> None:
    for _item, pod, situation in templates(case):
        outcome = inject(pod, situation)
        if outcome.operations:
            after = apply(pod, outcome.operations)
            again = inject(after, situation)
            assert again.reason.code == "AlreadyCurrent", again.operations
            if "habitat.sh/injected" not in pod["metadata"]["annotations"]:
                assert uninject(after) == pod


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_injected_parts_add_nothing_that_restricted_forbids(case: Case) -> None:
    """Violations of Pod Security `restricted` after an injection are the user's own from before."""
    for _item, pod, situation in templates(case):
        outcome = inject(pod, situation)
        if outcome.operations:
            after = apply(pod, outcome.operations)
            assert set(violations(after)) <= set(violations(pod))


def _with_claim_volumes(pod: dict[str, Any], claims: frozenset[str]) -> dict[str, Any]:
    """The pod as a StatefulSet's controller creates it: each volumeClaimTemplate is a volume."""
    if not claims:
        return pod
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}} for name in sorted(claims)]
    return pod | {"spec": pod["spec"] | {"volumes": [*pod["spec"].get("volumes", []), *volumes]}}


def _json_objects(text: str) -> Iterator[str]:
    """The JSON objects of a stream, each of which begins at the start of a line."""
    for part in text.split("\n{\n"):
        if part.strip():
            yield part if part.startswith("{") else "{\n" + part

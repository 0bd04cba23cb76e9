"""What is injected is accepted by a real API server: every golden, and a sample of generated pods."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from tests.controlplane.client import Cluster
from tests.golden.cases import Case as Golden
from tests.golden.cases import found
from tests.golden.test_goldens import templates
from tests.support.pods import Case, cases
from webhook.inject import apply, inject

SAMPLE = 40


def rejection(cluster: Cluster, namespace: str, pod: dict[str, Any]) -> str:
    """Why the API server would not create a pod, "" when it would."""
    named = copy.deepcopy(pod)
    metadata = named.setdefault("metadata", {})
    metadata.pop("namespace", None)
    metadata["name"] = "sample"
    status, answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", named)
    return "" if status == 201 else str(answer["message"])


@pytest.mark.parametrize("golden", found(), ids=lambda g: g.name)
def test_injected_golden_is_accepted(cluster: Cluster, golden: Golden) -> None:
    for item, pod, situation in templates(golden):
        outcome = inject(pod, situation)
        if outcome.operations and not item.claim_templates:
            after = apply(pod, outcome.operations)
            assert rejection(cluster, "default", after) == rejection(cluster, "default", pod)


@settings(max_examples=SAMPLE, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_generated_pod_is_accepted_after_injection_when_it_was_before(cluster: Cluster, case: Case) -> None:
    outcome = inject(case.pod)
    assume(outcome.operations)
    assume(not rejection(cluster, "default", case.pod))
    assert not rejection(cluster, "default", apply(case.pod, outcome.operations))

"""Goldens of `habitat-webhook convert`: one input, one result, byte for byte."""

from __future__ import annotations

import pytest

from tests.convert.cases import RESULTS, Case, found
from webhook.inject import Situation, inject

CASES = found()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_command_line_gives_the_recorded_result(case: Case, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        case.update()
    assert case.recorded(), f"{case.name} is new: run pytest tests/convert --update, and read what it wrote"
    assert case.results() == case.recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_no_golden_is_stale(case: Case) -> None:
    assert {path.name for path in case.folder.iterdir()} <= {"in.yaml", *RESULTS}
    assert case.source


@pytest.mark.parametrize("case", [c for c in CASES if c.written()], ids=lambda c: c.name)
def test_nothing_of_the_operator_s_own_is_left(case: Case) -> None:
    assert not [f.label for f in case.written() if f.kind == "Habitat"]
    made = [f for f in case.written() if f.template and "annotations" in f.template["metadata"]]
    assert len(made) == len(case.habitats())
    for workload in made:
        assert workload.template["metadata"]["labels"] == {"habitat-name": workload.name}


@pytest.mark.parametrize("case", [c for c in CASES if c.written()], ids=lambda c: c.name)
def test_every_converted_workload_is_one_that_the_engine_injects(case: Case) -> None:
    for item in case.written():
        if item.template and item.namespace != "kube-system" and "annotations" in item.template["metadata"]:
            outcome = inject(item.template, Situation(namespace="shop", claim_templates=item.claim_templates))
            assert outcome.reason.code == "Injected", outcome.message()
            assert outcome.container == "habitat-service"

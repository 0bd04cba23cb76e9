"""Metrics are declared once: what is exposed, and what the page says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import get_args

import pytest

from deploy.metrics_page import page, roles
from webhook.certificates import metrics as certificates
from webhook.decide import Reason
from webhook.metrics import Exposition, Metric
from webhook.ring import metrics as ring
from webhook.server import metrics as server

ALL = [metric for declared in roles().values() for metric in declared.values()]


@pytest.mark.parametrize(
    ("type_", "texts"),
    [
        (server.ErrorKind, server.ERRORS),
        (ring.Kind, ring.KINDS),
        (ring.Result, ring.RESULTS),
        (certificates.Situation, certificates.SITUATIONS),
        (certificates.Result, certificates.RESULTS),
    ],
    ids=str,
)
def test_every_value_of_a_label_has_its_sentence(type_: object, texts: Mapping[str, str]) -> None:
    assert set(get_args(type_)) == set(texts)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_metric_says_what_it_counts_and_is_on_the_page_with_its_labels(metric: Metric) -> None:
    assert metric.doc.endswith(".")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    text = page()
    assert f"| `{metric.name}` | {metric.kind} |" in text
    for label, values in metric.labels.items():
        assert f"\n`{label}` of `{metric.name.removeprefix('habitat_webhook_')}`" in text
        assert isinstance(values, str) or all(sentence.endswith(".") for sentence in values.values())


def test_latency_is_measured_from_a_tenth_of_a_millisecond_to_a_second() -> None:
    buckets = roles()["serve"]["habitat_webhook_review_duration_seconds"].buckets
    assert (buckets[0], buckets[-1]) == (0.0001, 1)
    assert all(a < b <= 2.5 * a for a, b in itertools.pairwise(buckets))


def test_reasons_of_reviews_are_those_of_decisions() -> None:
    assert list(roles()["serve"]["habitat_webhook_reviews_total"].labels["reason"]) == [r.code for r in Reason]


def test_series_are_there_from_the_start_where_all_values_are_known() -> None:
    exposition = Exposition()
    exposition.counter("a", "A.", x={"1": "", "2": ""}, y={"3": "", "4": ""})
    exposition.counter("b", "B.", x={"1": ""}, y="whatever comes")
    text = exposition.text().decode()
    assert text.count("habitat_webhook_a_total{") == 4
    assert "habitat_webhook_b_total{" not in text


def test_a_name_is_declared_once() -> None:
    exposition = Exposition()
    with pytest.raises(ValueError, match="Duplicated"):
        exposition.gauge("build_info", "Again.")

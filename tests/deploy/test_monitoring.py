"""Alert rules and dashboard: what they name is declared, and every alert fires at what it names and at nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from deploy.dashboard import dashboard
from deploy.metrics_page import RULES, page, roles, rules
from tests.controlplane.build import ensure_promtool
from tests.deploy.chart import template
from tests.docs.page import DOCS, anchors
from tests.support.manifests import DEPLOY
from tests.support.promql import Selector, selectors
from webhook.decide import DOCS_URL
from webhook.metrics import PREFIX, Metric

DASHBOARDS = DEPLOY / "dashboards"
DECLARED: Mapping[str, Metric] = {name: metric for found in roles().values() for name, metric in found.items()}
OF_THE_SCRAPE = {"instance", "job", "pod", "namespace"}
OF_EVERY_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}

MINUTES = 120
A_MINUTE = f"x{MINUTES}"
NAME = 'name="inject.habitat.sh"'
WELL: Mapping[str, str] = {
    f'apiserver_admission_webhook_rejection_count{{{NAME},error_type="calling_webhook_error"}}': "0",
    f"apiserver_admission_webhook_fail_open_count{{{NAME}}}": "0",
    "habitat_webhook_connections": "3",
    'habitat_webhook_pods_not_injected{instance="leads"}': "0",
    'habitat_webhook_pods_not_injected{instance="stands by"}': "NaN",
    'habitat_webhook_errors_total{kind="internal"}': "0",
    'habitat_webhook_errors_total{kind="tls"}': "2",
    'habitat_webhook_errors_total{kind="overloaded"}': "0",
    'habitat_webhook_review_duration_seconds_bucket{le="0.001"}': "0+98",
    'habitat_webhook_review_duration_seconds_bucket{le="0.1"}': "0+100",
    'habitat_webhook_review_duration_seconds_bucket{le="1"}': "0+100",
    'habitat_webhook_review_duration_seconds_bucket{le="+Inf"}': "0+100",
    "habitat_webhook_namespaces_age_seconds": "55",
    "habitat_webhook_policy_last_error": "0",
    "habitat_webhook_certificate_expires_in_seconds": "900000-60",
    "habitat_webhook_certificate_lifetime_seconds": "2592000",
    'habitat_webhook_certificate_loads_total{result="refused"}': "0",
    'habitat_webhook_ca_expires_in_seconds{instance="leads"}': "10600000-60",
    'habitat_webhook_ca_expires_in_seconds{instance="stands by"}': "NaN",
    'habitat_webhook_ca_lifetime_seconds{instance="leads"}': "31536000",
    'habitat_webhook_ca_lifetime_seconds{instance="stands by"}': "NaN",
    'habitat_webhook_ca_state{state="refused"}': "0",
    'habitat_webhook_ca_state{state="stable"}': "1",
    "habitat_webhook_ca_bundles_wrong": "0",
    'habitat_webhook_ca_bundle_repairs_total{result="ok"}': "4",
    "habitat_webhook_certificate_failures_total": "3",
    'habitat_webhook_leader{instance="leads"}': "1",
    'habitat_webhook_leader{instance="stands by"}': "0",
    "habitat_webhook_informer_silence_seconds": "55",
    "habitat_webhook_unseeded_pods": "0",
    "habitat_webhook_ring_keys_missing": "0",
    "habitat_webhook_foreign_services": "0",
    "habitat_webhook_reconcile_failures_total": "7",
    'habitat_webhook_peers_written_seconds_bucket{le="1"}': "0+10",
    'habitat_webhook_peers_written_seconds_bucket{le="60"}': "0+10",
    'habitat_webhook_peers_written_seconds_bucket{le="+Inf"}': "0+10",
    "habitat_webhook_events_dropped_total": "20",
}
"""Series -> its values from minute to minute, as promtool writes them: of an installation that is well."""

ILL: Mapping[str, Mapping[str, str | None]] = {
    "HabitatWebhookAbsent": {"habitat_webhook_connections": None},
    "HabitatWebhookCallsFail": {
        f'apiserver_admission_webhook_rejection_count{{{NAME},error_type="calling_webhook_error"}}': "0+1"
    },
    "HabitatWebhookFailsOpen": {f"apiserver_admission_webhook_fail_open_count{{{NAME}}}": "0+1"},
    "HabitatWebhookPodsNotInjected": {'habitat_webhook_pods_not_injected{instance="leads"}': "2"},
    "HabitatWebhookInternalErrors": {'habitat_webhook_errors_total{kind="internal"}': "0+1"},
    "HabitatWebhookHandshakesFail": {'habitat_webhook_errors_total{kind="tls"}': "0+1"},
    "HabitatWebhookOverloaded": {'habitat_webhook_errors_total{kind="overloaded"}': "0+1"},
    "HabitatWebhookSlow": {'habitat_webhook_review_duration_seconds_bucket{le="0.1"}': "0+98"},
    "HabitatWebhookNamespacesOld": {"habitat_webhook_namespaces_age_seconds": "0+60"},
    "HabitatWebhookPolicyRefused": {"habitat_webhook_policy_last_error": "1"},
    "HabitatWebhookCertificateNotRenewed": {"habitat_webhook_certificate_expires_in_seconds": "600000-60"},
    "HabitatWebhookCertificateExpires": {"habitat_webhook_certificate_expires_in_seconds": "200000-60"},
    "HabitatWebhookCertificateRefused": {'habitat_webhook_certificate_loads_total{result="refused"}': "0+1"},
    "HabitatWebhookCaNotReplaced": {'habitat_webhook_ca_expires_in_seconds{instance="leads"}': "7800000-60"},
    "HabitatWebhookCaTroubled": {'habitat_webhook_ca_state{state="refused"}': "1"},
    "HabitatWebhookCaBundleWrong": {"habitat_webhook_ca_bundles_wrong": "1"},
    "HabitatWebhookCaBundleFoughtOver": {'habitat_webhook_ca_bundle_repairs_total{result="ok"}': "0+1"},
    "HabitatWebhookCertificatesStuck": {"habitat_webhook_certificate_failures_total": "0+1"},
    "HabitatWebhookNoController": {'habitat_webhook_leader{instance="leads"}': "0"},
    "HabitatWebhookTwoControllers": {'habitat_webhook_leader{instance="stands by"}': "1"},
    "HabitatWebhookControllerBlind": {"habitat_webhook_informer_silence_seconds": "0+60"},
    "HabitatWebhookPodsWithoutPeers": {"habitat_webhook_unseeded_pods": "2"},
    "HabitatWebhookRingKeyMissing": {"habitat_webhook_ring_keys_missing": "1"},
    "HabitatWebhookForeignService": {"habitat_webhook_foreign_services": "1"},
    "HabitatWebhookRingsStuck": {"habitat_webhook_reconcile_failures_total": "0+1"},
    "HabitatWebhookPeersLate": {'habitat_webhook_peers_written_seconds_bucket{le="1"}': "0+5"},
    "HabitatWebhookEventsDropped": {"habitat_webhook_events_dropped_total": "0+2"},
}
"""Alert -> what differs when it fires; None for a series that is not there."""

TOO = {"HabitatWebhookCertificateExpires": {"HabitatWebhookCertificateNotRenewed"}}
"""Alerts that fire together."""


def expressions() -> Iterator[tuple[str, str]]:
    """Where each stands, and its text."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def declaration(selector: Selector) -> Metric:
    """The metric behind the name, which may be one of a histogram's three."""
    name = selector.name
    if name not in DECLARED:
        name, _, part = name.rpartition("_")
        assert part in ("bucket", "sum", "count"), f"{selector.name} is not declared"
        assert DECLARED[name].kind == "histogram", f"{selector.name} is no histogram"
    return DECLARED[name]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_an_expression_reads_is_declared(where: str, expression: str) -> None:
    read = selectors(expression)
    assert read, where
    for selector in (s for s in read if s.name.startswith(PREFIX)):
        metric = declaration(selector)
        known = set(metric.labels) | OF_THE_SCRAPE | ({"le"} if selector.name.endswith("_bucket") else set())
        assert selector.labels <= known, f"{selector.name} has no label {selector.labels - known}"
        for matcher in selector.matchers:
            values = metric.labels[matcher.label]
            assert matcher.op in ("Equal", "Re")
            assert isinstance(values, Mapping)
            assert set(matcher.value.split("|")) <= set(values), f"{matcher.label} of {selector.name}"
    others = {s.name for s in read if not s.name.startswith(PREFIX)}
    assert all(name in OF_EVERY_PROCESS or name.startswith("apiserver_admission_") for name in others), where


def test_what_is_not_declared_is_noticed() -> None:
    (selector,) = selectors('sum by (reason) (rate(habitat_webhook_reviews_total{kind="x"}[5m]))')
    assert (selector.name, selector.labels) == ("habitat_webhook_reviews_total", {"reason", "kind"})
    both = selectors("a_bucket * on (instance) group_left() absent(b)")
    assert [(s.name, s.labels) for s in both] == [("a_bucket", {"instance"}), ("b", {"instance"})]
    with pytest.raises(AssertionError, match="habitat_webhook_review_total is not declared"):
        declaration(selectors("habitat_webhook_review_total")[0])
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        selectors("sum by (x (y)")


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    read = {declaration(s).name for _, text in expressions() for s in selectors(text) if s.name.startswith(PREFIX)}
    assert set(DECLARED) - read == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_leads_to_the_runbook(rule: dict[str, dict[str, str]]) -> None:
    name, said = str(rule["alert"]), rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url"}
    assert said["summary"].endswith(".")
    assert said["description"].endswith(".")
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert said["runbook_url"] == f"{DOCS_URL}/runbook.md#{name.lower()}"
    assert name.lower() in anchors("runbook.md")


def test_every_anchor_of_an_alert_in_the_runbook_is_that_of_an_alert() -> None:
    written = {anchor for anchor in anchors("runbook.md") if anchor.startswith("habitatwebhook")}
    assert written == {rule["alert"].lower() for rule in rules()}


def promtool(*arguments: str) -> None:
    done = subprocess.run([ensure_promtool(), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


def case(changed: Mapping[str, str | None], firing: set[str]) -> dict[str, object]:
    """One test of promtool's: these series instead of those of WELL, and the alerts that fire after a while."""
    assert set(changed) <= set(WELL), "a series of WELL, to the letter"
    values = {series: value for series, value in (WELL | changed).items() if value is not None}
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    return {
        "interval": "1m",
        "input_series": [
            {"series": series, "values": value if value == "NaN" else value + A_MINUTE}
            for series, value in values.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{MINUTES - 10}m",
                "exp_samples": samples,
            }
        ],
    }


def test_an_alert_fires_at_what_it_names_and_at_nothing_else(tmp_path: Path) -> None:
    assert list(ILL) == [rule["alert"] for rule in rules()]
    tests = [case({}, set()), *(case(changed, {name} | TOO.get(name, set())) for name, changed in ILL.items())]
    suite = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(suite))
    promtool("test", "rules", str(tmp_path / "tests.yaml"))


def test_an_alert_is_not_what_fires_when_nothing_changes_for_long(tmp_path: Path) -> None:
    wrong = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case({}, {"HabitatWebhookAbsent"})]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", str(tmp_path / "tests.yaml"))


def test_the_chart_brings_the_rules_and_the_dashboard_as_they_are() -> None:
    enabled = ("--set=monitoring.alerts.enabled=true", "--set=monitoring.dashboards.enabled=true")
    made = [d for d in yaml.safe_load_all(template(*enabled, "--set=monitoring.alerts.labels.release=p")) if d]
    (rule,) = [d for d in made if d["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    assert rule["metadata"]["labels"]["release"] == "p"
    (config_map,) = [d for d in made if "dashboard" in d["metadata"]["name"]]
    assert json.loads(config_map["data"]["habitat-webhook.json"]) == dashboard()
    assert not re.search("PrometheusRule|dashboard", template())


def test_what_is_generated_is_current() -> None:
    assert json.loads((DASHBOARDS / "habitat-webhook.json").read_text()) == dashboard(), "stale: run make docs"
    assert (DOCS / "metrics.md").read_text() == page(), "stale: run make docs"
    assert DASHBOARDS.resolve() == DEPLOY / "chart" / "dashboards", "Helm reads files of the chart only"

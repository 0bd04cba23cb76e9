"""docs/metrics.md from the metrics' declarations and the chart's alert rules.

`make docs` writes the page, `make lint` says when it is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from webhook.certificates.metrics import CertificateMetrics
from webhook.metrics import PREFIX, Exposition, Metric
from webhook.ring.metrics import Metrics as ControllerMetrics
from webhook.server.metrics import Metrics as ServeMetrics
from webhook.slipped.part import Metrics as SlippedMetrics

RULES = Path(__file__).parent / "chart" / "dashboards" / "alerts.yaml"
INTRODUCTION = """\
# Which metrics are there?

<!-- Written by `make docs` from the declarations in webhook/ and from deploy/dashboards/alerts.yaml. -->

Both roles have `/metrics` in plain HTTP on port 8080 of each pod; `monitoring.kind` of the [chart](install.md) makes a
PodMonitor or a ServiceMonitor for it. No label holds a namespace, a pod, a ring or the value of an annotation, so the
number of series does not grow with the cluster. Where the values of a label are listed here, every series is there from
the start, as 0.

Alert rules and a Grafana dashboard are in [deploy/dashboards](../deploy/dashboards); `monitoring.alerts.enabled` and
`monitoring.dashboards.enabled` of the chart bring them into the cluster.
"""
ENDING = """\

The API server has its own, which also see calls that never arrived:
[what the API server sees](runbook.md#what-the-api-server-sees).
"""


def roles() -> dict[str, Mapping[str, Metric]]:
    """Role -> what it declares, by the exposed name."""
    serve, controller = ServeMetrics(), ControllerMetrics()
    CertificateMetrics(controller.exposition)
    SlippedMetrics(controller.exposition)
    return {"serve": serve.exposition.declared, "controller": controller.exposition.declared}


def rules() -> list[dict[str, Any]]:
    """The alert rules, in their order."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def page() -> str:
    """The whole text."""
    found, common = roles(), Exposition().declared
    parts = [INTRODUCTION]
    for role, metrics in found.items():
        parts.append(f"\n## habitat-webhook {role}\n\n")
        parts.extend(_table([metric for name, metric in metrics.items() if name not in common]))
    parts.append("\n## Both roles\n\n")
    parts.extend(_table(common.values()))
    parts.append("\n`process_*` and `python_info` are what the client library says of every Python process.\n")
    parts.append("\n## Alerts\n\n| alert | severity | it means |\n|---|---|---|\n")
    for rule in rules():
        anchor = rule["annotations"]["runbook_url"].rpartition("/")[2]
        says = rule["annotations"]["summary"]
        parts.append(f"| [{rule['alert']}]({anchor}) | {rule['labels']['severity']} | {says} |\n")
    return "".join([*parts, ENDING])


def _table(metrics: Any) -> Iterator[str]:
    yield "| metric | type | labels | says |\n|---|---|---|---|\n"
    explained: list[str] = []
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}." if metric.buckets else ""
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.doc}{buckets} |\n"
        explained.extend(_label(metric, label) for label in metric.labels)
    yield from explained


def _label(metric: Metric, label: str) -> str:
    values = metric.labels[label]
    head = f"\n`{label}` of `{metric.name.removeprefix(PREFIX)}`"
    if isinstance(values, str):
        return f"{head}: {values}.\n"
    if not any(values.values()):
        return f"{head}: {', '.join(f'`{value}`' for value in values)}.\n"
    rows = (f"| `{value}` | {text} |\n" for value, text in values.items())
    return f"{head}:\n\n| value | means |\n|---|---|\n{''.join(rows)}"


if __name__ == "__main__":
    sys.stdout.write(page())

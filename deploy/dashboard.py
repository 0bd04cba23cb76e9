"""deploy/dashboards/habitat-webhook.json: the Grafana dashboard, from the table of its panels.

`make docs` writes the file, `make lint` says when it is stale.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
HEIGHT = 7


@dataclass(frozen=True, slots=True)
class Panel:
    """title, and what it says to its reader. queries: legend -> PromQL. unit: as Grafana calls it.

    number: the last value in large type, rather than a graph over time. wrong: from this value on it is red.
    """

    title: str
    says: str
    queries: dict[str, str]
    unit: str = "short"
    number: bool = False
    wrong: float | None = None


def rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[$__rate_interval])))"


W = "habitat_webhook_"
_API_CALLS = 'apiserver_admission_webhook_{}{{name=~".+[.]habitat[.]sh"{}}}'

ROWS: dict[str, tuple[Panel, ...]] = {
    "Admission": (
        Panel(
            "Pods that the API server refused without an answer",
            "Calls of the webhook that failed, so that nothing was created.",
            {"{{name}}": rate(_API_CALLS.format("rejection_count", ', error_type="calling_webhook_error"'), "name")},
        ),
        Panel(
            "Pods that started without a Supervisor",
            "Calls that failed under failurePolicy Ignore.",
            {"{{name}}": rate(_API_CALLS.format("fail_open_count", ""), "name")},
        ),
        Panel("Reviews a second", "By what became of them.", {"{{reason}}": rate(W + "reviews_total", "reason")}),
        Panel(
            "Time of a review",
            "From the complete request to its answer.",
            {
                "half of them": quantile(0.5, W + "review_duration_seconds"),
                "99 %": quantile(0.99, W + "review_duration_seconds"),
            },
            unit="s",
        ),
        Panel("Errors a second", "By kind; `internal` is our own.", {"{{kind}}": rate(W + "errors_total", "kind")}),
        Panel(
            "Workloads a second",
            "What was said to whoever applied them, and the warnings by code.",
            {
                "{{result}}": rate(W + "workload_reviews_total", "result"),
                "{{code}}": rate(W + "workload_warnings_total", "code"),
            },
        ),
        Panel(
            "Namespaces",
            "How many the webhook knows, and the servers that do not know all of them yet.",
            {
                "known": f"max({W}namespaces)",
                "servers that have not read them": f"count({W}namespaces_synced == 0) or vector(0)",
            },
        ),
        Panel(
            "Age of what is known of namespaces",
            "The API server gives a sign of life once a minute.",
            {"oldest": f"max({W}namespaces_age_seconds)"},
            unit="s",
        ),
        Panel(
            "Namespaces that had to be asked for, an hour",
            "By result: a few a day are usual, for namespaces a moment old.",
            {"{{result}}": f"sum by (result) (increase({W}namespace_reads_total[1h]))"},
        ),
        Panel(
            "Pods without the Supervisor that they ask for",
            "As the controller has counted them within the last five minutes.",
            {"": f"max({W}pods_not_injected)"},
            number=True,
            wrong=1,
        ),
        Panel(
            "Load",
            "Open connections, and requests under way.",
            {"connections": f"sum({W}connections)", "requests": f"sum({W}in_flight_requests)"},
        ),
    ),
    "Policy": (
        Panel(
            "A policy that cannot be used",
            "Webhook pods whose file is refused, and which keep the one before.",
            {"": f"sum({W}policy_last_error)"},
            number=True,
            wrong=1,
        ),
        Panel(
            "Policy in force",
            "Which one since the start of a pod, and how many rules it has.",
            {"generation": f"max({W}policy_generation)", "rules": f"max({W}policy_rules)"},
        ),
        Panel(
            "Rules that pods did not meet, a second",
            "By action; what warn and audit let through, enforcing would refuse.",
            {"{{action}}": rate(W + "policy_unmet_total", "action")},
        ),
        Panel(
            "Policies read in an hour",
            "By each webhook pod.",
            {"{{result}}": f"sum by (result) (increase({W}policy_loads_total[1h]))"},
        ),
    ),
    "Certificates": (
        Panel(
            "Served certificate",
            "Until the first of the certificates that are served expires, and the one that comes next to the pods.",
            {"served": f"min({W}certificate_expires_in_seconds)", "Secret": f"max({W}leaf_expires_in_seconds)"},
            unit="s",
            number=True,
        ),
        Panel("CA", "Until the current CA expires.", {"": f"max({W}ca_expires_in_seconds)"}, unit="s", number=True),
        Panel("Wrong caBundles", "0 but for moments.", {"": f"max({W}ca_bundles_wrong)"}, number=True, wrong=1),
        Panel(
            "State of the CA",
            "As the controller that acts sees it.",
            {"{{state}}": f"max by (state) ({W}ca_state) > 0"},
        ),
        Panel(
            "Steps an hour",
            "What was done with CA, leaf and caBundles.",
            {
                "{{step}}": f"sum by (step) (increase({W}certificate_steps_total[1h]))",
                "caBundle repaired: {{result}}": f"sum by (result) (increase({W}ca_bundle_repairs_total[1h]))",
                "failed": f"sum(increase({W}certificate_failures_total[1h]))",
            },
        ),
        Panel(
            "Certificate pairs read in an hour",
            "By each webhook pod; `refused` should stay 0.",
            {"{{result}}": f"sum by (result) (increase({W}certificate_loads_total[1h]))"},
        ),
    ),
    "Rings": (
        Panel("Controllers that act", "1.", {"": f"sum({W}leader)"}, number=True, wrong=2),
        Panel("Pods without peers", "0 but for moments.", {"": f"max({W}unseeded_pods)"}, number=True, wrong=1),
        Panel(
            "Ring keys missing, names taken",
            "Both 0.",
            {"keys": f"max({W}ring_keys_missing)", "names": f"max({W}foreign_services)"},
            number=True,
            wrong=1,
        ),
        Panel(
            "Rings and members",
            "As the controllers count them.",
            {"rings": f"max({W}rings)", "members": f"max({W}ring_members)", "largest ring": f"max({W}ring_size_max)"},
        ),
        Panel(
            "From a pod's address to its peers",
            "What a new pod waits for.",
            {
                "half of them": quantile(0.5, W + "peers_written_seconds"),
                "99 %": quantile(0.99, W + "peers_written_seconds"),
            },
            unit="s",
        ),
        Panel(
            "Writes a second",
            "By what and how it ended.",
            {"{{kind}} {{result}}": rate(W + "writes_total", "kind, result")},
        ),
        Panel(
            "Calls of the API a second",
            "By verb and resource.",
            {"{{verb}} {{resource}}": rate(W + "api_calls_total", "verb, resource")},
        ),
        Panel(
            "Does it keep up?",
            "Rings that wait, failed looks a second, and the longest silence of a watch.",
            {
                "waiting": f"max({W}queue_depth)",
                "failures": f"sum(rate({W}reconcile_failures_total[$__rate_interval]))",
                "silence (s)": f"max({W}informer_silence_seconds)",
            },
        ),
    ),
    "Processes": (
        Panel("Versions", "Pods by the version that they run.", {"{{version}}": f"count by (version) ({W}build_info)"}),
        Panel(
            "Memory",
            "Resident, by pod.",
            {"{{instance}}": f"process_resident_memory_bytes * on (instance) group_left() {W}build_info"},
            unit="bytes",
        ),
        Panel(
            "CPU",
            "Cores, by pod.",
            {"{{instance}}": f"rate(process_cpu_seconds_total[5m]) * on (instance) group_left() {W}build_info"},
        ),
        Panel(
            "Events dropped in an hour",
            "Occurrences that kubectl describe does not tell of.",
            {"": f"sum(increase({W}events_dropped_total[1h]))"},
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, content in ROWS.items():
        panels.append({"type": "row", "title": row, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
        y += 1
        for line in _lines(content):
            width = COLUMNS // len(line)
            panels.extend(_panel(panel, x * width, y, width) for x, panel in enumerate(line))
            y += HEIGHT
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "uid": "habitat-webhook",
        "title": "habitat-webhook",
        "tags": ["habitat-webhook"],
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": panels,
    }


def _lines(content: tuple[Panel, ...]) -> list[tuple[Panel, ...]]:
    """Three beside each other; four where that leaves none alone."""
    beside = 4 if len(content) % 4 == 0 else 3
    return [content[n : n + beside] for n in range(0, len(content), beside)]


def _panel(panel: Panel, x: int, y: int, width: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.wrong is not None:
        steps.append({"color": "red", "value": panel.wrong})
    targets = [
        {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend, "datasource": DATASOURCE}
        for n, (legend, query) in enumerate(panel.queries.items())
    ]
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    return {
        "type": "stat" if panel.number else "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1) + "\n")

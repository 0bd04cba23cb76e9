"""Workloads as the API server hands them on, each with something to say about, for the tests of this folder.

CASES are applied by the real kubectl; what it prints is kept in tests/advise/texts/.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.controlplane.manifests import PODS, template

SERVICE = {"habitat.sh/service": "web", "habitat.sh/license": "accept-no-persist"}
LEADER = SERVICE | {"habitat.sh/topology": "leader"}


def workload(
    kind: str = "Deployment",
    annotations: dict[str, str] | None = None,
    *,
    own: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """annotations: of the pod template. own: of the workload itself. spec: fields of its spec."""
    made = copy.deepcopy(PODS[kind][0])
    made["metadata"] = {"name": "web", "annotations": own or {}}
    restart = "Never" if kind in ("Job", "CronJob") else "Always"
    pods = template(SERVICE if annotations is None else annotations, restart=restart)
    pods["spec"] |= spec.pop("pod", {})
    holder = made["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else made["spec"]
    holder["template"] = pods
    made["spec"] |= spec
    return made


MISTAKES = SERVICE | {"habitat.sh/topology": "cluster", "habitat.sh/group": "a b"}

CASES: dict[str, dict[str, Any]] = {
    "nothing to say": workload(),
    "mistakes": workload(annotations=MISTAKES),
    "mistakes in a cron job": workload("CronJob", MISTAKES),
    "a name that no Secret has": workload(annotations=SERVICE | {"habitat.sh/config-secret": "Web_Config"}),
    "annotated on the workload": workload(annotations={}, own=LEADER),
    "an unknown annotation": workload(annotations=SERVICE | {"habitat.sh/topologie": "leader"}),
    "no service named": workload(annotations={"habitat.sh/servce": "web", "habitat.sh/group": "blue"}),
    "a leader of two": workload(annotations=LEADER, replicas=2),
    "a leader whose update ends half": workload(
        annotations=LEADER, replicas=4, strategy={"rollingUpdate": {"maxUnavailable": "50%"}}
    ),
    "a job": workload("Job"),
    "too little time to stop": workload("StatefulSet", pod={"terminationGracePeriodSeconds": 5}),
    "no licence": workload(annotations={"habitat.sh/service": "web"}),
    "a flag that wins": workload(
        annotations=SERVICE | {"habitat.sh/group": "blue"},
        pod={"containers": [{"name": "web", "image": "i", "args": ["--group=green"]}]},
    ),
    "an image that changes": workload(annotations=SERVICE | {"habitat.sh/update-strategy": "at-once"}),
}

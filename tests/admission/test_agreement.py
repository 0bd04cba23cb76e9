"""`explain` says what the API server then does: generated workloads × namespaces × policies × configurations."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import run
from tests.controlplane.client import Cluster, wait_for
from tests.demo.server import Webhook, development_certificates
from tests.support.webhook_config import registration
from webhook.admission.parts import PARTS, parts
from webhook.inject import record

NUMBER = 240
LABEL = "habitat.sh/injection"
LABELS: dict[str, dict[str, str]] = {
    "enabled": {LABEL: "enabled"},
    "none": {},
    "other": {LABEL: "on", "team": "web"},
    "disabled": {LABEL: "disabled"},
}
DEFAULTS = {"other": ("group=of-the-namespace", "topology=leader"), "enabled": ("channel=stable",)}
"""`default.habitat.sh/…` annotations of the namespaces."""

MIXED = """\
apiVersion: policy.habitat.sh/v1
kind: Policy
sharedRings: [shared.infra]
sidecars: [other]
rules:
  - name: web-namespaces
    match: {namespaceSelector: {matchLabels: {team: web}}}
    force: {ring: web}
    defaults: {group: of-the-policy, log-format: json}
  - name: databases
    match: {podSelector: {matchLabels: {app: db}}}
    deny: {topology: [leader]}
  - name: live-needs-a-license
    match: {namespaceSelector: {matchExpressions: [{key: habitat.sh/injection, operator: Exists}]}}
    require: [license]
    action: warn
  - name: not-these
    match: {podSelector: {matchExpressions: [{key: tier, operator: In, values: [batch]}]}}
    inject: never
  - name: everything-else-there
    match:
      namespaceSelector: {matchLabels: {habitat.sh/injection: enabled}}
      podSelector: {matchLabels: {app: web}}
      images: ["core/*"]
    inject: true
    defaults: {service: by-policy}
"""
STRICT = """\
apiVersion: policy.habitat.sh/v1
kind: Policy
rules:
  - name: batch-stays-as-it-is
    match: {podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}
    inject: never
  - name: known-groups
    allow: {group: [default, live, own, of-the-namespace]}
  - name: no-custom-start
    match: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}
    deny: {entrypoint: [custom]}
  - name: core-images
    match: {images: ["core/*"]}
    force: {log-format: json}
    defaults: {license: accept-no-persist, channel: of-the-policy}
  - name: looked-at
    match: {namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}
    require: [org]
    action: audit
"""
POLICIES = {"mixed": MIXED, "strict": STRICT}
UNGUARDED = {"name": "unguarded", "expression": "object.metadata.annotations['team'] != 'none'"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "shipped": {},
    "object-selector": {
        "objectSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}
    },
    "unguarded-fail": {"matchConditions": [UNGUARDED], "failurePolicy": "Fail"},
    "unguarded-ignore": {"matchConditions": [UNGUARDED], "failurePolicy": "Ignore"},
    "everything": {"matchConditions": []},
    "exists": {
        "matchConditions": [
            {
                "name": "any-of-ours",
                "expression": "has(object.metadata.annotations) && "
                "object.metadata.annotations.exists(k, k.startsWith('habitat.sh/'))",
            },
            {"name": "no-job", "expression": "request.operation == 'CREATE' && object.spec.restartPolicy != 'Never'"},
        ]
    },
}
NO = None
ANNOTATIONS: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ("inject", (NO, NO, NO, NO, "true", "true", "true", "false", "yes")),
    ("service", (NO, "redis", "redis", "redis", "redis", "redis", "redis", "not a name")),
    ("package", (NO, NO, NO, NO, "core/redis", "core/redis", "core")),
    ("group", (NO, NO, NO, NO, "live", "live", "a b")),
    ("topology", (NO, NO, NO, NO, "leader", "leader", "ring")),
    ("container", (NO, NO, NO, NO, "app", "app", "nobody")),
    ("entrypoint", (NO, NO, "custom")),
    ("unheard-of", (NO, NO, NO, "x")),
)
CONTAINERS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {},
    {"args": ["--group=own", "run", "core/redis"]},
    {"args": ["--group=own", "--topology=leader"]},
    {"args": ["--channel", "own"]},
    {"env": [{"name": "HAB_LISTEN_HTTP", "value": "0.0.0.0:9999"}, {"name": "HAB_LICENSE", "value": "accept"}]},
    {"command": ["hab", "sup", "run"]},
    {"command": ["/bin/sh", "-c", "sleep 1"]},
    {"securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 1000}},
    {"readinessProbe": {"tcpSocket": {"port": 6379}}},
)


@dataclass(frozen=True, slots=True)
class Case:
    """A workload, and where it is created. namespace: a key of LABELS and one of CONFIGURATIONS."""

    name: str
    namespace: tuple[str, str]
    deployment: bool
    template: dict[str, Any]

    def manifest(self, namespace: str) -> dict[str, Any]:
        metadata = {"name": self.name, "namespace": namespace}
        if not self.deployment:
            metadata = {**self.template["metadata"], **metadata}
            return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.template["spec"]}
        spec = {"selector": {"matchLabels": self.template["metadata"]["labels"]}, "template": self.template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def pod(self, namespace: str) -> dict[str, Any]:
        return {
            "metadata": {**self.template["metadata"], "name": self.name, "namespace": namespace},
            "spec": self.template["spec"],
        }


def generated() -> list[Case]:
    dice = random.Random(6)
    # Most in namespaces where more than one thing can decide.
    places = list(itertools.product((*LABELS, "enabled", "enabled"), CONFIGURATIONS))
    return [_case(dice, number, places[number % len(places)]) for number in range(NUMBER)]


def _case(dice: random.Random, number: int, place: tuple[str, str]) -> Case:
    said = {f"habitat.sh/{name}": dice.choice(texts) for name, texts in ANNOTATIONS}
    said["team"] = dice.choice((None, "none", "web"))
    annotations = {name: text for name, text in said.items() if text is not None}
    containers = [{"name": "app", "image": "core/redis", **dice.choice(CONTAINERS)}]
    if dice.random() < 0.15:
        containers.append({"name": dice.choice(("other", "istio-proxy")), "image": "x"})
    deployment = dice.random() < 0.5
    spec: dict[str, Any] = {"containers": containers}
    if not deployment:
        spec["restartPolicy"] = dice.choice(("Always", "Never"))
    # The API server itself refuses a Windows pod with a user of Linux.
    if dice.random() < 0.1 and "securityContext" not in containers[0]:
        spec["os"] = {"name": "windows"}
    metadata: dict[str, Any] = {"labels": {"app": dice.choice(("web", "db"))}}
    if dice.random() < 0.1:
        metadata["labels"]["tier"] = "batch"
    if annotations or dice.random() < 0.5:
        metadata["annotations"] = annotations
    return Case(f"case-{number}", place, deployment, {"metadata": metadata, "spec": spec})


CASES = generated()


@pytest.fixture(scope="module", params=POLICIES)
def directory(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """With the policy that webhook and `explain` go by, policy.yaml."""
    made = tmp_path_factory.mktemp(f"agreement-{request.param}")
    (made / "policy.yaml").write_text(POLICIES[request.param])
    return made


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster, directory: Path) -> Iterator[dict[tuple[str, str], str]]:
    """(labels, configuration) -> a namespace with these labels, in which that configuration alone acts."""
    with contextlib.ExitStack() as stack:
        places = itertools.product(LABELS, CONFIGURATIONS)
        made = {p: stack.enter_context(cluster.namespace(labels=LABELS[p[0]])) for p in places}
        for (labels, _), name in made.items():
            said = [f"default.habitat.sh/{text}" for text in DEFAULTS.get(labels, ())]
            if said:
                cluster.kubectl("annotate", "namespace", name, *said)
        certificates = development_certificates(directory, "127.0.0.1")
        flags = f"--policy={directory / 'policy.yaml'}", "--shared-rings="
        kubeconfig = cluster.kubeconfig
        webhook = Webhook(directory, "127.0.0.1", *flags, certificates=certificates, kubeconfig=kubeconfig)
        stack.callback(webhook.stop)
        webhook.start(lambda: None)
        webhook.wait_ready(lambda: None)
        for name, changed in CONFIGURATIONS.items():
            own = [namespace for (_, where), namespace in made.items() if where == name]
            body = registration(webhook.url, webhook.ca, name=f"agreement-{name}-{own[0]}", namespaces=own)
            body["webhooks"] = [entry | changed for entry in body["webhooks"]]
            stack.callback(cluster.kubectl, "delete", "mutatingwebhookconfiguration", body["metadata"]["name"])
            cluster.apply(json.dumps(body))
            probe = {"metadata": {"name": "probe", "annotations": {"habitat.sh/service": "x", "team": "web"}}}
            probe |= {"spec": {"containers": [{"name": "app", "image": "x"}]}}
            path = f"/api/v1/namespaces/{made['enabled', name]}/pods?dryRun=All"
            wait_for(f"{name} in force", lambda p=path, b=probe: "injected" in str(cluster.request("POST", p, b)[1]))
        yield made


@pytest.fixture(scope="module")
def explained(cluster: Cluster, directory: Path, namespaces: dict[tuple[str, str], str]) -> dict[str, dict[str, Any]]:
    """What `explain` says, by the case's name; one call for all."""
    file = directory / "cases.json"
    file.write_text("\n".join(json.dumps(case.manifest(namespaces[case.namespace])) for case in CASES))
    chosen = ("--policy", directory / "policy.yaml", "--shared-rings", "")
    result = run("explain", "-f", file, "--kubeconfig", cluster.kubeconfig, *chosen, "-o", "json")
    assert result.exit_code == 1, result.stderr
    found = json.loads(result.stdout)["objects"]
    return {each["object"].partition("/")[2]: each for each in found}


def test_every_result_is_among_the_cases(explained: dict[str, dict[str, Any]]) -> None:
    counts = Counter(each["result"] for each in explained.values())
    assert min(counts[result] for result in ("injected", "left alone", "refused")) >= 15, counts
    assert counts["unknown"] == 0
    deciding = {e["decidedBy"] for each in explained.values() for e in each["entries"]}
    assert deciding == {None, "namespaceSelector", "objectSelector", "matchConditions"}
    reasons = {each["reason"] for each in explained.values()}
    assert reasons >= {"Injected", "Invalid", "NotAnnotated", "OptedOut", "WindowsPod", "NamespaceDisabled"}
    assert reasons >= {"NamespaceNotEnabled", "NotAsked", "ConditionFailed", "HandWrittenSupervisor"}
    assert reasons >= {"PolicyNever", "PolicyDenied"}
    sources = {value["source"] for each in explained.values() for value in each["values"]}
    assert {"pod", "args", "env", "built-in"} < sources
    assert {source.partition(" ")[0] for source in sources} >= {"namespace", "policy"}, sources


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_api_server_does_what_is_said(
    case: Case, cluster: Cluster, namespaces: dict[tuple[str, str], str], explained: dict[str, dict[str, Any]]
) -> None:
    namespace, said = namespaces[case.namespace], explained[case.name]
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    status, answer = cluster.request("POST", path, case.pod(namespace))
    made = record.read(answer["metadata"].get("annotations", {})) if status == 201 else None
    result = "refused" if status != 201 else "injected" if made else "left alone"
    assert (said["result"], said["namespace"]) == (result, namespace), (said, answer)
    if made:
        assert made.container == said["container"]
        found = parts(answer, made.container)
        assert {part: sorted(found[part]) for part in PARTS} == {p: sorted(said["injected"][p]) for p in PARTS}
    if said["reason"] in ("Invalid", "PolicyDenied"):
        assert len(answer["details"]["causes"]) == len(said["problems"])
        assert all(cause["message"] in " ".join(said["problems"]) for cause in answer["details"]["causes"])
    if said["reason"] == "ConditionFailed":
        assert UNGUARDED["expression"] in answer["message"]

"""deploy/chart without a cluster: what it renders is current, closed, the same twice, and fits together."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, SHIPPED, HelmError, Render, cases, renders, run_helm, shipped, template
from tests.support.manifests import RENDERS, Document, install, named, rendered
from webhook.cli.controller import controller
from webhook.cli.options import settings_of
from webhook.cli.serve import serve
from webhook.server.settings import ServeSettings

ROOT = CHART.parents[1]
RENDERED = ["install", *(case.name for case in cases())]
COMMANDS = {"serve": serve, "controller": controller}


def documents(name: str) -> list[Document]:
    return install() if name == "install" else rendered(name)


def deployments(name: str) -> list[Document]:
    return [d for d in documents(name) if d["kind"] == "Deployment"]


@pytest.mark.parametrize("render", renders(), ids=lambda r: r.name)
def test_what_is_kept_is_what_the_chart_renders(render: Render, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        render.write()
    assert render.path.is_file(), f"{render.path.name} is new: run pytest tests/deploy --update, and read what it wrote"
    stale = f"{render.path.name} is stale: run pytest tests/deploy --update (deploy/install.yaml: make install-yaml)"
    assert render.path.read_text() == render.text(), stale


def test_what_explain_takes_for_shipped_is_what_is_shipped() -> None:
    assert SHIPPED.read_text() == shipped(install()), "webhook/admission/shipped.json is stale: run make install-yaml"


def test_no_render_is_stale() -> None:
    known = {path for case in cases() for path in (case.path, case.values)}
    assert set(RENDERS.iterdir()) == known


@pytest.mark.parametrize("case", cases(), ids=lambda c: c.name)
def test_helm_has_nothing_to_find_fault_with(case: Render) -> None:
    done = run_helm("lint", "--strict", str(CHART), f"--values={case.values}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_two_renders_are_the_same() -> None:
    values = f"--values={RENDERS / 'tuned.values.yaml'}"
    assert template(values) == template(values)


def test_nothing_is_looked_up_generated_or_left_to_chance() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    chance = (
        r"\b(lookup|rand[A-Z]\w*|gen(CA|SelfSigned|Signed|Private)\w*|uuidv4|now|shuffle|derivePassword|htpasswd)\b"
    )
    assert re.findall(r"\{\{[^}]*" + chance, text) == []


@pytest.mark.parametrize("name", RENDERED)
def test_no_secret_and_no_ca_bundle_is_rendered(name: str) -> None:
    assert "Secret" not in {d["kind"] for d in documents(name)}
    assert "caBundle" not in json.dumps([d for d in documents(name) if d["kind"].endswith("WebhookConfiguration")])


# Values that the schema refuses, and what it says.
TYPOS = {
    "replicas=3": "additional properties 'replicas' not allowed",
    "serve.replica=3": "additional properties 'replica' not allowed",
    "image.name=x": "additional properties 'name' not allowed",
    "admission.failurePolicy=fail": "must be one of 'Fail', 'Ignore'",
    "admission.timeoutSeconds=31": "/admission/timeoutSeconds",
    "admission.excludedNamespaces={Kube_System}": "/admission/excludedNamespaces/0",
    "serve.replicas=0": "/serve/replicas",
    "serve.port=443": "/serve/port",
    "serve.namespaces=list": "must be one of 'watch', 'none'",
    "serve.extraArgs={threads=4}": "/serve/extraArgs/0",
    "serve.resources.limit.memory=1Gi": "additional properties 'limit' not allowed",
    "serve.tolerations[0].keys=x": "additional properties 'keys' not allowed",
    "serve.affinity.podAntiaffinity.x=y": "additional properties 'podAntiaffinity' not allowed",
    "serve.topologySpreadConstraints[0].maxSkew=1": "missing properties",
    "serve.podLabels.a=1": "got number, want string",
    "serve.podLabels.a=two words": "/serve/podLabels/a",
    "serve.podLabels.habitat\\.sh/ring=a": "/serve/podLabels/habitat.sh~1ring",
    "commonLabels.pod-security\\.kubernetes\\.io/enforce=baseline": "/commonLabels/pod-security.kubernetes.io~1enforce",
    "admission.labels.habitat\\.sh/ca-bundle=by-hand": "/admission/labels/habitat.sh~1ca-bundle",
    "admission.annotations.cert-manager\\.io/inject-ca-from=x": "/admission/annotations/cert-manager.io~1inject",
    "priorityClassName=Not A Name": "/priorityClassName",
    "certificates.managed.leafDays=91": "/certificates/managed/leafDays",
    "certificates.mode=cert-manager": "must be one of 'managed', 'certManager', 'none'",
    "certificates.certManager.issuerRef.kind=ClusterIssuer": "if 'kind' exists",
    "certificates.certManager.duration=30d": "/certificates/certManager/duration",
    "rings.shared={shared}": "/rings/shared/0",
    "rings.watchSecret=true": "additional properties 'watchSecret' not allowed",
    "image.digest=sha256:12": "/image/digest",
    "listenAddress=::": "/listenAddress",
    "runAsUser=0": "/runAsUser",
    "monitoring.kind=podMonitor": "must be one of",
    "networkPolicy.enabled=yes": "got string, want boolean",
}


@pytest.mark.parametrize("value", TYPOS)
def test_a_value_that_cannot_be_meant_is_refused_by_name(value: str) -> None:
    with pytest.raises(HelmError) as refused:
        template("--set", value)
    assert TYPOS[value].replace("'", "") in str(refused.value).replace("'", "")


# Values that each are allowed and do not go together, and what the chart says.
CONTRADICTIONS = {
    "serve.replicas=1": "Set serve.replicas to 2 or more; or admission.failurePolicy to Ignore",
    "serve.hostNetwork=true": "serve.port is 10250, which is the kubelet's on every node",
    "certificates.managed.caDays=60": "Set caDays to 90 or more, or leafDays to less",
    "serve.healthPort=10250": "serve.port and serve.healthPort are both 10250",
}


@pytest.mark.parametrize("value", CONTRADICTIONS)
def test_values_that_do_not_go_together_are_refused_with_a_way_out(value: str) -> None:
    with pytest.raises(HelmError, match=re.escape(CONTRADICTIONS[value])):
        template("--set", value)


@pytest.mark.parametrize("more", ["admission.failurePolicy=Ignore", "serve.allowSingleReplica=true"])
def test_one_replica_is_had_where_that_is_meant(more: str) -> None:
    assert "replicas: 1\n" in template("--set", f"serve.replicas=1,{more}")


def test_a_name_that_looks_like_a_number_stays_a_name() -> None:
    """YAML reads a bare 123 as a number, and on as true; both are names of namespaces and of Secrets."""
    names = '["123","on","1e3","null"]'
    made = list(
        yaml.safe_load_all(template(f"--set-json=admission.excludedNamespaces={names},image.pullSecrets={names}"))
    )
    for webhook in named(made, "MutatingWebhookConfiguration", "habitat-webhook")["webhooks"]:
        assert webhook["namespaceSelector"]["matchExpressions"][1]["values"][-4:] == json.loads(names)
    for role in ("habitat-webhook", "habitat-webhook-controller"):
        secrets = named(made, "Deployment", role)["spec"]["template"]["spec"]["imagePullSecrets"]
        assert [s["name"] for s in secrets] == json.loads(names)


def test_a_chart_that_holds_this_one_may_have_global_values() -> None:
    assert template("--set", "global.region=north") == template()


def test_the_schema_is_closed_but_for_what_is_kubernetes_own() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_ones: list[str] = []

    def walk(at: Any, path: str) -> None:
        if isinstance(at, dict):
            if at.get("type") == "object" and at.get("additionalProperties", True) is True:
                open_ones.append(path)
            for key, value in at.items():
                walk(value, f"{path}/{key}")

    walk(schema, "")
    inside = "/definitions/affinity/properties/"
    expected = {inside + kind for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity")}
    assert set(open_ones) == expected | {
        "/properties/global",
        "/definitions/spread/items/properties/labelSelector",
        "/properties/policy/properties/document",  # deploy/policy.schema.json is its own
    }


def test_chart_and_image_have_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert f"habitat-webhook:{version}" in (ROOT / "deploy" / "install.yaml").read_text()


@pytest.mark.parametrize("name", RENDERED)
def test_the_commands_take_their_arguments(name: str) -> None:
    for deployment in deployments(name):
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        role, *args = container["args"]
        assert role == container["name"]
        COMMANDS[role].make_context(role, list(args))  # raises for one that it does not know


@pytest.mark.parametrize("name", RENDERED)
def test_what_refers_to_pods_finds_those_of_one_role(name: str) -> None:
    """Selectors of Service, budget, network policy, spread and Deployment; ports by their names."""
    pods = {d["metadata"]["name"]: d["spec"]["template"] for d in deployments(name)}

    def found(labels: dict[str, str]) -> list[str]:
        return [n for n, pod in pods.items() if labels.items() <= pod["metadata"]["labels"].items()]

    ports = {n: {p["name"] for c in pod["spec"]["containers"] for p in c["ports"]} for n, pod in pods.items()}
    for document in documents(name):
        kind, about, spec = document["kind"], document["metadata"]["name"], document.get("spec", {})
        if kind in ("Deployment", "PodDisruptionBudget"):
            assert found(spec["selector"]["matchLabels"]) == [about]
        if kind == "NetworkPolicy":
            assert found(spec["podSelector"]["matchLabels"]) == [about]
            assert {p["port"] for rule in spec["ingress"] for p in rule["ports"]} == ports[about]
        if kind == "Service":
            assert found(spec["selector"]) == ([about] if about in pods else list(pods))
            for one in found(spec["selector"]):
                assert {p["targetPort"] for p in spec["ports"]} <= ports[one]
    for about, pod in pods.items():
        for spread in pod["spec"]["topologySpreadConstraints"]:
            assert found(spread["labelSelector"]["matchLabels"]) == [about]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            [container] = pod["spec"]["containers"]
            assert container[probe]["httpGet"]["port"] in ports[about]


@pytest.mark.parametrize("name", RENDERED)
def test_the_files_and_the_time_that_serve_needs_are_there(name: str) -> None:
    pod = named(documents(name), "Deployment", "habitat-webhook")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    settings = settings_of(ServeSettings, serve.make_context("serve", container["args"][1:]).params)
    [mount] = [m for m in container["volumeMounts"] if m["name"] == "tls"]
    [volume] = [v for v in pod["volumes"] if v["name"] == "tls"]
    files = {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    assert {str(settings.tls_cert), str(settings.tls_key)} == files
    assert "optional" not in volume["secret"]
    assert pod["terminationGracePeriodSeconds"] > settings.shutdown_delay + settings.drain_timeout + 5
    assert settings.listen.endswith(f":{next(p['containerPort'] for p in container['ports'] if p['name'] == 'https')}")


@pytest.mark.parametrize("name", RENDERED)
def test_every_pod_is_restricted_and_has_a_token_only_where_it_calls_the_api(name: str) -> None:
    for deployment in deployments(name):
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert pod["automountServiceAccountToken"] is ("--namespaces=none" not in container["args"])
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
    accounts = [d for d in documents(name) if d["kind"] == "ServiceAccount"]
    assert [a["automountServiceAccountToken"] for a in accounts] == [False, False]


def roles_of(account: str, made: list[Document]) -> list[Document]:
    bound = [d["roleRef"] for d in made if any(s["name"] == account for s in d.get("subjects", ()))]
    return [named(made, ref["kind"], ref["name"]) for ref in bound]


@pytest.mark.parametrize("name", RENDERED)
def test_serve_may_read_namespaces_write_events_and_do_nothing_else(name: str) -> None:
    rights = [rule for role in roles_of("habitat-webhook", documents(name)) for rule in role["rules"]]
    watch = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
    write = {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}
    assert rights == ([] if name == "minimal" else [watch, write])


@pytest.mark.parametrize(("values", "writes"), [((), True), (("--set=serve.events=false",), False)])
def test_without_events_serve_has_no_side_effects(values: tuple[str, ...], writes: bool) -> None:
    made = [d for d in yaml.safe_load_all(template(*values)) if d]
    [container] = named(made, "Deployment", "habitat-webhook")["spec"]["template"]["spec"]["containers"]
    rights = [rule["resources"] for role in roles_of("habitat-webhook", made) for rule in role["rules"]]
    effects = {w["sideEffects"] for w in named(made, "MutatingWebhookConfiguration", "habitat-webhook")["webhooks"]}
    assert ("--events" in container["args"], ["events"] in rights) == (writes, writes)
    assert effects == {"NoneOnDryRun" if writes else "None"}


def test_serve_has_a_way_out_only_where_it_calls_the_api() -> None:
    policy = named(install(), "NetworkPolicy", "habitat-webhook")["spec"]
    assert policy["egress"] == named(install(), "NetworkPolicy", "habitat-webhook-controller")["spec"]["egress"]
    without = [d for d in yaml.safe_load_all(template("--set=serve.namespaces=none")) if d]
    policy = named(without, "NetworkPolicy", "habitat-webhook")["spec"]
    assert (policy["policyTypes"], "egress" in policy) == (["Ingress", "Egress"], False)


def test_in_another_namespace_nothing_points_to_the_usual_one() -> None:
    made = [d for d in yaml.safe_load_all(template("--set=namespace.create=true", namespace="elsewhere")) if d]
    usual = json.dumps(made).count
    assert {d["metadata"].get("namespace", "elsewhere") for d in made} == {"elsewhere"}
    assert {s["namespace"] for d in made for s in d.get("subjects", ())} == {"elsewhere"}
    assert named(made, "Namespace", "elsewhere")
    assert usual("serviceaccount:elsewhere:habitat-webhook-controller") == 4
    assert usual("serviceaccount:habitat-webhook:") == 0
    for webhook in named(made, "MutatingWebhookConfiguration", "habitat-webhook")["webhooks"]:
        assert webhook["clientConfig"]["service"]["namespace"] == "elsewhere"
        assert "elsewhere" in webhook["namespaceSelector"]["matchExpressions"][1]["values"]


def test_with_cert_manager_nobody_of_ours_touches_certificates() -> None:
    made = rendered("cert-manager")
    configuration = named(made, "MutatingWebhookConfiguration", "habitat-webhook")
    assert "habitat.sh/ca-bundle" not in configuration["metadata"]["labels"]
    source = configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    certificate = named(made, "Certificate", source.partition("/")[2])
    assert source == f"{certificate['metadata']['namespace']}/habitat-webhook-tls"
    assert certificate["spec"]["secretName"] == "habitat-webhook-tls"
    assert "habitat-webhook.habitat-webhook.svc" in certificate["spec"]["dnsNames"]
    [container] = named(made, "Deployment", "habitat-webhook-controller")["spec"]["template"]["spec"]["containers"]
    assert "--certificates=none" in container["args"]
    assert "habitat-webhook-certificates" not in {d["metadata"]["name"] for d in made}
    assert "habitat-webhook-controller-webhooks" not in {d["metadata"]["name"] for d in made}


def test_with_certificates_of_your_own_nothing_makes_them_or_writes_ca_bundle() -> None:
    made = [d for d in yaml.safe_load_all(template("--set=certificates.mode=none")) if d]
    kinds = {(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in made}
    with_cert_manager = {(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in rendered("cert-manager")}
    assert kinds == {one for one in with_cert_manager if not one[0].startswith("cert-manager.io/")}
    configuration = named(made, "MutatingWebhookConfiguration", "habitat-webhook")["metadata"]
    assert ("annotations" in configuration, "habitat.sh/ca-bundle" in configuration["labels"]) == (False, False)
    [container] = named(made, "Deployment", "habitat-webhook-controller")["spec"]["template"]["spec"]["containers"]
    assert "--certificates=none" in container["args"]


def test_what_is_managed_carries_the_label_that_says_so() -> None:
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        labels = named(install(), kind, "habitat-webhook")["metadata"]["labels"]
        assert labels["habitat.sh/ca-bundle"] == "managed"


@pytest.mark.parametrize("name", [name for name in RENDERED if name != "minimal"])
def test_workloads_never_wait_for_the_webhook_and_go_to_the_same_namespaces_as_pods(name: str) -> None:
    pods = named(documents(name), "MutatingWebhookConfiguration", "habitat-webhook")["webhooks"][0]
    entries = named(documents(name), "ValidatingWebhookConfiguration", "habitat-webhook")["webhooks"]
    assert len(entries) == (2 if name == "policy" else 1)
    for entry in entries:
        assert (entry["failurePolicy"], entry["sideEffects"]) == ("Ignore", "None")
        assert entry["namespaceSelector"]["matchExpressions"][1] == pods["namespaceSelector"]["matchExpressions"][1]
        assert not [resource for rule in entry["rules"] for resource in rule["resources"] if "/" in resource]


def test_workloads_are_not_asked_about_where_that_is_not_wanted() -> None:
    assert "ValidatingWebhookConfiguration" not in {d["kind"] for d in rendered("minimal")}

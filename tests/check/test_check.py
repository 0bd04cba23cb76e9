"""`habitat-webhook check` against an installation as it is shipped, and against the same with one thing broken."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.running import DEPLOYMENT, run
from tests.controlplane.client import Cluster, wait_for
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.config import write_kubeconfig
from tests.demo.install import Roles, installed
from tests.demo.place import LOOPBACK, Place
from tests.support.controller_rights import NAMESPACE
from webhook import __version__
from webhook.check.run import CHECKS, checks
from webhook.check.seen import Seen
from webhook.decide import DOCS_URL
from webhook.kube.client import Client

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"
CONFIGURATION = "mutatingwebhookconfiguration/habitat-webhook"
WEBHOOK = "deployment/habitat-webhook"
BINDING = "validatingadmissionpolicybinding/habitat-webhook-controller-pods"


@dataclass(frozen=True, slots=True)
class Installed:
    cluster: Cluster
    roles: Roles

    def check(self, *options: str | Path, kubeconfig: Path | None = None) -> Result:
        return run("check", "--kubeconfig", kubeconfig or self.cluster.kubeconfig, *options)

    def found(self, *options: str | Path, kubeconfig: Path | None = None) -> dict[str, dict[str, Any]]:
        """What `-o json` says, by the check's name."""
        said = json.loads(self.check("-o", "json", *options, kubeconfig=kubeconfig).stdout)
        return {each["check"]: each for each in said["checks"]}

    def levels(self, *options: str | Path) -> dict[str, str]:
        """Of all that are not ok."""
        return {name: said["level"] for name, said in self.found(*options).items() if said["level"] != "ok"}

    def patched(self, thing: str, patch: str, namespace: str = NAMESPACE) -> None:
        self.cluster.kubectl("patch", thing, "-n", namespace, "--type=json", "-p", patch)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    directory = tmp_path_factory.mktemp("check")
    with contextlib.ExitStack() as cleanup:
        cluster = cleanup.enter_context(ControlPlane())
        yield Installed(cluster, installed(Place(cluster, LOOPBACK, own=True), directory, cleanup))


def test_an_installation_as_it_is_shipped_works(there: Installed) -> None:
    result = there.check("--wait", "60")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()[:-1]] == [["ok", c.name] for c in CHECKS]
    assert result.stdout.endswith("it works\n")


def test_the_pod_is_injected_and_never_stored(there: Installed) -> None:
    found = there.found()
    assert "came out injected; it was not stored" in found["call"]["message"]
    assert f"the webhook that answered {__version__}" in found["versions"]["message"]
    assert there.cluster.get("pods", "-A", "--field-selector=metadata.name!=x")["items"] != []
    names = [p["metadata"]["name"] for p in there.cluster.get("pods", "-A")["items"]]
    assert not [name for name in names if name.startswith("habitat-webhook-check")]


@pytest.mark.parametrize(
    ("labels", "level", "words"),
    [
        ({"habitat.sh/injection": "enabled"}, "ok", "came out injected"),
        ({}, "ok", "came out injected"),
        ({"habitat.sh/injection": "disabled"}, "fail", "the webhook was not asked"),
        ({"pod-security.kubernetes.io/enforce": "restricted"}, "ok", "came out injected"),
    ],
)
def test_the_namespace_of_the_trial(there: Installed, labels: dict[str, str], level: str, words: str) -> None:
    with there.cluster.namespace(labels=labels) as namespace:
        said = there.found("--try-in", namespace)["call"]
    assert said["level"] == level, said
    assert words in said["message"]
    assert f"namespace {namespace}" in said["message"]


BROKEN: dict[str, tuple[dict[str, str], str, str, str]] = {
    # what -> (levels that are not ok then, what is patched, how, and back)
    "one replica": (
        {"failure-policy": "warn"},
        WEBHOOK,
        '[{"op": "replace", "path": "/spec/replicas", "value": 1}]',
        '[{"op": "replace", "path": "/spec/replicas", "value": 2}]',
    ),
    "no replica": (
        {"failure-policy": "warn", "replicas": "fail"},
        WEBHOOK,
        '[{"op": "replace", "path": "/spec/replicas", "value": 0}]',
        '[{"op": "replace", "path": "/spec/replicas", "value": 2}]',
    ),
    "another version": (
        {"versions": "warn"},
        WEBHOOK,
        '[{"op": "replace", "path": "/metadata/labels/app.kubernetes.io~1version", "value": "9.9.9"}]',
        f'[{{"op": "replace", "path": "/metadata/labels/app.kubernetes.io~1version", "value": "{__version__}"}}]',
    ),
    "Ignore": (
        {"failure-policy": "warn"},
        CONFIGURATION,
        '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]',
        '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]',
    ),
    "a condition that nothing fulfils": (
        {"call": "fail"},
        CONFIGURATION,
        '[{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": {"name": "no", "expression": "false"}}]',
        '[{"op": "remove", "path": "/webhooks/0/matchConditions/2"}]',
    ),
    "an unbound fence": (
        {"fence": "fail"},
        BINDING,
        '[{"op": "replace", "path": "/spec/policyName", "value": "another"}]',
        '[{"op": "replace", "path": "/spec/policyName", "value": "habitat-webhook-controller-pods"}]',
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_said_and_nothing_else(there: Installed, what: str) -> None:
    expected, thing, broken, mended = BROKEN[what]
    there.patched(thing, broken)
    try:
        wait_for(f"check to see {what}", lambda: there.levels() == expected or None)
        result = there.check()
    finally:
        there.patched(thing, mended)
    assert result.exit_code == ("fail" in expected.values())
    for name, level in expected.items():
        [line] = [row for row in result.stdout.splitlines() if row[:4] != "    " and row.split()[1] == name]
        assert line.split()[0] == {"fail": "FAIL", "warn": "warn"}[level]
        assert f"{DOCS_URL}/check.md#{name}" in result.stdout
    wait_for("all to be well again", lambda: there.levels() == {} or None)


POLICY = """\
apiVersion: policy.habitat.sh/v1
kind: Policy
rules:
  - name: encrypted
    match: {namespaces: ["*"]}
    force: {ring-key: managed}
"""


@pytest.fixture
def policy(there: Installed) -> Iterator[str]:
    """The name of a ConfigMap that `serve` is told to read its policy from, as if the chart had mounted it."""
    name = "habitat-webhook-policy-of-a-test"
    before = there.cluster.get(WEBHOOK, "-n", NAMESPACE)["spec"]["template"]
    volume = {"name": "policy-of-a-test", "configMap": {"name": name}}
    mount = {"name": "policy-of-a-test", "mountPath": "/etc/of-a-test"}
    added = [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/args/-",
            "value": "--policy=/etc/of-a-test/policy.yaml",
        },
        {"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": volume},
    ]
    there.patched(WEBHOOK, json.dumps(added))
    try:
        yield name
    finally:
        there.patched(WEBHOOK, json.dumps([{"op": "replace", "path": "/spec/template", "value": before}]))
        there.cluster.kubectl("delete", "configmap", name, "-n", NAMESPACE, "--ignore-not-found")
        wait_for("all to be well again", lambda: there.levels() == {} or None)


def test_the_policy_that_the_webhook_is_given(there: Installed, policy: str) -> None:
    assert "is not there: the webhook is not ready" in there.found()["policy"]["message"]
    for text, level, words in (
        (POLICY, "ok", f"ConfigMap {NAMESPACE}/{policy}, key policy.yaml: 1 rule, generation "),
        (POLICY.replace("force", "farce"), "fail", "is refused: policy.yaml:6:5"),
        (POLICY.replace('"*"', "kube-system"), "warn", "1 rule; `policy check` warns of line 4:"),
    ):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": policy, "namespace": NAMESPACE}}
        there.cluster.apply(json.dumps(body | {"data": {"policy.yaml": text}}))
        said = there.found()["policy"]
        assert said["level"] == level, said
        assert words in said["message"]


def test_explain_goes_by_the_policy_of_the_cluster(there: Installed, policy: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": policy, "namespace": NAMESPACE}}
    there.cluster.apply(json.dumps(body | {"data": {"policy.yaml": POLICY}}))
    result = run(
        *("explain", "-f", "-", "-n", "default", "--namespace-labels=habitat.sh/injection=enabled", "-o", "json"),
        *("--kubeconfig", there.cluster.kubeconfig),
        stdin=DEPLOYMENT.replace("namespace: shop", ""),
    )
    assert result.exit_code == 0, result.stderr
    [found] = json.loads(result.stdout)["objects"]
    assert {"option": "ring-key", "value": "managed", "source": "policy rule encrypted"} in found["values"]
    assert found["rules"] == [{"name": "encrypted", "matched": True, "because": None}]


def test_waiting_ends_when_it_works(there: Installed) -> None:
    there.patched(BINDING, '[{"op": "replace", "path": "/spec/policyName", "value": "another"}]')
    mend = '[{"op": "replace", "path": "/spec/policyName", "value": "habitat-webhook-controller-pods"}]'
    later = threading.Timer(2.0, there.patched, (BINDING, mend))
    later.start()
    result = there.check("--wait", "60")
    later.join()
    assert result.exit_code == 0, result.stdout


def account(there: Installed, namespace: str, rules: Sequence[dict[str, Any]]) -> Path:
    """The kubeconfig of an account of this namespace that may do no more than this, everywhere."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"few-{namespace}"}
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": f"few-{namespace}"}}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    there.cluster.apply(json.dumps(about | {"kind": "ClusterRole", "rules": list(rules)}))
    there.cluster.apply(json.dumps(about | {"kind": "ClusterRoleBinding", "subjects": [subject], "roleRef": reference}))
    return there.cluster.kubeconfig_for(namespace, "default")


def test_somebody_without_rights_is_told_what_is_not_checked(there: Installed) -> None:
    with there.cluster.namespace() as namespace:
        kubeconfig = account(there, namespace, [])
        result = there.check("--try-in", namespace, kubeconfig=kubeconfig)
        found = there.found("--try-in", namespace, kubeconfig=kubeconfig)
    assert result.exit_code == 0, result.stdout
    assert "nothing failed, with 10 warnings, but it is not proven that it works" in result.stdout
    assert f"create pods in {namespace}" in found["rights"]["message"]
    assert found["webhooks"]["message"].startswith("not checked, you may not look: ")
    assert "refused before the webhook could be seen" in found["call"]["message"]


def test_who_may_create_pods_alone_sees_the_proof(there: Installed) -> None:
    with there.cluster.namespace() as namespace:
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
        result = there.check("--try-in", namespace, kubeconfig=account(there, namespace, rules))
    assert "it works, with 9 warnings" in result.stdout


@pytest.mark.parametrize(("skew", "level"), [(None, "warn"), (1.0, "ok"), (-6.0, "warn"), (400.0, "fail")])
def test_clocks(monkeypatch: pytest.MonkeyPatch, skew: float | None, level: str) -> None:
    seen = Seen(None, "", "")  # type: ignore[arg-type]
    monkeypatch.setitem(seen.__dict__, "skew", skew)
    line = checks.clock(seen)
    assert line.level == level
    if skew == -6.0:
        assert line.message == "this machine's clock is 6 s behind the API server's"


@pytest.mark.parametrize(("version", "level"), [("v1.36.1", "ok"), ("v1.30.0-eks-1", "ok"), ("v1.29.9", "fail")])
def test_version_of_kubernetes(monkeypatch: pytest.MonkeyPatch, there: Installed, version: str, level: str) -> None:
    client = Client.connect(there.cluster.kubeconfig)
    seen = Seen(client, "", "")
    monkeypatch.setitem(seen.__dict__, "version", {"gitVersion": version})
    assert checks.api_server(seen).level == level
    client.close()


def test_every_check_has_its_section_in_the_documentation() -> None:
    sections = PAGE.read_text().split("\n## ")
    titled = {section.partition("\n")[0]: section for section in sections[1:]}
    assert [name for name in titled if name in {c.name for c in CHECKS}] == [c.name for c in CHECKS]
    for check in CHECKS:
        text = " ".join(titled[check.name].split())
        assert check.question in text
        assert check.hint in text


def test_an_api_server_that_does_not_answer_is_no_result(there: Installed, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "k", url="https://127.0.0.1:1", ca=there.cluster.ca, token="x")
    result = run("check", "--kubeconfig", path)
    assert result.exit_code == 2
    assert result.stdout == ""


# What breaks the installation for good comes last. -------------------------------------------------------------------


def test_a_certificate_that_is_not_accepted(there: Installed) -> None:
    there.roles.controller.stop()
    there.patched(CONFIGURATION, '[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": ""}]')
    said = wait_for("check to see it", lambda: (f := there.found())["call"]["level"] == "fail" and f)
    assert {name: said[name]["level"] for name in ("certificates", "ca-bundle", "call")} == {
        "certificates": "ok",
        "ca-bundle": "fail",
        "call": "fail",
    }
    assert "could not call the webhook" in said["call"]["message"]
    assert said["ca-bundle"]["message"] == "no caBundle in habitat-webhook/inject.habitat.sh"


def test_no_certificate(there: Installed) -> None:
    there.cluster.kubectl("delete", "secret", "habitat-webhook-tls", "-n", NAMESPACE)
    said = there.found()["certificates"]
    assert said["level"] == "fail"
    assert "habitat-webhook-tls is not there" in said["message"]


def test_no_webhook_configuration(there: Installed) -> None:
    there.cluster.kubectl("delete", CONFIGURATION)
    said = wait_for("check to see it", lambda: (f := there.found())["call"]["level"] == "fail" and f)
    assert said["webhooks"]["level"] == "fail"

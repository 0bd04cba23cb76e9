"""`habitat-webhook explain`: without a cluster, and of what is in one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.running import DEPLOYMENT, SERVICE, run, template
from tests.controlplane.client import Cluster
from tests.support.ring_on_server import Place
from tests.support.ring_pods import injected_pod
from tests.support.webhook_config import registration, shipped
from webhook import __version__
from webhook.options import INJECTED

ENABLED = "--namespace-labels=habitat.sh/injection=enabled"


def offline(text: str, *options: str | Path) -> Result:
    return run("explain", "-f", "-", "--offline", *options, stdin=text)


def said(text: str, *options: str | Path) -> dict[str, Any]:
    """What is said of the only workload."""
    [found] = json.loads(offline(text, "-o", "json", *options).stdout)["objects"]
    return dict(found)


def deployment(**annotations: str) -> str:
    made = template("redis", **annotations)
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis"}, "spec": {"template": made}}
    )


# without a cluster ----------------------------------------------------------------------------------------------------


def test_what_is_injected_and_who_has_said_each_value() -> None:
    result = offline(DEPLOYMENT, ENABLED)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "Deployment/redis in namespace shop: injected (Injected)"
    assert "sent habitat-webhook/inject.habitat.sh, CREATE pods: all its selectors, rules and conditions hold" in lines
    assert "service redis annotation of the pod" in lines
    assert "group default built-in default" in lines
    assert "args --peer-watch-file=/habitat/peers" in lines
    assert result.stderr == ""


def test_args_and_env_say_values_too() -> None:
    made = json.loads(deployment())
    made["spec"]["template"]["spec"]["containers"][0] |= {
        "args": ["--group=live"],
        "env": [{"name": "HAB_LISTEN_HTTP", "value": "0.0.0.0:9999"}],
    }
    sources = {v["option"]: (v["value"], v["source"]) for v in said(json.dumps(made))["values"]}
    assert sources["group"] == ("live", "args")
    assert sources["http-port"] == ("9999", "env")
    assert sources["service"] == ("redis", "pod")
    assert sources["topology"] == ("standalone", "built-in")


@pytest.mark.parametrize(
    ("labels", "annotations", "result", "reason", "deciding"),
    [
        ("", {}, "left alone", "NamespaceNotEnabled", ["namespaceSelector", "matchConditions"]),
        ("habitat.sh/injection=disabled", {}, "left alone", "NamespaceDisabled", ["namespaceSelector"] * 2),
        (
            "habitat.sh/injection=enabled",
            {"inject": "false"},
            "left alone",
            "OptedOut",
            ["matchConditions", "namespaceSelector"],
        ),
        ("", {"inject": "true"}, "injected", "Injected", ["namespaceSelector", None]),
        ("habitat.sh/injection=enabled", {"group": "a b"}, "refused", "Invalid", [None, "namespaceSelector"]),
    ],
)
def test_the_first_reason_decides(
    labels: str, annotations: dict[str, str], result: str, reason: str, deciding: list[str | None]
) -> None:
    found = said(deployment(**annotations), f"--namespace-labels={labels}")
    assert (found["result"], found["reason"]) == (result, reason)
    assert [entry["decidedBy"] for entry in found["entries"] if entry["resource"] == "pods"] == deciding
    assert offline(deployment(**annotations), f"--namespace-labels={labels}").exit_code == (result != "injected")


def test_the_entry_for_workloads_is_told_of_the_workload() -> None:
    [entry] = [e for e in said(DEPLOYMENT, ENABLED)["entries"] if e["kind"] == "ValidatingWebhookConfiguration"]
    assert (entry["operation"], entry["resource"], entry["match"]) == ("CREATE", "deployments", "sent")


def test_an_excluded_namespace() -> None:
    found = said(DEPLOYMENT.replace("namespace: shop", "namespace: kube-system"), ENABLED)
    assert (found["result"], found["reason"]) == ("left alone", "NamespaceExcluded")
    assert "kubernetes.io/metadata.name notin (kube-system, kube-node-lease, habitat-webhook)" in str(found["entries"])


def test_every_problem_is_listed_with_its_link() -> None:
    found = said(deployment(group="a b", topology="ring"))
    assert [problem.partition(":")[0] for problem in found["problems"]] == ["habitat.sh/group", "habitat.sh/topology"]
    assert "error: habitat.sh/group" in offline(deployment(group="a b")).stdout


def test_a_namespace_among_the_files_says_its_own_labels() -> None:
    namespace = (
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {habitat.sh/injection: disabled}}\n"
    )
    assert said(DEPLOYMENT + namespace)["reason"] == "NamespaceDisabled"


def test_an_annotation_on_the_workload_itself_is_warned_about() -> None:
    made = json.loads(deployment())
    made["metadata"]["annotations"] = made["spec"]["template"]["metadata"].pop("annotations")
    found = said(json.dumps(made), ENABLED)
    assert found["reason"] == "NotAnnotated"
    assert found["warnings"][0] == "habitat.sh/service does nothing in metadata.annotations of the Deployment"


def test_what_is_assumed_is_said() -> None:
    assert "namespace shop is taken to be labelled habitat.sh/injection=enabled" in offline(DEPLOYMENT).stderr
    assert offline(DEPLOYMENT, ENABLED).stderr == ""


def test_webhook_configurations_of_a_file(tmp_path: Path) -> None:
    body = shipped()
    for entry in body["webhooks"]:
        entry["objectSelector"] = {"matchLabels": {"team": "web"}}
    (tmp_path / "webhooks.json").write_text(json.dumps(body))
    found = said(DEPLOYMENT, ENABLED, "--webhooks", tmp_path / "webhooks.json")
    assert (found["result"], found["reason"]) == ("left alone", "NotAsked")
    assert found["entries"][0]["message"] == "it wants team=web; the Pod has no label team"
    (tmp_path / "none.yaml").write_text(SERVICE)
    assert "no webhook configuration in it" in offline(DEPLOYMENT, "--webhooks", tmp_path / "none.yaml").stderr


def test_without_the_cel_library_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel", None)
    found = said(DEPLOYMENT, ENABLED)
    assert (found["result"], found["reason"]) == ("unknown", "NotKnown")
    assert "pip install 'habitat-webhook[explain]'" in found["message"]
    assert found["advice"].startswith("If it does: Injected")
    assert found["injected"]["args"] != []
    assert offline(DEPLOYMENT, ENABLED).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name workloads, such as deployment/web, or files with -f"),
        (("deployment/web", "-f", "x"), "name workloads, such as deployment/web, or files with -f"),
        (("deployment/web", "--offline"), "--offline takes workloads from files"),
        (("-f", "/none", "--offline"), "/none"),
        (("-f", "-", "--offline", "--namespace-labels=x"), "'x' is no label"),
        (("-f", "-", "--offline"), "no workload in it"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    result = run("explain", *arguments, stdin=SERVICE)
    assert result.exit_code == 2
    assert message in result.stderr


# in a cluster ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    """An enabled namespace with a webhook configuration of its own, behind which nobody is."""
    with cluster.namespace(labels={"habitat.sh/injection": "enabled"}) as namespace:
        name = f"explain-{namespace}"
        body = registration("https://127.0.0.1:1", b"", name=name, failure_policy="Ignore", namespaces=[namespace])
        cluster.apply(json.dumps(body))
        try:
            yield Place(cluster, namespace)
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration", name)


def explained(place: Place, *names: str, **options: str) -> dict[str, Any]:
    flags = [f"--{name.replace('_', '-')}={text}" for name, text in options.items()]
    result = run(
        *("explain", *names, "-n", place.namespace, "--kubeconfig", place.cluster.kubeconfig, "-o", "json", *flags)
    )
    assert result.exit_code in (0, 1), result.stderr
    [found] = json.loads(result.stdout)["objects"]
    return dict(found)


def test_a_workload_by_each_of_its_names(place: Place) -> None:
    body = json.loads(deployment(discovery="none"))
    body["spec"]["selector"] = {"matchLabels": {"app": "redis"}}
    place.cluster.apply(json.dumps(body | {"metadata": {"name": "redis", "namespace": place.namespace}}))
    for words in (["deployment/redis"], ["deploy/redis"], ["deployments/redis"], ["deployment", "redis"]):
        found = explained(place, *words)
        assert (found["object"], found["result"]) == ("Deployment/redis", "injected")
        assert found["namespaceLabels"]["habitat.sh/injection"] == "enabled"
        assert found["live"] is None


def test_a_pod_that_was_injected_is_the_same_today(place: Place) -> None:
    pods = place.pods("web-0", "web-1")
    place.tell_everybody(pods)
    found = explained(place, "pod/web-0", shared_rings="")
    assert found["live"]["sameToday"] is True
    assert found["live"]["injected"]["version"] == __version__
    assert "--peer-watch-file=/habitat/peers" in found["injected"]["args"]


def test_a_pod_that_was_injected_otherwise(place: Place) -> None:
    made = injected_pod("web", place.namespace, group="live")
    record = json.loads(made["metadata"]["annotations"][INJECTED]) | {"version": "0.0.9", "digest": "0" * 16}
    made["metadata"]["annotations"][INJECTED] = json.dumps(record)
    place.create(made, "pods")
    live = explained(place, "pod/web")["live"]
    assert (live["injected"]["version"], live["injected"]["digest"]) == ("0.0.9", "0" * 16)
    assert live["sameToday"] is False
    assert "/metadata/annotations/habitat.sh~1injected" in live["differs"]
    text = run("explain", "pod/web", "-n", place.namespace, "--kubeconfig", place.cluster.kubeconfig).stdout
    assert "injected by version 0.0.9 into container web, settings 0000000000000000" in text
    assert f"version {__version__} would make another one" in text


def test_a_pod_that_slipped_through(place: Place) -> None:
    made = template("web", discovery="none")
    place.create({"metadata": {"name": "web", **made["metadata"]}, "spec": made["spec"]}, "pods")
    found = explained(place, "pod/web")
    assert (found["result"], found["reason"]) == ("left alone", "SlippedThrough")
    assert found["live"] == {
        "injected": None,
        "digestToday": found["live"]["digestToday"],
        "sameToday": None,
        "differs": found["live"]["differs"],
    }


def test_a_namespace_that_is_not_there_yet(place: Place) -> None:
    result = run("explain", "-f", "-", "--kubeconfig", place.cluster.kubeconfig, "-n", "not-yet", stdin=deployment())
    assert result.exit_code == 1
    assert "NamespaceNotEnabled" in result.stdout
    assert "namespace not-yet is not there yet, and is taken to have no labels" in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deployment/none", "has no Deployment none; -n names another one"),
        ("service/web", "'service/web' is no workload; allowed: KIND/NAME"),
        ("web", "'web' is no workload"),
    ],
)
def test_what_is_not_there(place: Place, name: str, message: str) -> None:
    result = run("explain", name, "-n", place.namespace, "--kubeconfig", place.cluster.kubeconfig)
    assert result.exit_code == 2
    assert message in result.stderr


def test_who_may_not_read_webhook_configurations_is_told_what_helps(place: Place) -> None:
    kubeconfig = place.cluster.kubeconfig_for(place.namespace, "default")
    result = run("explain", "pod/web", "--kubeconfig", kubeconfig)
    assert result.exit_code == 2
    assert "you may not list webhook configurations" in result.stderr
    assert "--webhooks FILE" in result.stderr

"""The runbook on a real API server whose webhook does not answer: what its commands do, and that all can be undone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from certs import dev
from deploy.metrics_page import rules
from tests.cli.running import run
from tests.controlplane.client import Cluster
from tests.docs.page import DOCS, commands, inline
from tests.docs.shop import ANNOTATIONS, NOWHERE, attempted, deploy, pods, refusal, shell
from tests.support.promql import selectors
from tests.support.webhook_config import registration

COMMANDS = commands("runbook.md")
PAGES = ("runbook.md", "install.md", "upgrade-uninstall.md", "certificates.md", "failure-policy.md")
WRITTEN = {
    line: None
    for page in PAGES
    for line in [*inline(page), *(each for some in commands(page).values() for each in some)]
}
FAILED_CREATE = COMMANDS["First look"][2]


def switch(title: str) -> Sequence[str]:
    """The command that switches off, and the one that switches on again."""
    assert len(COMMANDS[title]) == 2, f"{title}: {COMMANDS[title]}"
    return COMMANDS[title]


def test_the_probe_of_the_first_look_tells_what_is_wrong(down: Cluster) -> None:
    probe = COMMANDS["First look"][-1]
    assert "failed calling webhook" in attempted(down, probe).stdout
    shell(down, switch("Nobody waits")[0])
    down.wait("the probe to pass", lambda: "created (server dry run)" in attempted(down, probe).stdout)


@pytest.mark.parametrize("command", [c for c in COMMANDS["First look"][:-1] if " logs " not in c])
def test_a_first_look_can_be_had(down: Cluster, command: str) -> None:
    shell(down, command)


def test_one_workload_is_switched_off_and_on(down: Cluster) -> None:
    off, on = switch("One workload")
    deploy(down, "web", "shop", ANNOTATIONS)
    down.wait("a pod that is not created", lambda: "failed calling webhook" in shell(down, FAILED_CREATE))
    assert pods(down) == []
    shell(down, off)
    down.wait("a pod that is not asked about", lambda: len(pods(down)) == 1)
    shell(down, on)
    template = down.get("deployment", "web", "--namespace=shop")["spec"]["template"]
    assert template["metadata"]["annotations"] == ANNOTATIONS


def test_one_namespace_is_switched_off_and_on(down: Cluster) -> None:
    off, on = switch("One namespace")
    shell(down, off)
    down.wait("pods that are not asked about", lambda: not refusal(down))
    shell(down, on)
    down.wait("pods that are asked about", lambda: refusal(down))


def test_nobody_waits_for_an_answer_and_everybody_does_again(down: Cluster) -> None:
    off, on = switch("Nobody waits")
    shell(down, off)
    down.wait("pods that start without an answer", lambda: not refusal(down))
    shell(down, on)
    down.wait("pods that wait for an answer", lambda: refusal(down))
    found = down.get("mutatingwebhookconfiguration", "habitat-webhook")["webhooks"]
    shipped = registration(NOWHERE, b"")["webhooks"]
    assert [w["failurePolicy"] for w in found] == [w["failurePolicy"] for w in shipped]


def test_without_the_configurations_no_pod_is_asked_about(down: Cluster) -> None:
    (off,) = COMMANDS["No pod of the cluster is asked about"]
    shell(down, off)
    down.wait("pods that are not asked about", lambda: not refusal(down))
    shell(down, off)  # done already, and no error


def test_what_started_without_a_supervisor_is_found(down: Cluster) -> None:
    (find,) = COMMANDS["Find what started without a Supervisor"]
    assert shell(down, find) == ""
    shell(down, switch("Nobody waits")[0])
    annotations = {
        "plain": {},
        "by-service": ANNOTATIONS,
        "by-package": {"habitat.sh/package": "core/web"},
        "opted-out": ANNOTATIONS | {"habitat.sh/inject": "false"},
    }
    for name, given in annotations.items():
        deploy(down, name, "shop", given)
    items = down.wait("the pods", lambda: len(p := down.get("pods", "--namespace=shop")["items"]) == 4 and p)
    slipped = [p["metadata"]["name"] for p in items if p["metadata"]["labels"]["app"].startswith("by-")]
    assert sorted(shell(down, find).split()) == sorted(f"shop/{name}" for name in slipped)


def test_a_replicaset_that_waits_tries_again_at_once(down: Cluster) -> None:
    (again,) = COMMANDS["The webhook does not answer"]
    deploy(down, "web", "shop", ANNOTATIONS)
    # Its pauses double from 5 ms on: after eleven refusals the next one is of 10 s.
    down.wait("eleven refusals", lambda: _refusals(down) >= 11)
    shell(down, switch("Nobody waits")[0])
    down.wait("pods that start without an answer", lambda: not refusal(down))
    shell(down, again)
    down.wait("its pod", lambda: pods(down), seconds=5)
    shell(down, again)  # a second time, too


def _refusals(cluster: Cluster) -> int:
    events = cluster.get("events", "--field-selector=reason=FailedCreate", "--namespace=shop")["items"]
    return sum(event.get("count") or 1 for event in events)


def test_the_certificate_and_the_bundle_can_be_read(down: Cluster) -> None:
    status, served, trusted, leader, label = COMMANDS["The certificate or a clock is wrong"]
    assert status == "habitat-webhook certs status"  # tests/cli runs it
    certificate = {"data": {"tls.crt": registration(NOWHERE, _leaf())["webhooks"][0]["clientConfig"]["caBundle"]}}
    down.kubectl("-n", "habitat-webhook", "patch", "secret", "habitat-webhook-tls", "-p", json.dumps(certificate))
    assert "notAfter=" in shell(down, served)
    assert "DNS:habitat-webhook.habitat-webhook.svc" in shell(down, served)
    assert "sha256 Fingerprint=" in shell(down, trusted)
    assert shell(down, leader).startswith("somebody ")
    assert shell(down, label) == "\n"
    down.kubectl("label", "mutatingwebhookconfiguration/habitat-webhook", "habitat.sh/ca-bundle=managed")
    assert shell(down, label) == "managed\n"


def _leaf() -> bytes:
    return dev.issue(["habitat-webhook.habitat-webhook.svc"], now=datetime.now(UTC)).certificate


def test_the_api_servers_metrics_are_those_that_are_explained(down: Cluster) -> None:
    (command,) = COMMANDS["What the API server sees"]
    shell(down, switch("Nobody waits")[0])
    down.wait("a pod that slipped through", lambda: not refusal(down))
    lines = shell(down, command).splitlines()
    assert all("habitat.sh" in line for line in lines)
    text = (DOCS / "runbook.md").read_text()
    table = text[text.index("## What the API server sees") :]
    named = {row.split("`")[1].partition("{")[0] for row in table.splitlines() if row.startswith("| `apiserver")}
    counted = {line.partition("{")[0].removesuffix("_count").removesuffix("_sum") for line in lines}
    never = {"apiserver_admission_match_condition_evaluation_errors_total"}  # it counts nothing until one fails
    assert named - never <= {name + end for name in counted for end in ("", "_count")}
    assert any('error_type="calling_webhook_error"' in line for line in lines)
    for selector in (s for rule in rules() for s in selectors(rule["expr"]) if s.name.startswith("apiserver_")):
        found = next((line for line in lines if line.startswith(selector.name + "{")), None)
        assert found, f"{selector.name} of an alert is not there"
        assert all(f'{label}="' in found for label in selector.labels), found


@pytest.mark.parametrize("command", [c for c in WRITTEN if c.startswith(("kubectl ", "habitat-webhook "))])
def test_every_command_and_flag_that_is_written_is_known(cluster: Cluster, command: str) -> None:
    """Both programs refuse an unknown one before they get as far as to print its help."""
    program, *words = shlex.split(command.partition(" | ")[0], comments=True)
    if program == "habitat-webhook":
        said = run(*words, "--help")
        assert said.exit_code == 0, said.output
    else:
        done = cluster.run_kubectl(*words, "--help")
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "SUBCOMMAND" not in done.stdout, f"{command}: that is no whole command"

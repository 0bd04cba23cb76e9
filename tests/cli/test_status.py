"""`habitat-webhook status` against a real API server, with the rights of its administrator and with fewer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import Result

from tests.cli.following import following
from tests.cli.running import run
from tests.controlplane.client import Cluster
from tests.controlplane.config import write_kubeconfig
from tests.kube.server import Request, scripted
from tests.support.ring_on_server import Place
from tests.support.ring_pods import labelled_pod
from webhook.cli.cluster import Trouble
from webhook.ring import keys
from webhook.ring.keys import RingKey
from webhook.rings import Ring

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(sys.executable).parent
RIGHTS = {"pods": ["list", "watch"], "services": ["list", "watch"]}


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Place:
    return Place(cluster, namespace)


@pytest.fixture
def pair(place: Place) -> dict[str, str]:
    """A ring of two that is well: name -> address."""
    pods = place.pods("web-0", "web-1")
    place.tell_everybody(pods)
    place.service()
    return pods


def status(place: Place, *options: str | Path, **environment: str) -> Result:
    return run("status", "--kubeconfig", place.cluster.kubeconfig, "-n", place.namespace, *options, **environment)


def said(place: Place, *options: str | Path) -> dict[str, Any]:
    return dict(json.loads(status(place, "-o", "json", *options).stdout))


def codes(found: dict[str, Any]) -> list[str]:
    return [f["code"] for part in [*found["rings"], found] for f in part["findings"]]


def with_rights(place: Place, rights: dict[str, list[str]]) -> Path:
    """A kubeconfig of an account that may do no more, in this namespace."""
    rules = [{"apiGroups": [""], "resources": [name], "verbs": verbs} for name, verbs in rights.items()]
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": place.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    made = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader", "namespace": place.namespace}}
    place.cluster.apply(
        yaml.safe_dump_all(
            [
                made | {"kind": "Role", "rules": rules},
                made | {"kind": "RoleBinding", "subjects": [subject], "roleRef": reference},
            ]
        )
    )
    return place.cluster.kubeconfig_for(place.namespace, "default")


# what it shows --------------------------------------------------------------------------------------------------------


def test_ring_that_is_well_is_shown_and_ends_with_zero(place: Place, pair: dict[str, str]) -> None:
    result = status(place)
    assert result.exit_code == 0, result.stdout
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        f"ring default in namespace {place.namespace}: 2 pods, 2 seeded, 2 ready",
        "├─ Service habitat-ring-default: present",
        "├─ ring key: none",
    ]
    rows = [line.split() for line in lines[4:6]]
    assert [(row[1], row[2:5], row[6:]) for row in rows] == [
        ("web-0", ["running", "yes", "yes"], [pair["web-0"], pair["web-1"]]),
        ("web-1", ["running", "yes", "yes"], [pair["web-1"], pair["web-0"]]),
    ]
    assert lines[-1] == "1 ring, 2 pods: nothing is wrong"


def test_wide_has_the_node(place: Place, pair: dict[str, str]) -> None:
    _, pod = place.cluster.request("GET", f"/api/v1/namespaces/{place.namespace}/pods/web-0")
    (row,) = [line for line in status(place, "-o", "wide").stdout.splitlines() if " web-0 " in line]
    assert row.split()[-3:] == ["web.default", "-", pod["spec"]["nodeName"]]


def test_what_is_wrong_is_said_and_ends_with_one(place: Place) -> None:
    pods = place.pods("web-0", "web-1", "web-2")
    place.tell("web-0", [pods["web-1"], "192.0.2.9"])
    place.tell("web-1", [pods["web-0"]])
    place.create(labelled_pod("hand", place.namespace), "pods")
    result = status(place)
    assert result.exit_code == 1
    for sentence in (
        f"error ServiceMissing: there is no Service {place.namespace}/habitat-ring-default",
        "error NotInjected: hand: labelled habitat.sh/ring, but not injected",
        "error NoPeer: web-2: no live peer in the list, though 2 other pods live in the ring",
        "error DeadPeer: 192.0.2.9, which no live pod of the ring has, is named by web-0",
    ):
        assert sentence in result.stdout
    found = said(place)
    assert codes(found) == ["ServiceMissing", "NotInjected", "NoPeer", "DeadPeer"]
    assert found["ok"] is False


def test_islands_are_found(place: Place) -> None:
    one, other = place.pods("a-0", "a-1"), place.pods("b-0", "b-1")
    place.tell_everybody(one)
    place.tell_everybody(other)
    place.service()
    assert codes(said(place)) == ["Islands"]


def test_drifted_and_foreign_services_are_found(place: Place) -> None:
    place.tell_everybody(place.pods("a-0", "a-1", ring="a"))
    place.tell_everybody(place.pods("b-0", "b-1", ring="b"))
    place.service("a", publishNotReadyAddresses=False)
    place.create({"metadata": {"name": "habitat-ring-b"}, "spec": {"ports": [{"port": 80}]}}, "services")
    found = said(place)
    assert codes(found) == ["ServiceDrifted", "ForeignService"]
    assert [ring["service"]["state"] for ring in found["rings"]] == ["drifted", "foreign"]


def test_generations_are_shown_and_a_rollout_is_no_error(place: Place) -> None:
    place.tell_everybody(place.pods("web-0", "web-1", config_map="web"))
    place.service()
    for number in range(2):
        value = f"habitat.sh/config-generation={number:016}"
        place.cluster.kubectl("annotate", "pod", f"web-{number}", "-n", place.namespace, value)
    result = status(place)
    assert result.exit_code == 0
    assert "note ConfigurationRollsOut: 2 versions of the ConfigMap web" in result.stdout
    assert [pod["generation"] for pod in said(place)["rings"][0]["pods"]] == [f"{n:016}" for n in range(2)]


def test_namespace_without_any_pod_is_no_error(place: Place) -> None:
    result = status(place)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"no pod of namespace {place.namespace} is injected; ")


def test_context_s_namespace_is_the_one_that_is_shown(place: Place, pair: dict[str, str], tmp_path: Path) -> None:
    config = yaml.safe_load(place.cluster.kubeconfig.read_text())
    here = dict(config["contexts"][0]["context"]) | {"namespace": place.namespace}
    config["contexts"].append({"name": "here", "context": here})
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    result = run("status", "--context", "here", KUBECONFIG=str(file))
    assert result.stdout.startswith(f"ring default in namespace {place.namespace}: 2 pods")


def test_kubectl_s_plugin_shows_it_too(place: Place, pair: dict[str, str]) -> None:
    done = subprocess.run(
        [str(place.cluster.access.kubectl), "habitat", "status", "-n", place.namespace],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "KUBECONFIG": str(place.cluster.kubeconfig)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"ring default in namespace {place.namespace}: 2 pods")


# shared rings ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def team(cluster: Cluster) -> Iterator[Place]:
    """The namespace of a shared ring."""
    with cluster.namespace() as name:
        yield Place(cluster, name)


def test_shared_ring_is_whole_with_all_namespaces_and_seen_in_part_with_one(place: Place, team: Place) -> None:
    host, guest = team.pods("host", ring="shared"), place.pods("guest", ring=f"shared.{team.namespace}")
    team.tell("host", guest.values())
    place.tell("guest", host.values())
    team.service("shared")

    def ring_of(found: dict[str, Any]) -> dict[str, Any]:
        (ring,) = [r for r in found["rings"] if r["namespace"] == team.namespace]
        return dict(ring)

    whole = ring_of(said(place, "-A"))
    assert (whole["inPart"], whole["findings"]) == (False, [])
    assert sorted(pod["name"] for pod in whole["pods"]) == ["guest", "host"]
    # At home the ring's name does not say that it is shared: the cluster is asked, because of the address.
    for there in (place, team):
        result = status(there)
        assert result.exit_code == 0, result.stdout
        assert "note SeenInPart: members in other namespaces are not shown, -A shows them" in result.stdout
        part = ring_of(said(there))
        assert part["inPart"] is True
        assert [peer["alive"] for pod in part["pods"] for peer in pod["peers"]] == [None]


def test_address_is_not_called_dead_where_the_cluster_may_not_be_asked_about_others(place: Place) -> None:
    pods = place.pods("web-0", "web-1")
    place.tell("web-0", [pods["web-1"], "192.0.2.9"])
    place.tell("web-1", [pods["web-0"]])
    place.service()
    weak = with_rights(place, RIGHTS)
    assert codes(said(place, "--kubeconfig", weak)) == ["SeenInPart"]
    assert codes(said(place, "--kubeconfig", weak, "--shared-rings", "")) == ["DeadPeer"]
    assert codes(said(place)) == ["DeadPeer"]


def test_ring_that_is_not_among_the_shared_ones_is_refused(place: Place) -> None:
    place.pods("guest", ring="shared.nowhere")
    assert codes(said(place)) == ["SeenInPart"]
    assert codes(said(place, "--shared-rings", "shared.nowhere,logs.platform")) == ["SeenInPart"]
    result = status(place, "--shared-rings", "logs.platform")
    assert result.exit_code == 1
    assert f"error RingNotShared: not shared: {place.namespace}/guest names the ring shared.nowhere" in result.stdout


# keys and rights ------------------------------------------------------------------------------------------------------


def test_managed_key_is_waited_for_then_present_then_lost(place: Place) -> None:
    place.tell_everybody(place.pods("web-0", "web-1", hold=True, ring_key="managed"))
    place.service()
    waiting = said(place)
    assert codes(waiting) == ["RingKeyNotMade", "WaitsForKey"]
    assert [pod["state"] for pod in waiting["rings"][0]["pods"]] == ["waits for key"] * 2

    key = RingKey(f"default.{place.namespace}-20260301120000", bytes(range(32)))
    place.create(keys.secret(Ring(place.namespace, "default"), place.namespace, key), "secrets")
    place.let_run("web-0", "web-1")
    result = status(place)
    assert result.exit_code == 0, result.stdout
    assert "ring key: managed, Secret habitat-ring-default-key: present" in result.stdout

    place.cluster.kubectl("delete", "secret", "habitat-ring-default-key", "-n", place.namespace)
    result = status(place)
    assert result.exit_code == 1
    assert f"error RingKeyMissing: the Secret {place.namespace}/habitat-ring-default-key" in result.stdout


def test_secrets_that_may_not_be_read_are_not_judged(place: Place) -> None:
    place.tell_everybody(place.pods("web-0", "web-1", ring_key="managed"))
    place.service()
    result = status(place, "--kubeconfig", with_rights(place, RIGHTS))
    assert result.exit_code == 0, result.stdout
    expected = "ring key: managed, Secret habitat-ring-default-key: not checked (no right to read Secrets)"
    assert expected in result.stdout


def test_services_that_may_not_be_listed_are_not_judged(place: Place, pair: dict[str, str]) -> None:
    result = status(place, "--kubeconfig", with_rights(place, {"pods": ["list"]}))
    assert result.exit_code == 0, result.stdout
    assert "Service habitat-ring-default: not checked (no right to list Services)" in result.stdout


# when it cannot ask ---------------------------------------------------------------------------------------------------


def test_missing_right_ends_with_two_and_says_which(place: Place) -> None:
    weak = place.cluster.kubeconfig_for(place.namespace, "default")
    for options in ((), ("-w",)):
        result = status(place, "--kubeconfig", weak, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"you may not list the pods of namespace {place.namespace}: " in result.stderr
        assert "Ask for a role with list and watch of pods and services" in result.stderr
    assert "-n NAME" in status(place, "--kubeconfig", weak, "-A").stderr


def test_credential_that_is_refused_ends_with_two(place: Place, tmp_path: Path) -> None:
    file = write_kubeconfig(tmp_path / "old", url=place.cluster.url, ca=place.cluster.ca, token="expired")
    result = status(place, "--kubeconfig", file)
    assert result.exit_code == 2
    assert f"{place.cluster.url} does not accept your credential; log in again" in result.stderr


def test_server_that_does_not_answer_ends_with_two(tmp_path: Path) -> None:
    with scripted(lambda request: request.hang_up()) as server:
        kubeconfig = server.kubeconfig(tmp_path / "config")
        result = run("status", "--kubeconfig", kubeconfig)
        assert result.exit_code == 2
        assert f"no answer from {server.url} (" in result.stderr
        assert "does `kubectl cluster-info` get one?" in result.stderr


def test_server_that_fails_ends_with_two(tmp_path: Path) -> None:
    def answer(request: Request) -> None:
        request.send(500, {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is away"})

    with scripted(answer) as server:
        result = run("status", "--kubeconfig", server.kubeconfig(tmp_path / "config"))
    assert result.exit_code == 2
    assert "the API server cannot list the pods of namespace shop: " in result.stderr
    assert "etcd is away" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--kubeconfig", "{tmp}/none"), "no kubeconfig at "),
        (("-n", "../kube-system"), "allowed: the name of a namespace"),
        (("--shared-rings", "shared"), "is no ring with its namespace"),
        (("-o", "yaml"), "is not one of"),
    ],
)
def test_wrong_usage_ends_with_two(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    result = run("status", *(option.replace("{tmp}", str(tmp_path)) for option in options))
    assert result.exit_code == 2
    assert sentence in result.stderr


# -w -------------------------------------------------------------------------------------------------------------------


def watch(place: Place, *options: str) -> list[str]:
    kubeconfig = str(place.cluster.kubeconfig)
    return [
        str(SCRIPTS / "habitat-webhook"),
        "status",
        "-w",
        "--kubeconfig",
        kubeconfig,
        "-n",
        place.namespace,
        *options,
    ]


def test_following_appends_a_block_with_its_time_when_something_changes(place: Place, pair: dict[str, str]) -> None:
    with following(watch(place)) as process:
        first = process.until("nothing is wrong")
        assert first.startswith("--- 20")
        assert first.splitlines()[1] == f"ring default in namespace {place.namespace}: 2 pods, 2 seeded, 2 ready"
        place.tell("web-0", [pair["web-1"], "192.0.2.9"])
        changed = process.until("within seconds")
        assert changed.lstrip().startswith("--- 20")
        assert "error DeadPeer: 192.0.2.9" in changed
        place.cluster.kubectl("delete", "service", "habitat-ring-default", "-n", place.namespace)
        assert "ServiceMissing" in process.until("2 errors")
        # Not shown, so no block of its own: the next one comes from the label that is.
        place.cluster.kubectl("annotate", "pod", "web-1", "-n", place.namespace, "note=mine")
        place.create(labelled_pod("hand", place.namespace), "pods")
        between = process.until("3 errors")
        assert between.count("--- 20") == between.count("NotInjected")
        assert process.end(signal.SIGINT) == 130
        assert process.errors() == ""


def test_following_in_json_gives_one_document_for_each_change(place: Place, pair: dict[str, str]) -> None:
    with following(watch(place, "-o", "json")) as process:
        first = json.loads(process.until("\n}\n"))
        assert (first["ok"], len(first["rings"][0]["pods"])) == (True, 2)
        place.tell("web-0", ["192.0.2.9"])
        second = json.loads(process.until("\n}\n"))
        assert codes(second) == ["NoPeer", "DeadPeer"]
        assert process.end(signal.SIGINT) == 130


def test_following_on_a_terminal_draws_in_place_in_colour(place: Place, pair: dict[str, str]) -> None:
    with following(watch(place), terminal=(24, 100)) as process:
        first = process.until("nothing is wrong")
        assert first.startswith("\x1b[H\x1b[2J")
        assert "\x1b[1mring default\x1b[0m" in first
        place.tell("web-0", [pair["web-1"], "192.0.2.9"])
        second = process.until("what does its log say?")
        assert "\x1b[H\x1b[2J" in second
        assert "\x1b[31merror DeadPeer:\x1b[0m" in second
        assert process.end(signal.SIGINT) == 130


def test_following_on_a_small_terminal_keeps_the_beginning(place: Place, pair: dict[str, str]) -> None:
    with following(watch(place), terminal=(4, 100), NO_COLOR="1") as process:
        drawn = process.until("without -w")
        assert drawn.replace("\r", "").removeprefix("\x1b[H\x1b[2J").splitlines() == [
            f"ring default in namespace {place.namespace}: 2 pods, 2 seeded, 2 ready",
            "├─ Service habitat-ring-default: present",
            "… 6 more lines: make the window larger, or ask without -w",
        ]
        assert process.end(signal.SIGINT) == 130


def test_following_says_when_the_server_does_not_answer_any_more(tmp_path: Path) -> None:
    def answer(request: Request) -> None:
        if "watch=true" in request.path:
            request.send(500, {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is away"})
        else:
            request.send(200, {"metadata": {"resourceVersion": "1"}, "items": []})

    with scripted(answer) as server:
        command = [str(SCRIPTS / "habitat-webhook"), "status", "-w"]
        with following([*command, f"--kubeconfig={server.kubeconfig(tmp_path / 'config')}"]) as process:
            text = process.until("etcd is away")
            assert "the cluster cannot be watched now, and this is what was known before: " in text
            assert "no pod of namespace shop is injected" in process.until("status -A")
            assert process.end(signal.SIGINT) == 130


def test_trouble_is_what_the_informers_say_and_ends_with_it() -> None:
    calls: list[str] = []
    trouble = Trouble(lambda: calls.append(trouble.text))
    trouble("debug", "informer synced", informer="pods0")
    trouble("debug", "informer interrupted", informer="pods0", error="410")
    trouble("warning", "informer interrupted", informer="pods0", error="refused")
    trouble("error", "informer failed", informer="services")
    trouble("info", "informer goes on", informer="pods0")
    trouble("info", "informer goes on", informer="pods1")
    trouble("info", "informer goes on", informer="services")
    assert calls == ["refused", "refused", "informer failed", ""]

"""What only a kubelet does: files, variables, probes and Secrets of a running pod."""

from __future__ import annotations

import pytest

from tests.controlplane.client import KubectlError
from tests.node.pods import Manifest, Pods, secret
from tests.node.rows import RING_KEY, TOML

FILES = "/hab/svc/web/files"
PROBES = ("readinessProbe", "startupProbe", "livenessProbe")


def probes(pods: Pods, name: str) -> list[Manifest]:
    container = pods.cluster.get("pod", name, f"--namespace={pods.namespace}")["spec"]["containers"][0]
    return [container[probe] for probe in PROBES]


@pytest.mark.parametrize("row", ["root-mounts", "1000-0-mounts", "42-42-read-only-mounts"])
def test_plain_and_hidden_files_are_copied_and_nothing_else(plain: Pods, row: str) -> None:
    plain.ready(row)
    listed = plain.run(row, "find", FILES, "-mindepth", "1").split()
    assert sorted(listed) == [f"{FILES}/{name}" for name in (".hidden", ".written", "a.pem")]
    assert plain.run(row, "cat", f"{FILES}/.hidden", f"{FILES}/a.pem") == "HA"


def test_toml_arrives_as_it_was_written(plain: Pods) -> None:
    plain.ready("config")
    assert plain.variable("config", "HAB_WEB") == TOML


def test_the_pods_address_and_the_peers_file_are_on_the_command_line(plain: Pods) -> None:
    address = plain.ready("root")["podIP"]
    said = plain.log("root").splitlines()[0]
    assert said == f"args: run acme/web --peer-watch-file=/habitat/peers --sys-ip-address={address}"


def test_peers_patched_on_a_running_pod_reach_its_file(plain: Pods) -> None:
    plain.ready("root")
    assert plain.run("root", "cat", "/habitat/peers") == ""
    plain.kubectl("annotate", "pod", "root", "habitat.sh/peers=10.9.8.7\n10.9.8.6")
    assert plain.until("root", "/habitat/peers", "10.9.8.7") == "10.9.8.7\n10.9.8.6"


def test_user_toml_follows_its_secret(plain: Pods) -> None:
    folder, name = "/hab/user/web/config", "1000-1000-read-only-mounts"
    plain.ready(name)
    assert plain.run(name, "ls", folder) == "user.toml\n"
    assert plain.run(name, "cat", f"{folder}/user.toml") == "a = 1\n"
    plain.apply([secret("conf", **{"user.toml": "a = 2\n", "other": "x"})])
    plain.kubectl("annotate", "pod", name, "habitat.sh/config-generation=2")
    assert plain.until(name, f"{folder}/user.toml", "a = 2") == "a = 2\n"


def test_probes_know_the_gateways_token(plain: Pods) -> None:
    plain.ready("token")
    assert all("exec" in probe for probe in probes(plain, "token"))
    with pytest.raises(KubectlError, match="401"):
        plain.run("token", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9631/")


def test_without_a_token_the_kubelet_asks_by_itself_also_at_another_port(plain: Pods) -> None:
    plain.ready("config")
    assert [probe["httpGet"]["port"] for probe in probes(plain, "config")] == [9700, 9700, 9700]


def test_a_native_sidecar_gets_its_files_before_it_starts(plain: Pods) -> None:
    status = plain.ready("native-sidecar")
    states = [(c["name"], *c["state"]) for c in status["initContainerStatuses"]]
    assert states == [("setup", "terminated"), ("habitat-files", "terminated"), ("web", "running")]
    assert plain.run("native-sidecar", "cat", f"{FILES}/a.pem") == "A"


def test_a_pod_starts_by_itself_when_its_ring_key_is_made_later(plain: Pods) -> None:
    def waits(status: Manifest) -> bool:
        reasons = [c["state"].get("waiting", {}).get("reason") for c in status.get("containerStatuses", ())]
        return reasons == ["CreateContainerConfigError"]

    plain.wait("late-key", "waiting for its Secret", waits)
    plain.apply([secret("late", **{"ring-key": RING_KEY})])
    plain.ready("late-key")
    assert plain.variable("late-key", "HAB_RING_KEY") == RING_KEY

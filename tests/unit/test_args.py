"""The container's args and the way to its peers: the user's words first, ours behind them."""

from __future__ import annotations

import pytest

from tests.unit.making import PEERS, SYS, a_pod, env, injected, mounts, problems, with_redis
from webhook.inject import Situation, apply

# args -----------------------------------------------------------------------------------------------------------------


def test_flags_stand_first_when_the_container_has_no_args() -> None:
    container, _ = injected(a_pod(with_redis(group="blue", topology="leader")))
    assert container["args"] == ["--group=blue", "--topology=leader", PEERS, SYS]
    assert "command" not in container


def test_explicit_package_is_run_before_the_flags() -> None:
    container, _ = injected(a_pod({"package": "core/redis/7", "license": "accept"}))
    assert container["args"] == ["run", "core/redis/7", PEERS, SYS]
    behind_flags, _ = injected(a_pod({"package": "core/redis", "license": "accept"}, args=["-v"]))
    assert behind_flags["args"] == ["run", "core/redis", "-v", PEERS, SYS]
    behind_run, _ = injected(a_pod({"package": "core/redis", "license": "accept"}, args=["run", "--no-color"]))
    assert behind_run["args"] == ["run", "core/redis", "--no-color", PEERS, SYS]


def test_users_args_stay_in_front_and_are_completed() -> None:
    users = ["run", "core/redis", "--peer-watch-file", "/x", "-t", "leader"]
    container, outcome = injected(a_pod(with_redis(topology="standalone", org="acme"), args=users))
    assert container["args"] == [*users, "--org=acme", SYS]
    assert "--topology in args wins over the annotation habitat.sh/topology" in outcome.warnings
    assert container["readinessProbe"]["httpGet"]["path"] == "/services/redis/default/acme/health"


def test_flags_go_before_a_lone_double_dash() -> None:
    container, _ = injected(a_pod(args=["run", "-v", "--", "core/redis"]))
    assert container["args"] == ["run", "-v", PEERS, SYS, "--", "core/redis"]


def test_values_are_escaped_against_the_kubelets_expansion() -> None:
    container, _ = injected(a_pod(with_redis(config='password = "a$$b$(POD_IP)"')))
    assert env(container)["HAB_REDIS"] == 'password = "a$$$$b$$(POD_IP)"'


def test_group_of_the_users_args_reaches_probe_and_label() -> None:
    pod = a_pod(args=["--group=$(COLOUR)"], env=[{"name": "COLOUR", "value": "blue"}])
    container, outcome = injected(pod)
    assert container["readinessProbe"]["httpGet"]["path"] == "/services/redis/blue/health"
    assert apply(pod, outcome.operations)["metadata"]["labels"]["habitat.sh/group"] == "blue"


def test_service_is_inferred_from_package_or_args() -> None:
    for pod in (
        a_pod({"package": "acme/web", "license": "accept"}),
        a_pod({"inject": "true"}, args=["run", "acme/web"]),
    ):
        container, _ = injected(pod)
        assert container["readinessProbe"]["httpGet"]["path"].startswith("/services/web/")


@pytest.mark.parametrize("args", [["--group=a", "--group=b"], ["bash"], ["run", "a/b", "c/d"], ["--group"], ["run"]])
def test_args_that_cannot_work_are_refused_at_admission(args: list[str]) -> None:
    assert problems(a_pod(args=args))


def test_own_command_needs_a_promise() -> None:
    [said] = problems(a_pod(command=["/entry.sh"]))
    assert said.startswith("spec.containers[app].command:")
    container, _ = injected(a_pod(with_redis(entrypoint="custom"), command=["/entry.sh"]))
    assert container["command"] == ["/entry.sh"]
    injected(a_pod(command=["/init.sh"]))


# discovery ------------------------------------------------------------------------------------------------------------


def test_managed_discovery_mounts_the_peers_as_a_directory() -> None:
    pod = a_pod()
    container, outcome = injected(pod)
    assert mounts(container) == {"/habitat": "habitat-peers"}
    [volume] = apply(pod, outcome.operations)["spec"]["volumes"]
    [item] = volume["downwardAPI"]["items"]
    assert item == {"path": "peers", "fieldRef": {"fieldPath": "metadata.annotations['habitat.sh/peers']"}}


@pytest.mark.parametrize(
    ("annotations", "flag", "in_ring"),
    [
        ({"discovery": "dns"}, "--peer=habitat-ring-default.shop.svc.cluster.local", True),
        ({"discovery": "dns", "gossip-port": "7000"}, "--peer=habitat-ring-default.shop.svc.cluster.local:7000", True),
        ({"peer": "10.0.0.1,bastion:9638"}, "--peer=10.0.0.1", False),
        ({"discovery": "none"}, "--local-gossip-mode", False),
    ],
)
def test_discovery_modes(annotations: dict[str, str], flag: str, in_ring: bool) -> None:
    pod = a_pod(with_redis() | annotations)
    container, outcome = injected(pod, Situation(namespace="shop"))
    assert flag in container["args"]
    assert PEERS not in container["args"]
    assert "volumeMounts" not in container
    assert ("habitat.sh/ring" in apply(pod, outcome.operations)["metadata"]["labels"]) is in_ring
    assert ("HABITAT_RING" in env(container)) is in_ring


def test_local_gossip_has_neither_listen_address_nor_gossip_ports() -> None:
    container, _ = injected(a_pod(with_redis(discovery="none")))
    assert "HAB_LISTEN_GOSSIP" not in env(container)
    assert [p["name"] for p in container["ports"]] == ["hab-http"]


def test_users_own_peers_replace_the_file() -> None:
    container, outcome = injected(a_pod(with_redis(discovery="managed"), args=["--peer", "10.0.0.1"]))
    assert PEERS not in container["args"]
    assert "--peer in args wins over the annotation habitat.sh/discovery" in outcome.warnings

"""The model of the Supervisor is held to the facts: ring key, configuration, peers file, gateway (§0, §4–7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.supervisor import (
    RING_KEY,
    Exit,
    NeverReady,
    Ready,
    Request,
    Running,
    World,
    answer,
    env_name,
    judge,
    probe_passes,
    read_env_config,
    read_peers,
    ring_key_name,
    start,
    user_toml_path,
)
from tests.support.supervisor.shorthand import container, pod, run

OWN = "10.1.2.3"

# --- ring keys (§0, §7) --------------------------------------------------------------------------------------------


def test_a_ring_key_is_the_files_text_with_real_newlines() -> None:
    assert ring_key_name(RING_KEY) == "ring"
    assert isinstance(judge(pod(container(HAB_RING_KEY=RING_KEY)), "web"), Ready)


@pytest.mark.parametrize("text", ["", RING_KEY.replace("\n", "\\n"), "SYM-SEC-1\nring\n\nx", RING_KEY[:-1]])
def test_an_empty_or_broken_ring_key_exits_with_86(text: str) -> None:
    verdict = judge(pod(container(HAB_RING_KEY=text)), "web")
    assert isinstance(verdict, Exit)
    assert verdict.code == 86


def test_an_empty_ring_name_exits_with_86() -> None:
    verdict = judge(pod(container(HAB_RING="")), "web")
    assert isinstance(verdict, Exit)
    assert verdict.code == 86


# --- configuration (§0, §6) ----------------------------------------------------------------------------------------


def test_the_configurations_names_come_from_the_package() -> None:
    assert user_toml_path("my-web") == "/hab/user/my-web/config/user.toml"
    assert env_name("my-web") == "HAB_MY_WEB"


def test_the_environments_configuration_is_toml_or_a_json_object() -> None:
    assert read_env_config("port = 1") == {"port": 1}
    assert read_env_config('{"port": 1}') == {"port": 1}
    assert read_env_config("") == {}
    assert read_env_config("[1]\n x") is None


def test_broken_configuration_keeps_the_service_from_loading() -> None:
    assert isinstance(judge(pod(container(HAB_WEB="port =")), "web"), NeverReady)
    assert isinstance(judge(pod(container(HAB_WEB="port = 1")), "web"), Ready)


def test_a_group_with_a_dot_keeps_the_service_from_loading() -> None:
    assert isinstance(judge(pod(container("--group=a.b")), "web"), NeverReady)


def test_a_supervisor_without_an_ident_has_no_service() -> None:
    assert isinstance(judge(pod(container("run")), "web"), NeverReady)


def mounted_config(**mount: Any) -> dict[str, Any]:
    made = container() | {"volumeMounts": [{"name": "config", "mountPath": "/hab/user/web/config", **mount}]}
    return pod(made, volumes=[{"name": "config", "secret": {"secretName": "web-config"}}])


def test_user_toml_is_read_from_a_directory_mount_and_not_from_a_sub_path() -> None:
    broken = World(secrets={"web-config": {"user.toml": "port ="}})
    assert isinstance(judge(mounted_config(), "web", world=broken), NeverReady)
    assert isinstance(judge(mounted_config(subPath="user.toml"), "web", world=broken), Ready)
    assert isinstance(judge(mounted_config(), "web"), Ready)


# --- the peers file (§0, first table) ------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_peers_file_waits(content: str | None) -> None:
    assert read_peers(content).fate == "waits"


@pytest.mark.parametrize("content", ["10.0.0.1", "10.0.0.1\n", "10.0.0.1\r\n10.0.0.2\r\n", "10.0.0.1:99", "db.local\n"])
def test_addresses_with_one_trailing_newline_none_or_crlf_are_fine(content: str) -> None:
    assert read_peers(content, own=OWN).fate == "seeks"


@pytest.mark.parametrize("content", [f"{OWN}\n", f"{OWN}:9638", f"{OWN}\n10.0.0.9\n"])
def test_only_itself_or_itself_and_dead_ones_make_an_island(content: str) -> None:
    assert read_peers(content, own=OWN, alive=frozenset({"10.0.0.1"})).fate == "island"


def test_its_own_address_beside_a_live_one_is_harmless() -> None:
    assert read_peers(f"{OWN}\n10.0.0.1\n", own=OWN, alive=frozenset({"10.0.0.1"})).fate == "seeks"


def test_a_dead_address_alone_is_read_again() -> None:
    assert read_peers("10.0.0.9\n", own=OWN, alive=frozenset()).fate == "seeks"


@pytest.mark.parametrize(
    "content",
    [
        "\n",
        "10.0.0.1\n\n",
        "\n10.0.0.1",
        "10.0.0.1\n\n10.0.0.2",
        "# peers\n10.0.0.1",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1 10.0.0.2",
        "10.0.0.1:port",
        "10.0.0.1:99999",
        "::1",
        "fd00::1\n",
    ],
)
def test_a_peers_file_with_anything_else_exits_with_86(content: str) -> None:
    assert read_peers(content).fate == "exit 86"


def test_an_ipv6_address_with_a_port_makes_a_zombie() -> None:
    assert read_peers("[fd00::1]:9638\n").fate == "zombie"


def test_an_unresolvable_name_stalls_and_then_exits() -> None:
    world = World(dead_names=frozenset({"gone.example"}))
    assert read_peers("gone.example\n", world=world).fate == "stalls then exit 86"


def test_the_peers_file_is_found_through_the_downward_api() -> None:
    item = {"path": "peers", "fieldRef": {"fieldPath": "metadata.annotations['habitat.sh/peers']"}}
    made = container("--peer-watch-file=/habitat/peers")
    made["volumeMounts"] = [{"name": "p", "mountPath": "/habitat"}]
    watched = pod(made, volumes=[{"name": "p", "downwardAPI": {"items": [item]}}])
    assert isinstance(judge(watched, "web"), Ready)
    watched["metadata"]["annotations"] = {"habitat.sh/peers": OWN}
    assert isinstance(judge(watched, "web"), NeverReady)
    watched["metadata"]["annotations"] = {"habitat.sh/peers": "10.0.0.1\n\n"}
    assert isinstance(judge(watched, "web"), Exit)


# --- the gateway (§0 "Gateway", §5) --------------------------------------------------------------------------------

HEALTH = "/services/web/default/health"


def test_health_maps_to_the_observed_codes() -> None:
    supervisor = run()
    request = Request(HEALTH, 9631)
    states = ["starting", "ok", "warning", "critical", "unknown", "not loaded"]
    assert [answer(supervisor, request, state) for state in states] == [None, 200, 200, 503, 500, 404]  # type: ignore[arg-type]


def test_the_root_answers_whatever_the_service_does() -> None:
    assert answer(run(), Request("/", 9631), "unknown") == 200


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_head_and_post_are_404(method: str) -> None:
    assert answer(run(), Request(HEALTH, 9631, method=method)) == 404


@pytest.mark.parametrize("path", ["/services/other/default/health", "/services/web/blue/health", "/services/web", "/x"])
def test_a_wrong_path_is_404(path: str) -> None:
    assert answer(run(), Request(path, 9631)) == 404


def test_with_an_organisation_the_path_must_name_it() -> None:
    supervisor = run("--org=acme")
    assert answer(supervisor, Request(HEALTH, 9631)) == 404
    assert answer(supervisor, Request("/services/web/default/acme/health", 9631)) == 200


def test_a_token_guards_every_path() -> None:
    supervisor = run(HAB_SUP_GATEWAY_AUTH_TOKEN="t0ken")
    assert answer(supervisor, Request("/", 9631)) == 401
    assert answer(supervisor, Request("/", 9631, headers={"Authorization": "bearer t0ken"})) == 401
    assert answer(supervisor, Request("/", 9631, headers={"Authorization": "Bearer t0ken"})) == 200
    assert answer(run(HAB_SUP_GATEWAY_AUTH_TOKEN=""), Request("/", 9631)) == 200


def test_nobody_answers_where_the_gateway_does_not_listen() -> None:
    assert answer(run("--http-disable"), Request("/", 9631)) is None
    assert answer(run("--listen-http=0.0.0.0:8080"), Request("/", 9631)) is None
    assert answer(run("--listen-http=127.0.0.1:9631"), Request("/", 9631)) is None
    assert answer(run("--listen-http=127.0.0.1:9631"), Request("/", 9631, from_outside=False)) == 200


def test_tls_needs_https_and_no_client_certificate() -> None:
    plain, tls = Request("/", 9631), Request("/", 9631, scheme="HTTPS")
    assert answer(run(), tls) is None
    served = run("--key=/k", "--certs=/c")
    assert (answer(served, plain), answer(served, tls)) == (None, 200)
    assert answer(run("--key=/k", "--certs=/c", "--ca-certs=/a"), tls) is None


WGET = 'wget -q -O /dev/null --header "Authorization: Bearer $HAB_SUP_GATEWAY_AUTH_TOKEN" http://127.0.0.1:9631'


@pytest.mark.parametrize(
    ("probe", "state", "passes"),
    [
        ({"httpGet": {"path": HEALTH, "port": 9631}}, "ok", False),
        ({"exec": {"command": ["/bin/sh", "-c", WGET + HEALTH]}}, "ok", True),
        ({"exec": {"command": ["/bin/sh", "-c", "exec " + WGET + HEALTH]}}, "critical", False),
        ({"exec": {"command": ["/bin/sh", "-c", WGET + "/"]}}, "unknown", True),
        ({"exec": {"command": ["/bin/sh", "-c", WGET.replace("-q", "-q -T 1") + "/"]}}, "ok", False),
        ({"exec": {"command": ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9631/"]}}, "ok", False),
        ({"exec": {"command": ["/bin/true"]}}, "ok", None),
        ({"httpGet": {"path": "/", "port": 8080}}, "ok", None),
        ({"tcpSocket": {"port": "http-gw"}}, "unknown", True),
    ],
)
def test_a_probe_with_a_token_needs_the_shells_variable(probe: dict[str, Any], state: Any, passes: object) -> None:
    made = container(HAB_SUP_GATEWAY_AUTH_TOKEN="t0ken") | {"ports": [{"name": "http-gw", "containerPort": 9631}]}
    started = start(made)
    assert isinstance(started, Running)
    assert probe_passes(probe, started, made, state) is passes


def test_service_health_as_liveness_would_kill_a_waiting_pod() -> None:
    made = container() | {"livenessProbe": {"httpGet": {"path": HEALTH, "port": 9631}}}
    assert isinstance(judge(pod(made), "web"), NeverReady)
    made = container() | {"readinessProbe": {"httpGet": {"path": HEALTH, "port": 9631}}}
    assert isinstance(judge(pod(made), "web"), Ready)

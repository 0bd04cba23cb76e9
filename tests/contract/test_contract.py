"""The injected command line and environment, as the Supervisor reads them (supervisor.md §0, §1, §3, §4, §7–10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.making import IMAGE, Injected, args, env, injected, outcome_of, pod_of, ready
from tests.support.supervisor import RING_KEY, Image, Ready, World
from webhook.inject import Reason, Settings, Situation, apply, inject


def test_a_plain_container_runs_the_images_own_package() -> None:
    supervisor = ready().supervisor
    assert supervisor.ident == "core/web"
    assert supervisor.flags["peer-watch-file"] == "/habitat/peers"
    assert supervisor.flags["sys-ip-address"] == World().pod_ip


@pytest.mark.parametrize(
    ("annotations", "flag", "value"),
    [
        ({"group": "blue"}, "group", "blue"),
        ({"org": "acme"}, "org", "acme"),
        ({"topology": "leader"}, "topology", "leader"),
        ({"update-strategy": "rolling"}, "strategy", "rolling"),
        ({"update-strategy": "rolling", "update-condition": "track-channel"}, "update-condition", "track-channel"),
        ({"channel": "stable"}, "channel", "stable"),
        ({"builder-url": "https://bldr.example.com"}, "url", "https://bldr.example.com"),
        ({"bind": "a:b.c, d:e.f@g"}, "bind", ("a:b.c", "d:e.f@g")),
        ({"binding-mode": "relaxed"}, "binding-mode", "relaxed"),
        ({"health-check-interval": "5"}, "health-check-interval", 5),
        ({"shutdown-timeout": "7"}, "shutdown-timeout", 7),
        ({"service-update-period": "90"}, "service-update-period", 90),
        ({"log-format": "json"}, "json-logging", True),
        ({"event-meta": "a=b,c=d"}, "event-meta", ("a=b", "c=d")),
        ({"gossip-port": "7001"}, "listen-gossip", ("0.0.0.0", 7001)),
        ({"http-port": "7002"}, "listen-http", ("0.0.0.0", 7002)),
        ({"ctl-port": "7003"}, "listen-ctl", ("127.0.0.1", 7003)),
        ({"ring-key": "key-secret"}, "ring-key", RING_KEY),
        ({"ring-key": "managed"}, "ring-key", RING_KEY),
        ({"discovery": "none"}, "local-gossip-mode", True),
        ({"peer": "10.0.0.1, hab.example.com:99"}, "peer", (("10.0.0.1", 9638), ("hab.example.com", 99))),
        ({"discovery": "dns"}, "peer", (("habitat-ring-default.default.svc.cluster.local", 9638),)),
        ({"discovery": "dns", "ring": "pay"}, "peer", (("habitat-ring-pay.default.svc.cluster.local", 9638),)),
        ({"discovery": "dns", "ring": "pay.default"}, "peer", (("habitat-ring-pay.default.svc.cluster.local", 9638),)),
    ],
)
def test_an_annotation_arrives_as_the_flag_it_stands_for(annotations: dict[str, str], flag: str, value: object) -> None:
    for container in (
        {},
        args("run", "core/web"),
        args("--permanent-peer"),
        args("run", "core/web", "-v", "--no-color"),
    ):
        assert ready(container, annotations).supervisor.flags[flag] == value


def test_the_event_stream_arrives_with_its_token() -> None:
    stream = {
        "event-stream-url": "nats://automate.example.com:4222",
        "event-stream-application": "shop",
        "event-stream-environment": "prod",
        "event-stream-site": "berlin",
        "event-stream-token-secret": "automate",
    }
    flags = ready({}, stream).supervisor.flags
    assert flags["event-stream-url"] == "nats://automate.example.com:4222"
    assert flags["event-stream-site"] == "berlin"
    assert flags["event-stream-token"] == "token-of-automate"


# --- package, service, args of every shape -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "container", [{}, args("--no-color"), args("run", "core/web"), args("run", "-v", "core/web"), args("-v", "--org=a")]
)
def test_the_annotated_package_is_run_once(container: dict[str, Any]) -> None:
    supervisor = ready(container, {"package": "core/web", "service": ""}).supervisor
    assert supervisor.ident == "core/web"


def test_another_package_than_the_images_is_run() -> None:
    made = ready({}, {"package": "acme/shop/1.2", "service": ""})
    assert made.supervisor.ident == "acme/shop/1.2"
    assert made.labels["habitat.sh/service"] == "shop"


def test_the_service_is_inferred_from_the_containers_own_words() -> None:
    made = ready(args("run", "acme/shop", "--group", "blue"), {"service": "", "inject": "true"})
    assert made.labels["habitat.sh/service"] == "shop"
    assert made.labels["habitat.sh/group"] == "blue"


def test_run_without_a_package_is_completed_or_refused() -> None:
    assert ready(args("run", "--no-color"), {"package": "core/web"}).supervisor.ident == "core/web"
    assert outcome_of(args("run", "--no-color")).reason is Reason.INVALID


LEGACY = Image(ident="core/web", version=(0, 55, 0))


def test_legacy_start_keeps_its_word_and_gets_flags_behind_it() -> None:
    made = injected(args("start", "core/web", "--group", "blue"), {"topology": "leader"})
    words = made.container["args"]
    assert words[:4] == ["start", "core/web", "--group", "blue"]
    assert "--topology=leader" in words
    assert made.labels["habitat.sh/group"] == "blue"


def test_legacy_start_gets_no_flag_that_its_image_does_not_know() -> None:
    """`start` was the word of images up to 0.55 (§3); --sys-ip-address came with 0.90 (§1.5), and is fatal there."""
    made = injected(args("start", "core/web"), {}, image=LEGACY)
    assert made.supervisor.ident == "core/web"


def test_an_own_command_that_passes_its_args_on_gets_them() -> None:
    image = Image(ident="core/web", entrypoint_passes_args=True)
    made = ready({"command": ["/start.sh"]}, {"entrypoint": "custom", "group": "blue"}, image=image)
    assert made.supervisor.group == "blue"
    assert made.container["command"] == ["/start.sh"]


def test_an_own_command_without_that_promise_is_refused() -> None:
    assert outcome_of({"command": ["/start.sh"]}).reason is Reason.INVALID


def test_the_images_own_entrypoint_as_a_command_gets_args() -> None:
    assert ready({"command": ["/init.sh"]}).supervisor.ident == "core/web"
    assert ready({"command": ["/init.sh"], "args": ["run", "core/web"]}).supervisor.ident == "core/web"


@pytest.mark.parametrize("command", [["hab", "sup", "run", "core/web"], ["/bin/hab", "sup", "run"]])
def test_a_hand_written_supervisor_is_left_alone(command: list[str]) -> None:
    assert outcome_of({"command": command}).reason is Reason.HAND_WRITTEN_SUPERVISOR


# --- the user's own flags win --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "annotations", "flag", "value"),
    [
        (["--group", "blue"], {"group": "green"}, "group", "blue"),
        (["--group=blue"], {"group": "green"}, "group", "blue"),
        (["-t", "leader"], {"topology": "standalone"}, "topology", "leader"),
        (["-tleader"], {"topology": "standalone"}, "topology", "leader"),
        (["-s", "none"], {"update-strategy": "rolling"}, "strategy", "none"),
        (["-u", "https://a.example"], {"builder-url": "https://b.example"}, "url", "https://a.example"),
        (["-vt=leader"], {"topology": "standalone"}, "topology", "leader"),
        (["--health-check-interval", "9"], {"health-check-interval": "5"}, "health-check-interval", 9),
        (["--listen-http=0.0.0.0:8080"], {"http-port": "7002"}, "listen-http", ("0.0.0.0", 8080)),
        (["--listen-gossip=0.0.0.0:8081"], {"gossip-port": "7001"}, "listen-gossip", ("0.0.0.0", 8081)),
        (["--listen-ctl", "127.0.0.1:8082"], {"ctl-port": "7003"}, "listen-ctl", ("127.0.0.1", 8082)),
        (["--sys-ip-address=192.0.2.1"], {}, "sys-ip-address", "192.0.2.1"),
        (["--json-logging"], {"log-format": "json"}, "json-logging", True),
        (["--channel", "dev"], {"channel": "stable"}, "channel", "dev"),
    ],
)
def test_the_users_flag_wins_over_the_annotation(
    words: list[str], annotations: dict[str, str], flag: str, value: object
) -> None:
    for shape in ([], ["run", "core/web"]):
        made = ready(args(*shape, *words), annotations)
        assert made.supervisor.flags[flag] == value


def test_the_users_binds_and_the_annotated_ones_add_up() -> None:
    made = ready(args("run", "core/web", "--bind", "a:b.c", "--no-color"), {"bind": "a:b.c,d:e.f"})
    assert set(made.supervisor.flags["bind"]) == {"a:b.c", "d:e.f"}


@pytest.mark.parametrize(
    "words",
    [
        ["--peer", "10.0.0.1"],
        ["--peer=10.0.0.1"],
        ["--peer-watch-file=/etc/peers"],
        ["--local-gossip-mode"],
    ],
)
def test_the_users_way_to_peers_replaces_ours(words: list[str]) -> None:
    for chosen in ({}, {"ring": "pay"}, {"discovery": "managed"}):
        ready(args("run", "core/web", *words), chosen)


@pytest.mark.parametrize(
    "words",
    [
        ["--peer", "10.0.0.1"],
        ["--peer-watch-file=/etc/peers"],
        ["--local-gossip-mode"],
        ["--listen-gossip=0.0.0.0:8638"],
    ],
)
@pytest.mark.parametrize(
    "annotations",
    [{"discovery": "none"}, {"discovery": "dns"}, {"discovery": "managed", "gossip-port": "7001"}],
    ids=str,
)
def test_no_two_ways_to_peers_are_ever_given(words: list[str], annotations: dict[str, str]) -> None:
    """§1.1: peer, peer-watch-file and local-gossip-mode exclude each other, the last one listen-gossip too: exit 2."""
    container = args(*words)
    if outcome_of(container, annotations).reason is Reason.INJECTED:
        ready(container, annotations)


@pytest.mark.parametrize("words", [["--peer-watch-file=/etc/peers"], ["--peer=10.0.0.9"], ["--local-gossip-mode"]])
def test_an_annotated_peer_yields_to_the_users_own_way_with_a_warning(words: list[str]) -> None:
    """design.md §6: the user always wins; where that contradicts an annotation a warning says so."""
    made = ready(args(*words), {"peer": "10.0.0.1"})
    assert any("peer" in warning or "gossip" in warning for warning in made.outcome.warnings)


@pytest.mark.parametrize("flag", ["--bind", "--event-meta"])
def test_an_ident_that_a_flag_swallows_is_refused(flag: str) -> None:
    """§1.3: `run --bind a:b.c core/web` is exit 2 by itself; completing it with a package makes it no better."""
    value = {"--bind": "a:b.c", "--event-meta": "a=b"}[flag]
    for chosen in ({}, {"package": "core/web"}):
        assert outcome_of(args("run", flag, value, "core/web"), chosen).reason is Reason.INVALID


@pytest.mark.parametrize(
    "words",
    [
        ["--group=a", "--group=b"],
        ["-vv"],
        ["--not-a-flag"],
        ["--topology=ring"],
        ["--bind=redis"],
        ["--bind="],
        ["--event-meta=a"],
        ["--health-check-interval=1s"],
        ["--sys-ip-address=node-1"],
        ["--listen-http=8080"],
        ["--peer=10.0.0.1", "--peer-watch-file=/p"],
        ["--certs=/c"],
        ["core/web"],
        ["--no-color", "core/web"],
        ["--group"],
        ["--help"],
    ],
)
def test_args_that_exit_with_2_by_themselves_are_refused_or_left_to_the_user(words: list[str]) -> None:
    """Either a problem names them, or they are the user's alone: never an injection that hides or changes them."""
    outcome = outcome_of(args(*words))
    if outcome.reason is Reason.INJECTED:
        made = injected(args(*words))
        assert [word for word in made.container["args"] if word in words] == words
    else:
        assert any("args" in problem.where for problem in outcome.problems)


# --- the user's own variables win ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "annotations", "flag", "seen"),
    [
        ("HAB_LISTEN_HTTP", "0.0.0.0:8080", {"http-port": "7002"}, "listen-http", ("0.0.0.0", 8080)),
        ("HAB_LISTEN_GOSSIP", "0.0.0.0:8081", {"gossip-port": "7001"}, "listen-gossip", ("0.0.0.0", 8081)),
        ("HAB_LISTEN_CTL", "127.0.0.1:8082", {"ctl-port": "7003"}, "listen-ctl", ("127.0.0.1", 8082)),
        ("HAB_RING_KEY", RING_KEY, {"ring-key": "other"}, "ring-key", RING_KEY),
    ],
)
def test_the_users_variable_wins_over_the_annotation(
    variable: str, value: str, annotations: dict[str, str], flag: str, seen: object
) -> None:
    assert ready(env(**{variable: value}), annotations).supervisor.flags[flag] == seen


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "POD_IP", "value": "$(STATUS_IP)"},
        {"name": "POD_IP", "value": "web-0.web"},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
        {"name": "POD_IP", "valueFrom": {"configMapKeyRef": {"name": "net", "key": "ip"}}},
    ],
    ids=str,
)
def test_a_variable_pod_ip_of_the_users_never_breaks_the_command_line(entry: dict[str, Any]) -> None:
    """§0: --sys-ip-address takes a bare address only; what the user keeps in POD_IP is the user's affair."""
    made = ready({"env": [entry]})
    assert made.container["env"][0] == entry


def test_a_variable_pod_ip_that_is_the_address_is_used() -> None:
    entry = {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
    assert ready({"env": [entry]}).supervisor.flags["sys-ip-address"] == World().pod_ip


def test_a_shared_ring_arrives_as_a_peer_in_its_own_namespace_and_a_key_in_the_pods() -> None:
    pod = pod_of({}, {"ring": "shared.infra", "ring-key": "managed", "discovery": "dns"})
    outcome = inject(pod, Situation(namespace="shop", settings=Settings(shared_rings=frozenset({"shared.infra"}))))
    made = Injected(pod, outcome, apply(pod, outcome.operations), IMAGE)
    assert isinstance(made.verdict, Ready)
    assert made.supervisor.flags["peer"] == (("habitat-ring-shared.infra.svc.cluster.local", 9638),)
    assert made.supervisor.flags["ring-key"] == RING_KEY


@pytest.mark.parametrize("variable", ["HAB_LISTEN_GOSSIP", "HAB_LISTEN_HTTP", "HAB_LISTEN_CTL"])
def test_an_empty_bound_variable_of_the_users_is_refused_or_starts(variable: str) -> None:
    """§0: set but empty is exit 2."""
    container = env(**{variable: ""})
    if outcome_of(container).reason is Reason.INJECTED:
        ready(container)


def test_ring_and_ring_key_are_never_given_together() -> None:
    """§0: HAB_RING with HAB_RING_KEY is exit 2."""
    for container in (env(HAB_RING="x"), args("--ring=x"), args("-r", "x")):
        outcome = outcome_of(container, {"ring-key": "managed"})
        assert outcome.reason is Reason.INVALID or "ring-key" not in str(outcome.operations)

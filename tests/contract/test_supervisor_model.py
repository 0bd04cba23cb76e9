"""The model of the Supervisor is held to the facts: how an image starts and reads its line (§0, §1, §3)."""

from __future__ import annotations

import pytest

from tests.support.supervisor import RING_KEY, Exit, Foreign, Image, Running, World, judge, start
from tests.support.supervisor.shorthand import container, exit_code, pod, run

# --- the image's entrypoint (§3) -----------------------------------------------------------------------------------


def test_no_args_at_all_run_the_images_own_ident() -> None:
    assert run().ident == "core/web"


def test_flags_alone_get_the_ident_before_them() -> None:
    supervisor = run("--group=blue")
    assert (supervisor.ident, supervisor.group) == ("core/web", "blue")


def test_the_ident_before_the_flags_keeps_a_swallowing_flag_harmless() -> None:
    supervisor = run("--peer", "10.0.0.1", "10.0.0.2")
    assert supervisor.ident == "core/web"
    assert supervisor.flags["peer"] == (("10.0.0.1", 9638), ("10.0.0.2", 9638))


def test_an_explicit_run_keeps_its_own_ident() -> None:
    assert run("run", "acme/shop/1.2", "--topology=leader").ident == "acme/shop/1.2"


def test_an_entrypoint_without_args_exits_with_2() -> None:
    assert start(container() | {"command": ["/init.sh"]}) == Exit(2, "hab sup without a subcommand")


def test_an_ident_alone_exits_with_2() -> None:
    assert exit_code("core/web") == 2


def test_flags_first_plus_an_ident_exit_with_2() -> None:
    assert exit_code("--group=blue", "core/web") == 2


@pytest.mark.parametrize("word", ["-h", "--help", "help", "-V", "--version"])
def test_a_first_word_that_asks_for_help_prints_it_and_exits_with_0(word: str) -> None:
    assert exit_code(word, HAB_LICENSE="-" if word != "help" else "accept") == 0


def test_another_subcommand_is_no_supervisor() -> None:
    assert isinstance(start(container("sh")), Foreign)


def test_an_own_command_is_not_judged() -> None:
    assert isinstance(start(container("--group=blue") | {"command": ["/start.sh"]}), Foreign)


def test_an_own_command_that_passes_its_args_on_is_judged_by_them() -> None:
    made = container("--group=blue") | {"command": ["/start.sh"]}
    started = start(made, image=Image(entrypoint_passes_args=True))
    assert isinstance(started, Running)
    assert started.group == "blue"


def test_hab_sup_as_a_command_is_a_supervisor() -> None:
    started = start(container("core/web") | {"command": ["/bin/hab", "sup", "run"]})
    assert isinstance(started, Running)


def test_an_image_from_before_0_56_starts_with_start() -> None:
    image = Image(version=(0, 55, 0))
    for args in ([], ["--group=blue"], ["start", "core/web"]):
        started = start({"name": "web", "args": args}, image=image)
        assert isinstance(started, Running), args
        assert started.ident == "core/web"


def test_start_means_nothing_to_a_present_image() -> None:
    assert exit_code("start", "core/web") == 2


def test_a_flag_newer_than_the_image_exits_with_2() -> None:
    made = {"name": "web", "args": ["start", "core/web", "--sys-ip-address=10.0.0.1"]}
    started = start(made, image=Image(version=(0, 55, 0)))
    assert isinstance(started, Exit)
    assert started.code == 2


# --- the licence (§0, §12) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer_given", ["-", "", "deny", "yes"])
def test_a_missing_licence_exits_with_1(answer_given: str) -> None:
    assert exit_code("--group=blue", HAB_LICENSE=answer_given) == 1


@pytest.mark.parametrize("answer_given", ["accept", "accept-no-persist"])
def test_an_accepted_licence_starts(answer_given: str) -> None:
    assert run(HAB_LICENSE=answer_given).ident == "core/web"


# --- clap (§0 "Command line", §1.1–1.3) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ["--group=a", "--group=a"],
        ["--group", "a", "--group=b"],
        ["-t", "leader", "--topology=leader"],
        ["--permanent-peer", "-I"],
        ["-vv"],
        ["--listen-http=0.0.0.0:1", "--listen-http=0.0.0.0:1"],
    ],
)
def test_a_repeated_single_valued_flag_or_switch_exits_with_2(args: list[str]) -> None:
    assert exit_code("run", "core/web", *args) == 2


def test_peer_and_bind_may_repeat() -> None:
    supervisor = run(
        "run", "core/web", "--peer=10.0.0.1", "--peer", "10.0.0.2:99", "--bind=a:b.c", "--bind=d:e.f g:h.i"
    )
    assert supervisor.flags["peer"] == (("10.0.0.1", 9638), ("10.0.0.2", 99))
    assert supervisor.flags["bind"] == ("a:b.c", "d:e.f", "g:h.i")


@pytest.mark.parametrize("flag", ["--peer", "--bind", "--event-meta", "--config-files"])
def test_a_multi_value_flag_swallows_the_ident_after_it(flag: str) -> None:
    value = {"--peer": "10.0.0.1", "--bind": "a:b.c", "--event-meta": "k=v", "--config-files": "/a.toml"}[flag]
    assert exit_code("run", flag, value, "core/web") == 2
    assert run("run", "core/web", flag, value).ident == "core/web"


@pytest.mark.parametrize("flag", ["--peer=10.0.0.1", "--bind=a:b.c", "--event-meta=k=v"])
def test_the_equals_form_lets_the_ident_follow(flag: str) -> None:
    assert run("run", flag, "core/web").ident == "core/web"


@pytest.mark.parametrize(
    "args",
    [
        ["--peer=10.0.0.1", "--peer-watch-file=/peers"],
        ["--local-gossip-mode", "--listen-gossip=0.0.0.0:9638"],
        ["--local-gossip-mode", "--peer=10.0.0.1"],
        ["--local-gossip-mode", "--peer-watch-file=/peers"],
        ["--ring=a", "--ring-key=b"],
    ],
)
def test_flags_that_contradict_each_other_exit_with_2(args: list[str]) -> None:
    assert exit_code(*args) == 2
    assert exit_code(*reversed(args)) == 2


def test_a_variable_counts_for_a_contradiction() -> None:
    assert exit_code(HAB_RING="a", HAB_RING_KEY=RING_KEY) == 2
    assert exit_code("--ring=a", HAB_RING_KEY=RING_KEY) == 2
    assert exit_code("--local-gossip-mode", HAB_LISTEN_GOSSIP="0.0.0.0:9638") == 2


@pytest.mark.parametrize(
    "args",
    [["--certs=/c"], ["--ca-certs=/c"], ["--ca-certs=/c", "--key=/k"], ["--event-stream-url=a:1"]],
)
def test_a_flag_without_the_company_it_needs_exits_with_2(args: list[str]) -> None:
    assert exit_code(*args) == 2


def test_the_event_stream_takes_its_token_from_the_environment() -> None:
    stream = ["--event-stream-url=a:1", "--event-stream-application=a", "--event-stream-environment=e"]
    assert exit_code(*stream) == 2
    assert exit_code(*stream, HAB_AUTOMATE_AUTH_TOKEN="") == 2
    assert run(*stream, HAB_AUTOMATE_AUTH_TOKEN="t").flags["event-stream-url"] == "a:1"


@pytest.mark.parametrize(
    "args",
    [
        ["--topology=Leader"],
        ["--strategy=AtOnce"],
        ["--update-condition=newest"],
        ["--binding-mode=loose"],
        ["--health-check-interval=-1"],
        ["--health-check-interval=1s"],
        ["--shutdown-timeout=4294967296"],
        ["--bind=redis.default"],
        ["--bind=a:b:c.d"],
        ["--bind=a:b"],
        ["--bind="],
        ["--event-meta=k"],
        ["--event-meta=k="],
        ["--url=bldr.habitat.sh"],
        ["--sys-ip-address=10.1.2.3:80"],
        ["--sys-ip-address=node-1"],
        ["--sys-ip-address=$(POD_IP)"],
        ["--listen-http=0.0.0.0"],
        ["--listen-gossip=localhost:9638"],
        ["--peer-watch-file="],
        ["--peer=::1"],
        ["--peer=[::1]:9638"],
        ["--peer=10.0.0.1:70000"],
        ["--group"],
        ["--group", "--org=a"],
        ["--group", "-x"],
        ["--no-color=true"],
        ["--not-a-flag"],
        ["-x"],
        ["--verbose"],
        ["--", "core/web"],
    ],
)
def test_a_value_or_word_that_clap_refuses_exits_with_2(args: list[str]) -> None:
    assert exit_code(*args) == 2


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--group", "blue"], "group", "blue"),
        (["--group="], "group", ""),
        (["--org=-x"], "org", "-x"),
        (["-tleader"], "topology", "leader"),
        (["-t=leader"], "topology", "leader"),
        (["-Iv"], "verbose", True),
        (["-vs", "rolling"], "strategy", "rolling"),
        (["--listen-http", "[::]:9631"], "listen-http", ("::", 9631)),
        (["--listen-ctl=localhost"], "listen-ctl", ("localhost", 9632)),
        (["--sys-ip-address", "fd00::1"], "sys-ip-address", "fd00::1"),
        (["--ctl-server-key", "--group=a"], "ctl-server-key", ()),
        (["--peer=db.example.com:1 10.0.0.1"], "peer", (("db.example.com", 1), ("10.0.0.1", 9638))),
    ],
)
def test_a_value_that_clap_takes_arrives(args: list[str], name: str, value: object) -> None:
    assert run("run", "core/web", *args).flags[name] == value


@pytest.mark.parametrize(
    "variable",
    [
        "HAB_LISTEN_GOSSIP",
        "HAB_LISTEN_HTTP",
        "HAB_LISTEN_CTL",
        "HAB_CACHE_KEY_PATH",
        "HAB_KEEP_LATEST_PACKAGES",
        "HAB_EVENT_STREAM_CONNECT_TIMEOUT",
        "HAB_AUTOMATE_AUTH_TOKEN",
    ],
)
def test_a_bound_variable_that_is_set_but_empty_exits_with_2(variable: str) -> None:
    assert exit_code(**{variable: ""}) == 2


def test_a_flag_beats_its_variable_even_a_broken_one() -> None:
    assert run("--listen-http=0.0.0.0:1", HAB_LISTEN_HTTP="nonsense").http_port == 1


def test_a_reference_to_a_variable_is_expanded_before_clap_sees_it() -> None:
    assert run("--sys-ip-address=$(POD_IP)", POD_IP="10.9.8.7").flags["sys-ip-address"] == "10.9.8.7"


def test_an_unknown_bind_exits_with_86() -> None:
    verdict = judge(pod(container("--bind=cache:redis.default")), "web", Image(binds=frozenset({"database"})))
    assert isinstance(verdict, Exit)
    assert verdict.code == 86


def test_a_peer_that_does_not_resolve_exits_with_2() -> None:
    started = start(container("--peer=gone.example"), world=World(dead_names=frozenset({"gone.example"})))
    assert isinstance(started, Exit)
    assert started.code == 2

"""The user's args, read as the Supervisor reads them (supervisor.md §1.3)."""

from __future__ import annotations

import pytest

from webhook.commandline import CommandLine, escape, expand, parse


def read(*args: str, custom: bool = False) -> CommandLine:
    return parse(list(args), custom=custom)


@pytest.mark.parametrize(
    "args",
    [
        ["-t", "leader"],
        ["-tleader"],
        ["-t=leader"],
        ["--topology", "leader"],
        ["--topology=leader"],
        ["-vIt", "leader"],
    ],
)
def test_every_spelling_of_a_flag_is_the_same_flag(args: list[str]) -> None:
    assert read(*args).value("--topology") == "leader"
    assert not read(*args).problems


def test_flag_of_several_values_swallows_what_follows() -> None:
    line = read("run", "--bind", "a:b.c", "core/redis")
    assert line.ident is None
    assert line.flags["--bind"] == ("a:b.c", "core/redis")
    assert read("run", "--bind=a:b.c", "core/redis").ident == "core/redis"


def test_repeatable_flags_gather_and_split_at_spaces() -> None:
    assert read("--peer", "a", "b", "--peer=c d").flags["--peer"] == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--group=a", "--group=a"], "--group is given twice"),
        (["-v", "-v"], "--verbose is given twice"),
        (["--group"], "--group lacks its value"),
        (["--group", "--org=x"], "--group lacks its value"),
        (["--no-color=yes"], "--no-color takes no value"),
        (["--peer=a", "--peer-watch-file=b"], "exclude each other"),
        (["--local-gossip-mode", "--listen-gossip=0.0.0.0:1"], "exclude each other"),
        (["--ring=a", "--ring-key=b"], "exclude each other"),
        (["--group=a", "core/redis"], "is an argument too many"),
        (["run", "core/redis", "core/other"], "is an argument too many"),
        (["sh", "-c", "x"], "is not run, start or a flag"),
        (["--help"], "prints a text and ends"),
        (["-V"], "prints a text and ends"),
    ],
)
def test_args_that_cannot_start_are_named(args: list[str], said: str) -> None:
    assert any(said in p for p in read(*args).problems)


def test_legacy_start_and_run_carry_the_ident() -> None:
    assert read("start", "core/redis", "--group=x").ident == "core/redis"
    assert read("run", "--group=x", "core/redis/7.0.1").ident == "core/redis/7.0.1"


def test_unknown_flag_is_reported_and_takes_its_value() -> None:
    line = read("--brand-new", "value", "--group=x")
    assert line.unknown == ("--brand-new",)
    assert not line.problems


def test_flags_end_before_a_lone_double_dash() -> None:
    assert read("run", "--group=x", "--", "core/redis").flags_end == 2


def test_custom_entrypoint_may_have_words_of_its_own() -> None:
    assert read("wrapper", "run", "core/redis", "--group=x", custom=True).ident == "core/redis"
    assert not read("anything", "else", custom=True).problems


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)y", "x1y"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$A", "$A"),
        ("a$", "a$"),
        ("$(A", "$(A"),
        ("$$$$", "$$"),
    ],
)
def test_expansion_is_the_kubelets(text: str, result: str) -> None:
    assert expand(text, {"A": "1"}) == result


@pytest.mark.parametrize("text", ["", "$", "$$", "$(A)", "a$(A)$$b$", "pa$$w0rd"])
def test_escaped_text_comes_out_as_it_was(text: str) -> None:
    assert expand(escape(text), {"A": "1"}) == text


def test_literal_variables_are_read_in_args() -> None:
    assert parse(["--group=$(G)"], {"G": "blue"}).value("--group") == "blue"

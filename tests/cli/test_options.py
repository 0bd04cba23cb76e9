"""Settings as options: what `serve` and other long-running commands make of their dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from webhook.cli.options import settings_of, settings_options
from webhook.settings import (
    LOG_LEVELS,
    SettingError,
    check_bounds,
    check_cluster_domain,
    check_log_level,
    check_namespace,
    setting,
)


@dataclass(frozen=True, slots=True)
class Sample:
    word: str = setting("", "A word.")
    count: int = setting(2, "A number.")
    seconds: float = setting(0.5, "A time.")
    file: Path = setting(Path("/a"), "A file.")
    level: str = setting("info", "A choice.", choices=LOG_LEVELS)
    eager: bool = setting(False, "A switch.")

    def validate(self) -> None:
        check_bounds(self, {"count": (1, 5)})


def call(*arguments: str, **environment: str) -> tuple[Result, list[Sample]]:
    seen = []

    @click.command()
    @settings_options(Sample)
    def command(**values: Any) -> None:
        seen.append(settings_of(Sample, values))

    return CliRunner().invoke(command, arguments, env=environment), seen


def test_options_that_nobody_gives_are_the_dataclasss_defaults() -> None:
    assert call()[1] == [Sample()]


def test_every_option_arrives_in_its_type_by_flag_and_by_variable() -> None:
    expected = Sample("w", 3, 1.5, Path("/b"), "error", True)
    flags = ("--word=w", "--count=3", "--seconds=1.5", "--file=/b", "--level=error", "--eager")
    variables = {"WORD": "w", "COUNT": "3", "SECONDS": "1.5", "FILE": "/b", "LEVEL": "error", "EAGER": "true"}
    assert call(*flags)[1] == [expected]
    assert call(**{f"HABITAT_WEBHOOK_{name}": value for name, value in variables.items()})[1] == [expected]


def test_switch_takes_no_value_and_is_off_when_its_variable_says_so() -> None:
    assert call("--eager=yes")[0].exit_code == 2
    assert call(HABITAT_WEBHOOK_EAGER="false")[1] == [Sample()]


def test_help_is_in_the_order_of_the_fields() -> None:
    text = call("--help")[0].output
    places = [text.index(f"--{name}") for name in Sample.__slots__]
    assert places == sorted(places)
    assert "HABITAT_WEBHOOK_EAGER" in text


def test_settings_that_cannot_work_are_wrong_usage() -> None:
    result, seen = call("--count=6")
    assert (result.exit_code, seen) == (2, [])
    assert "--count is 6; allowed: 1 to 5" in result.output


def test_shared_checks_name_what_they_refuse() -> None:
    with pytest.raises(SettingError, match="--log-level is 'loud'; allowed: debug"):
        check_log_level("loud")
    with pytest.raises(SettingError, match="--namespace is 'A'; allowed: the name of a namespace"):
        check_namespace("A", "--namespace")
    with pytest.raises(SettingError, match=r"--cluster-domain is 'a\.\.b'; allowed: a DNS name"):
        check_cluster_domain("a..b")
    check_log_level("debug")
    check_namespace("a-1", "--namespace")
    check_cluster_domain("k8s.example.com")

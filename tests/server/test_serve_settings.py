"""The settings of `habitat-webhook serve`: declared once, given by flag or by variable."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from webhook.cli.serve import serve
from webhook.server import run
from webhook.server.settings import ServeSettings
from webhook.settings import SettingError, address, flag, variable


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[ServeSettings]:
    """The settings that a command would have started a server with."""
    seen: list[ServeSettings] = []

    class Recorder:
        def __init__(self, settings: ServeSettings) -> None:
            seen.append(settings)

        def run(self) -> None: ...

    monkeypatch.setattr(run, "Server", Recorder)
    return seen


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(serve, arguments, env=environment)


def test_help_lists_every_setting_with_flag_and_variable() -> None:
    text = " ".join(call("--help").output.split()).replace("- ", "-")
    for setting in fields(ServeSettings):
        assert flag(setting.name) in text
        assert variable(setting.name) in text


def test_every_setting_is_documented_in_one_sentence() -> None:
    for setting in fields(ServeSettings):
        assert setting.metadata["doc"].endswith("."), setting.name


def test_defaults_work_together() -> None:
    ServeSettings().validate()
    assert ServeSettings().keep_alive > 90, "the API server's idle connections"


def test_flag_beats_variable_beats_default(given: list[ServeSettings]) -> None:
    call("--threads", "3", HABITAT_WEBHOOK_THREADS="4", HABITAT_WEBHOOK_OWN_NAMESPACE="hab")
    assert (given[0].threads, given[0].own_namespace) == (3, "hab")
    assert given[0].keep_alive == ServeSettings().keep_alive


def test_variables_that_kubernetes_sets_for_a_service_of_this_name_do_no_harm(given: list[ServeSettings]) -> None:
    call(HABITAT_WEBHOOK_PORT="tcp://10.0.0.1:443", HABITAT_WEBHOOK_SERVICE_HOST="10.0.0.1")
    assert given == [ServeSettings()]


def test_paths_are_paths(given: list[ServeSettings]) -> None:
    call("--tls-cert", "/x/tls.crt", HABITAT_WEBHOOK_TLS_KEY="/x/tls.key")
    assert (given[0].tls_cert, given[0].tls_key) == (Path("/x/tls.crt"), Path("/x/tls.key"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "8443"),
        ("--listen", "localhost"),
        ("--listen", "localhost:70000"),
        ("--listen", ":8443"),
        ("--metrics-listen", "localhost:http"),
        ("--threads", "0"),
        ("--threads", "x"),
        ("--keep-alive", "0"),
        ("--keep-alive", "nan"),
        ("--drain-timeout", "inf"),
        ("--shutdown-delay", "-1"),
        ("--log-level", "loud"),
        ("--own-namespace", "Not A Name"),
        ("--cluster-domain", "cluster..local"),
        ("--shared-rings", "shared"),
        ("--shared-rings", "shared.infra;logs.platform"),
    ],
)
def test_setting_that_cannot_work_ends_with_status_2_and_says_what_is_allowed(
    given: list[ServeSettings], arguments: tuple[str, str]
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output
    assert given == []
    assert "Traceback" not in result.output


def test_shared_rings_reach_the_engine_as_a_set(given: list[ServeSettings]) -> None:
    call(HABITAT_WEBHOOK_SHARED_RINGS="shared.infra, logs.platform")
    assert given[0].engine().shared_rings == {"shared.infra", "logs.platform"}
    assert ServeSettings().engine().shared_rings == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8443", ("::1", 8443)), ("webhook.test:443", ("webhook.test", 443))],
)
def test_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert address(text, "--listen") == expected


def test_unbracketed_ipv6_address_is_refused() -> None:
    with pytest.raises(SettingError, match=r"--listen .*\[::\]:8443"):
        address("::1:8443", "--listen")

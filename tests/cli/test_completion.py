"""What shells and kubectl complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import run
from webhook.cli.main import cli

KUBECTL_ASKS = Path(sys.executable).with_name("kubectl_complete-habitat")


def asked(*words: str) -> list[str]:
    """Names alone, without their help; the last line is kubectl's directive."""
    done = subprocess.run([KUBECTL_ASKS, *words], capture_output=True, text=True, check=True)
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_of_its_own(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_HABITAT_WEBHOOK_COMPLETE={shell}_complete" in result.stdout


def test_the_script_of_bash_completes() -> None:
    program = Path(sys.executable).with_name("habitat-webhook")
    script = run("completion", "bash").stdout
    line = 'COMP_WORDS=(habitat-webhook expl); COMP_CWORD=1; _habitat_webhook_completion "$0" expl habitat-webhook'
    command = f'{script}\nPATH="{program.parent}:$PATH"\nset -- {program}\n{line.replace("$0", str(program))}\n'
    done = subprocess.run(["bash", "-c", command + "echo ${COMPREPLY[@]}"], capture_output=True, text=True)
    assert done.stdout == "explain\n", done.stderr


def test_another_shell_is_refused() -> None:
    assert run("completion", "tcsh").exit_code == 2


def test_kubectl_is_told_commands_options_and_values() -> None:
    assert asked("") == [*cli.list_commands(None), ":4"]  # type: ignore[attr-defined]
    assert asked("do") == ["doctor", ":4"]
    assert {"--fix", "--namespace"} <= set(asked("doctor", "-"))
    assert asked("explain", "-o", "") == ["text", "json", ":4"]


def test_kubectl_completes_files_itself() -> None:
    assert asked("status", "--kubeconfig", "") == [":0"]

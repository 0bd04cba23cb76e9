"""The program as installed: its names, its help, what it imports, and its exit statuses in a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import DEPLOYMENT, inject, run, uninject
from tests.controlplane.build import ensure_binaries
from webhook import __version__
from webhook.cli.group import LazyGroup
from webhook.cli.main import cli, program_name

SCRIPTS = Path(sys.executable).parent

IMPORTS_OF = """\
import sys
from webhook.cli.main import cli
try:
    cli.main({arguments!r}, prog_name="habitat-webhook")
except SystemExit as ended:
    print(ended.code, *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def execute(*command: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **environment},
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [["inject", "-f", "-"], ["uninject", "-f", "-"], ["version"], ["annotations"], ["--help"], ["inject", "-h"]],
)
def test_command_line_starts_without_server_and_cluster_libraries(arguments: list[str]) -> None:
    done = execute(sys.executable, "-c", IMPORTS_OF.format(arguments=arguments), stdin=DEPLOYMENT)
    status, *modules = done.stderr.splitlines()[-1].split()
    assert status == "0", done.stderr
    assert "click" in modules
    assert not {"flask", "gunicorn", "kubernetes", "cryptography", "prometheus_client", "werkzeug"} & set(modules)


@pytest.mark.parametrize("script", ["habitat-webhook", "kubectl-habitat"])
def test_console_scripts_answer_as_the_command_line_in_process_does(script: str, tmp_path: Path) -> None:
    done = execute(SCRIPTS / script, "inject", "-f", "-", stdin=DEPLOYMENT)
    expected = inject(DEPLOYMENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, expected.stderr)
    back = execute(SCRIPTS / script, "uninject", "-f", "-", stdin=done.stdout)
    assert (back.stdout, back.stderr) == (DEPLOYMENT, uninject(done.stdout).stderr)
    missing = execute(SCRIPTS / script, "inject", "-f", tmp_path / "none.yaml")
    assert (missing.returncode, missing.stdout) == (2, "")
    wrong = execute(SCRIPTS / script, "inject", "-f", "-", stdin=DEPLOYMENT.replace("service: redis", "service: a b"))
    assert (wrong.returncode, wrong.stdout) == (1, "")


def test_output_of_a_real_process_is_utf8_in_the_c_locale() -> None:
    text = DEPLOYMENT.replace("three", "drei 😀")
    done = subprocess.run(
        [SCRIPTS / "habitat-webhook", "inject", "-f", "-"],
        input=text.encode(),
        capture_output=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        timeout=60,
    )
    assert "drei 😀" in done.stdout.decode()


def test_kubectl_runs_the_plugin() -> None:
    done = execute(ensure_binaries()["kubectl"], "habitat", "inject", "-f", "-", "-o", "report", stdin=DEPLOYMENT)
    assert "Deployment/redis: injected into container redis" in done.stdout, done.stderr


def test_help_shows_the_name_the_program_was_started_by() -> None:
    assert execute(SCRIPTS / "habitat-webhook", "inject", "--help").stdout.startswith("Usage: habitat-webhook inject ")
    plugin = execute(SCRIPTS / "kubectl-habitat", "inject", "--help").stdout
    assert plugin.startswith("Usage: kubectl habitat inject ")
    assert "kubectl habitat inject -f deployment.yaml | kubectl apply -f -" in plugin
    assert "habitat-webhook" not in plugin
    for started_as in ("/usr/local/bin/kubectl-habitat", "kubectl-habitat.exe", "kubectl_habitat"):
        assert program_name(started_as) == "kubectl habitat"
    for started_as in ("/x/habitat-webhook", "__main__.py", "-c", ""):
        assert program_name(started_as) == "habitat-webhook"


def test_every_command_has_help_with_an_example() -> None:
    assert isinstance(cli, LazyGroup)
    listed = run("--help").stdout
    for name in cli.table:
        assert f"\n  {name} " in listed
    for name in cli.table.keys() - {"serve"}:  # the manifests start that one
        own = run(name, "dev", "--help").stdout if name == "certs" else run(name, "--help").stdout
        assert f"habitat-webhook {name} " in own.split("Options:")[1], f"{name} --help has no example"


def test_version_is_said_in_three_ways() -> None:
    assert run("version").stdout == run("--version").stdout == f"habitat-webhook {__version__}\n"
    said = json.loads(run("version", "-o", "json").stdout)
    assert said == {"version": __version__, "python": ".".join(map(str, sys.version_info[:3]))}


def test_unknown_command_is_refused_with_two() -> None:
    result = run("injct")
    assert result.exit_code == 2
    assert "No such command 'injct'" in result.stderr

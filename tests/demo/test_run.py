"""`make run ONCE=1`, as a stranger starts it: a process, its page, its exit code, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.demo", "--once"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | environment
    return subprocess.run([*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, env=settings)


@pytest.fixture(scope="module")
def page() -> str:
    done = run(COLUMNS="110", KUBECONFIG="/nonexistent")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_injected_and_ready(page: str) -> None:
    examples = {p.name for p in (PROJECT / "deploy" / "examples").glob("*.yaml")} - {"namespace.yaml"}
    shown = page[page.index("── Injected") : page.index("── Left alone")]
    assert {name for name in examples if f"deploy/examples/{name}" in shown} == examples
    assert "not ready" not in page
    assert "✓ Every workload came out as it should." in page


@pytest.mark.parametrize(
    "reason", ["NotAnnotated", "OptedOut", "HandWrittenSupervisor", "NamespaceNotEnabled", "NamespaceDisabled"]
)
def test_every_workload_that_is_left_alone_says_why(page: str, reason: str) -> None:
    shown = page[page.index("── Left alone") : page.index("── A mistake")]
    assert f"{reason}: " in shown


def test_the_mistakes_are_shown_as_their_author_sees_them(page: str) -> None:
    shown = page[page.index("── A mistake") : page.index("── The webhook's own count")]
    assert 'The Pod "wrong" is invalid' in shown
    assert all(f"habitat.sh/{name}" in shown for name in ("topology", "config", "bind"))
    assert 'admission webhook "inject.habitat.sh" denied the request' in shown


def test_an_exported_kubeconfig_is_left_alone(page: str) -> None:
    assert "KUBECONFIG of the environment is left alone" in page


def test_another_cluster_needs_an_address_and_is_not_touched_without(tmp_path: Path) -> None:
    done = run("--kubeconfig", str(tmp_path / "kubeconfig"))
    assert done.returncode == 1
    assert "also needs ADDRESS" in done.stderr
    assert "Nothing was changed" in done.stderr


def test_a_run_that_is_interrupted_ends_its_processes() -> None:
    running = subprocess.Popen(COMMAND, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if "webhook: https://" in line:
                break
        children = descendants(running.pid)
        assert len(children) >= 6
        running.send_signal(signal.SIGTERM)
        running.stdout.read()
        assert running.wait() == 130
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def descendants(pid: int) -> list[int]:
    """Children and their children (proc(5), /proc/PID/task/TID/children)."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found

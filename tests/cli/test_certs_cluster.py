"""`habitat-webhook certs status|rotate|renew` against an API server that a test plays: what they say, how they exit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certs import authorities as cas
from certs.authorities import Authorities
from certs.stores import MANAGED_BY, REQUESTED
from tests.certs.making import authority, serving
from tests.cli.running import run
from tests.kube.server import Request, scripted

SECRETS = "/api/v1/namespaces/habitat-webhook/secrets/habitat-webhook-"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

Answers = dict[str, tuple[int, Any]]


def kept(name: str, data: dict[str, bytes], *, ours: bool = True) -> tuple[int, Any]:
    metadata = {
        "name": f"habitat-webhook-{name}",
        "namespace": "habitat-webhook",
        "uid": "u",
        "resourceVersion": "1",
        "labels": dict([MANAGED_BY]) if ours else {},
    }
    return 200, {"metadata": metadata, "data": {k: base64.b64encode(v).decode() for k, v in data.items()}}


def refusal(code: int, reason: str, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}


def answers(*, rotating: bool = False) -> Answers:
    """Of a cluster in which nothing is wrong."""
    now = datetime.now(UTC)
    made = Authorities(authority(now=now), authority(now=now) if rotating else None)
    leaf = serving(made.current, now=now, beside=made.bundle())
    hook = {"name": "inject.habitat.sh", "clientConfig": {"caBundle": base64.b64encode(made.bundle()).decode()}}
    configuration = {"metadata": {"name": "habitat-webhook", "uid": "u", "resourceVersion": "1"}, "webhooks": [hook]}
    return {
        f"{SECRETS}ca": kept("ca", cas.encode(made)),
        f"{SECRETS}tls": kept("tls", leaf.encode(made.bundle())),
        HOOKS: (200, {"metadata": {"resourceVersion": "1"}, "items": [configuration]}),
    }


class Asked:
    """The command line against these answers. patches: what was written."""

    def __init__(self, kubeconfig: Path, answers: Answers) -> None:
        self.kubeconfig = kubeconfig
        self.answers = answers
        self.patches: list[tuple[str, Any]] = []
        self.carried_out: Callable[[str], None] = lambda _path: None

    def answer(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        if request.command == "PATCH":
            self.patches.append((path, json.loads(request.body)))
            self.carried_out(path)
        nothing = {"metadata": {"resourceVersion": "1"}, "items": []}
        missing = (200, nothing) if path.endswith("configurations") else refusal(404, "NotFound", "not found")
        request.send(*self.answers.get(path, missing))

    def run(self, *arguments: str) -> Any:
        return run("certs", *arguments, f"--kubeconfig={self.kubeconfig}")


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path / "kubeconfig", answers())
    with scripted(made.answer) as server:
        server.kubeconfig(made.kubeconfig)
        yield made


def test_status_where_nothing_is_wrong(asked: Asked) -> None:
    result = asked.run("status")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("nothing is wrong\n")
    assert json.loads(asked.run("status", "-o", "json").stdout)["ok"] is True
    assert asked.patches == []


@pytest.mark.parametrize("namespace", ["", "A b"])
def test_namespace_that_is_none_is_refused(asked: Asked, namespace: str) -> None:
    result = asked.run("status", f"--namespace={namespace}")
    assert result.exit_code == 2
    assert f"the namespace is {namespace!r}; allowed: the name of a namespace" in result.stderr


def test_status_where_something_is(asked: Asked) -> None:
    del asked.answers[f"{SECRETS}tls"]
    result = asked.run("status")
    assert result.exit_code == 1
    assert "error: Secret habitat-webhook/habitat-webhook-tls is not there" in result.stdout
    assert json.loads(asked.run("status", "-o", "json").stdout)["findings"][0]["code"] == "NoLeaf"


@pytest.mark.parametrize(("command", "name"), [("rotate", "ca"), ("renew", "tls")])
def test_request_is_an_annotation_of_the_secret(asked: Asked, command: str, name: str) -> None:
    result = asked.run(command)
    assert result.exit_code == 0
    assert result.stdout.startswith("asked for a new ")
    [(path, patch)] = asked.patches
    assert path == f"{SECRETS}{name}"
    assert list(patch["metadata"]["annotations"]) == [REQUESTED]


@pytest.mark.parametrize("command", ["rotate", "renew"])
def test_waiting_ends_when_it_is_done_and_says_so_when_it_is_not(asked: Asked, command: str) -> None:
    before = dict(asked.answers)
    asked.carried_out = lambda _path: asked.answers.update(answers())
    result = asked.run(command, "--wait=5")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2
    asked.carried_out = lambda _path: asked.answers.update(before)
    asked.answers.update(before)
    result = asked.run(command, "--wait=1")
    assert result.exit_code == 2
    assert "not done after 1 s; `habitat-webhook certs status` says what is wrong" in result.stderr


def test_second_rotation_is_refused_while_one_is_under_way(asked: Asked) -> None:
    asked.answers.update(answers(rotating=True))
    result = asked.run("rotate")
    assert result.exit_code == 2
    assert "a rotation is under way already" in result.stderr
    assert asked.patches == []


@pytest.mark.parametrize(("command", "name"), [("rotate", "ca"), ("renew", "tls")])
def test_nothing_is_asked_of_a_secret_that_is_not_there_or_not_ours(asked: Asked, command: str, name: str) -> None:
    path = f"{SECRETS}{name}"
    asked.answers[path] = kept(name, {}, ours=False)
    assert "was not made by habitat-webhook, which leaves it alone" in asked.run(command).stderr
    del asked.answers[path]
    result = asked.run(command)
    assert result.exit_code == 2
    assert "is not there: the controller makes it, if it runs with --certificates=managed" in result.stderr
    assert asked.patches == []


def test_what_the_cluster_refuses_is_said_with_what_to_do(asked: Asked, tmp_path: Path) -> None:
    asked.answers[f"{SECRETS}ca"] = refusal(403, "Forbidden", "secrets is forbidden")
    result = asked.run("status")
    assert result.exit_code == 2
    assert "you may not read the Secrets of the certificates" in result.stderr
    asked.answers[f"{SECRETS}ca"] = refusal(500, "InternalError", "sorry")
    assert "the API server refused it: GET" in asked.run("renew").stderr
    assert asked.run("status", "-n", "A_B").exit_code == 2
    nowhere = run("certs", "status", f"--kubeconfig={tmp_path / 'none'}")
    assert nowhere.exit_code == 2
    assert "no kubeconfig at" in nowhere.stderr


def test_cluster_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with scripted(lambda request: request.hang_up()) as server:
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    result = run("certs", "status", f"--kubeconfig={kubeconfig}")
    assert result.exit_code == 2
    assert "does `kubectl cluster-info` get one?" in result.stderr


def test_other_names_are_looked_for(asked: Asked) -> None:
    result = asked.run("status", "-n", "elsewhere", "--ca-secret=a", "--tls-secret=b")
    assert "Secret elsewhere/a is not there" in result.stdout
    assert "Secret elsewhere/b is not there" in result.stdout
    assert "kubectl -n elsewhere logs" in result.stdout

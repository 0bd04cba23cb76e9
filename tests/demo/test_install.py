"""What `make run` installs in a control plane of its own: deploy/install.yaml, and two processes with no more than it
gives them."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.controlplane.client import Cluster
from tests.controlplane.cluster import ControlPlane
from tests.demo import commands, terminal
from tests.demo import install as installation
from tests.demo.commands import HABITAT_WEBHOOK, judged
from tests.demo.install import Roles, installed
from tests.demo.place import LOOPBACK, Place
from tests.support.controller_rights import ACCOUNT, NAMESPACE, SERVE_ACCOUNT, user_name
from tests.support.manifests import INSTALL, install
from tests.support.tls import serial

CONFIGURATION = "mutatingwebhookconfiguration/habitat-webhook"


@dataclass(frozen=True, slots=True)
class Run:
    cluster: Cluster
    directory: Path
    roles: Roles

    def bundles(self) -> list[bytes]:
        found = self.cluster.get(CONFIGURATION)["webhooks"]
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in found]

    def served(self) -> int:
        """The serial number of the certificate that the webhook shows to who trusts its caBundle."""
        context = ssl.create_default_context(cadata=self.bundles()[0].decode())
        port = urlsplit(self.roles.webhook.url).port or 0
        with (
            socket.create_connection((LOOPBACK, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK) as connection,
        ):
            return serial(connection)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as shell, contextlib.ExitStack() as cleanup:
        # Variables of the shell reach neither process.
        shell.setenv("KUBECONFIG", "/nonexistent")
        shell.setenv("HABITAT_WEBHOOK_LOG_LEVEL", "nonsense")
        cluster = cleanup.enter_context(ControlPlane())
        yield Run(cluster, directory, installed(Place(cluster, LOOPBACK, own=True), directory, cleanup))


def differences(said: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where a document is otherwise in the cluster; what the API server has added is no difference."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        for key, value in said.items():
            yield from differences(value, found.get(key), f"{path}.{key}")
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for n, (one, other) in enumerate(zip(said, found, strict=True)):
            yield from differences(one, other, f"{path}[{n}]")
    elif said != found:
        yield path


def test_every_object_is_there_as_it_stands_but_for_the_address_of_the_webhook(run: Run) -> None:
    there = run.cluster.get("-f", str(INSTALL))["items"]
    assert [(d["kind"], d["metadata"]["name"]) for d in there] == [
        (d["kind"], d["metadata"]["name"]) for d in install()
    ]
    found = {d["kind"]: list(differences(d, other)) for d, other in zip(install(), there, strict=True)}
    assert {kind: paths for kind, paths in found.items() if paths} == {
        "MutatingWebhookConfiguration": [f".webhooks[{n}].clientConfig.service" for n in range(2)],
        "ValidatingWebhookConfiguration": [".webhooks[0].clientConfig.service"],
    }


def test_the_installation_is_well(run: Run) -> None:
    assert run.roles.wrong == []
    assert run.roles.controller.complaints() == []
    pods = run.cluster.get("pods", "-n", NAMESPACE)["items"]
    assert len(pods) == 4


def test_a_ca_bundle_that_is_taken_away_comes_back(run: Run) -> None:
    before = run.bundles()
    assert len(set(before)) == 1
    assert before[0].startswith(b"-----BEGIN CERTIFICATE")
    removal = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
    run.cluster.kubectl("patch", CONFIGURATION, "--type=json", "-p", json.dumps(removal))
    run.cluster.wait("caBundle to come back", lambda: run.bundles() == before)


def test_a_renewed_certificate_reaches_the_webhook(run: Run) -> None:
    before = run.served()
    renew = [str(HABITAT_WEBHOOK), "certs", "renew", f"--kubeconfig={run.cluster.kubeconfig}"]
    subprocess.run(renew, check=True, capture_output=True)
    run.cluster.wait("the new certificate to be served", lambda: run.served() != before)


@pytest.mark.parametrize("role", ["webhook", "controller"])
def test_a_role_has_the_token_of_its_service_account_and_nothing_else(run: Run, role: str) -> None:
    kubeconfig = run.directory / f"{role}.kubeconfig"
    [user] = yaml.safe_load(kubeconfig.read_text())["users"]
    assert set(user["user"]) == {"token"}
    said = run.cluster.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig)
    account = {"webhook": SERVE_ACCOUNT, "controller": ACCOUNT}[role]
    assert json.loads(said)["status"]["userInfo"]["username"] == user_name(NAMESPACE, account)
    pid = {"webhook": run.roles.webhook.process.pid, "controller": run.roles.controller.process.pid}[role]
    process = Path(f"/proc/{pid}")
    command = process.joinpath("cmdline").read_text().split("\0")
    assert [word for word in command if "kubeconfig" in word] == [f"--kubeconfig={kubeconfig}"]
    environment = dict(entry.partition("=")[::2] for entry in process.joinpath("environ").read_text().split("\0"))
    assert "PATH" in environment
    assert environment.get("KUBECONFIG") in (None, "/nonexistent")


def test_the_webhook_is_as_ready_as_it_is_shipped(run: Run) -> None:
    command = Path(f"/proc/{run.roles.webhook.process.pid}/cmdline").read_text().split("\0")
    assert [word for word in command if word.startswith("--namespaces=")] == ["--namespaces=watch"]


def test_the_controller_keeps_certificates(run: Run) -> None:
    command = Path(f"/proc/{run.roles.controller.process.pid}/cmdline").read_text().split("\0")
    assert [word for word in command if word.startswith("--certificates=")][-1] == "--certificates=managed"


def test_certificates_that_are_not_well_fail_the_run(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PATIENCE_SECONDS", 1)
    [sentence] = judged(cluster, "certs", "status", "-n", namespace)
    assert sentence == f"habitat-webhook certs status -n {namespace} ended with exit code 1: see above"


def test_a_deployment_without_its_pods_fails_the_run(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "NAMESPACE", namespace)
    monkeypatch.setattr(terminal, "WAIT_SECONDS", 1)
    labels = {"app": "lost"}
    spec = {"nodeSelector": {"nowhere": "at-all"}, "containers": [{"name": "lost", "image": "none"}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "lost", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }
    cluster.apply(json.dumps(deployment))
    [sentence] = installation._unavailable(cluster)
    assert sentence == f"Deployment {namespace}/lost has 0 Ready pods instead of 2"

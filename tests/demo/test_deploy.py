"""What deploy/ ships is taken by a real API server, and says what its comments say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.client import Cluster
from tests.support.manifests import DEPLOY, install
from tests.support.webhook_config import by_url, registration, shipped

EXAMPLES = sorted((DEPLOY / "examples").glob("*.yaml"))
WORKLOADS = ("Deployment", "StatefulSet")


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d is not None]


def pod_templates() -> list[Any]:
    return [
        pytest.param(path, d["spec"]["template"], id=f"{path.stem}-{d['metadata']['name']}")
        for path in EXAMPLES
        for d in documents(path)
        if d["kind"] in WORKLOADS
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_api_server_takes_an_example_without_a_warning(cluster: Cluster, namespace: str, path: Path) -> None:
    for document in documents(path):
        if document["kind"] != "Namespace":
            document["metadata"]["namespace"] = namespace
        text = yaml.safe_dump(document)
        done = cluster.run_kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=text)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("path", "template"), pod_templates())
def test_an_example_explains_the_licence_it_accepts(path: Path, template: dict[str, Any]) -> None:
    lines = path.read_text().splitlines()
    accepted = [i for i, line in enumerate(lines) if "habitat.sh/license: accept-no-persist" in line]
    assert template["metadata"]["annotations"]["habitat.sh/license"] == "accept-no-persist"
    assert accepted
    assert all("accepts chef's licence" in "\n".join(lines[i - 2 : i]).lower() for i in accepted)


def test_the_api_server_takes_the_webhook_configuration_as_it_is_registered(cluster: Cluster) -> None:
    text = yaml.safe_dump(registration("https://127.0.0.1:1", cluster.ca.read_bytes(), name="dry-run"))
    done = cluster.run_kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=text)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_registration_differs_from_what_is_shipped_in_its_client_and_who_keeps_the_ca() -> None:
    original, registered = shipped(), registration("https://127.0.0.1:8443/", b"PEM")
    clients = [w.pop("clientConfig") for w in registered["webhooks"]]
    for webhook in original["webhooks"]:
        webhook.pop("clientConfig")
    assert original["metadata"]["labels"].pop("habitat.sh/ca-bundle") == "managed"  # the caller keeps the bundle here
    assert registered == original
    assert clients == [{"url": "https://127.0.0.1:8443/mutate", "caBundle": "UEVN"}] * 2


def test_an_installation_by_url_differs_from_what_is_shipped_in_its_clients() -> None:
    original, other = install(), by_url("https://127.0.0.1:8443")
    clients = [w.pop("clientConfig") for d in other for w in d.get("webhooks", ())]
    for document in original:
        for webhook in document.get("webhooks", ()):
            webhook.pop("clientConfig")
    assert other == original
    paths = [client["url"].removeprefix("https://127.0.0.1:8443") for client in clients]
    assert sorted(paths) == ["/mutate", "/mutate", "/validate"]
    labels = [d["metadata"]["labels"]["habitat.sh/ca-bundle"] for d in other if "webhooks" in d]
    assert labels == ["managed", "managed"]


def test_a_registration_can_be_kept_to_some_namespaces() -> None:
    only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a"]}
    found = registration("https://x", b"", name="mine", failure_policy="Ignore", namespaces=["a"])
    assert found["metadata"]["name"] == "mine"
    assert all(only in w["namespaceSelector"]["matchExpressions"] for w in found["webhooks"])
    assert {w["failurePolicy"] for w in found["webhooks"]} == {"Ignore"}


def test_a_registration_without_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="https"):
        registration("http://127.0.0.1:8080", b"")

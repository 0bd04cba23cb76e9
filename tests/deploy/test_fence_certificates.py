"""The fence, certificates: which Secrets and webhook configurations the controller's real token makes and changes.

See fenced.py for the rights that it has here.
"""

from __future__ import annotations

import base64
import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.fenced import JSON_PATCH, MERGE_PATCH, Fenced, add
from tests.support.webhook_config import shipped

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
MANAGER = "app.kubernetes.io/managed-by"
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n").decode()
PAIR = {"tls.crt": PEM, "tls.key": PEM}
Body = dict[str, Any]


def secret(name: str, kind: str, **data: str) -> Body:
    return {"metadata": {"name": name, "labels": {MANAGER: "habitat-webhook"}}, "type": kind, "data": data}


CA = secret("habitat-webhook-ca", "Opaque", **{"ca.crt": PEM})
LEAF = secret("habitat-webhook-tls", "kubernetes.io/tls", **PAIR)


@pytest.mark.parametrize("body", [CA, LEAF], ids=["ca", "leaf"])
def test_the_certificates_are_made_and_renewed_in_their_own_namespace(fenced: Fenced, body: Body) -> None:
    secrets = f"/api/v1/namespaces/{fenced.rights.namespace}/secrets"
    path = f"{secrets}/{body['metadata']['name']}"
    try:
        assert fenced.ask("POST", secrets, body) == (201, "")
        whole = fenced.read(path)
        assert fenced.ask("PUT", path, whole | {"data": whole["data"] | {"more": PEM}}) == (200, "")
        assert fenced.refused("DELETE", path).endswith("neither change nor delete one; this is DELETE")
    finally:
        fenced.cluster.request("DELETE", path)


REFUSED_SECRETS = {
    "another name": secret("web-tls", "kubernetes.io/tls", **PAIR),
    "the CA as another type": secret("habitat-webhook-ca", "kubernetes.io/tls", **PAIR),
    "the leaf as another type": secret("habitat-webhook-tls", "Opaque", **PAIR),
}


@pytest.mark.parametrize("case", REFUSED_SECRETS)
def test_no_other_secret_is_made_there(fenced: Fenced, case: str) -> None:
    said = fenced.refused("POST", f"/api/v1/namespaces/{fenced.rights.namespace}/secrets", REFUSED_SECRETS[case])
    assert "may create Secrets of ring keys only" in said


def test_a_token_is_not_had_under_the_name_of_a_certificate(fenced: Fenced) -> None:
    body = secret("habitat-webhook-ca", "kubernetes.io/service-account-token")
    body["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    said = fenced.refused("POST", f"/api/v1/namespaces/{fenced.rights.namespace}/secrets", body)
    assert "may create Secrets of ring keys only" in said


@pytest.mark.parametrize("body", [CA, LEAF], ids=["ca", "leaf"])
def test_certificates_are_made_in_no_other_namespace(fenced: Fenced, place: str, body: Body) -> None:
    assert "may create Secrets of ring keys only" in fenced.refused("POST", f"{place}/secrets", body)
    path = f"{place}/secrets/{body['metadata']['name']}"
    fenced.make(f"{place}/secrets", body)
    assert fenced.refused("PUT", path, fenced.read(path)).endswith("neither change nor delete one; this is UPDATE")


@pytest.mark.parametrize("body", [CA, LEAF], ids=["ca", "leaf"])
def test_a_certificate_of_somebody_elses_is_neither_overwritten_nor_adopted(fenced: Fenced, body: Body) -> None:
    secrets = f"/api/v1/namespaces/{fenced.rights.namespace}/secrets"
    path = f"{secrets}/{body['metadata']['name']}"
    foreign = body | {"metadata": {"name": body["metadata"]["name"]}}
    assert "may create Secrets of ring keys only" in fenced.refused("POST", secrets, foreign)
    fenced.make(secrets, foreign)
    try:
        whole = fenced.read(path)
        for labels in ({}, {MANAGER: "habitat-webhook"}):
            change = whole | {"metadata": whole["metadata"] | {"labels": labels}}
            assert fenced.refused("PUT", path, change).endswith("neither change nor delete one; this is UPDATE")
    finally:
        fenced.cluster.request("DELETE", path)


@pytest.fixture
def configuration(fenced: Fenced) -> Iterator[Body]:
    """The shipped webhook configuration as it is in the cluster, under a name of its own and asked about no pod."""
    body = shipped()
    body["metadata"]["name"] = f"fence-{uuid.uuid4().hex[:8]}"
    for webhook in body["webhooks"]:
        webhook["namespaceSelector"]["matchExpressions"] = [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [body["metadata"]["name"]]}
        ]
    yield fenced.make(CONFIGURATIONS, body)
    fenced.cluster.request("DELETE", f"{CONFIGURATIONS}/{body['metadata']['name']}")


def path_of(configuration: Body) -> str:
    return f"{CONFIGURATIONS}/{configuration['metadata']['name']}"


def test_the_ca_of_every_entry_is_written_replaced_and_taken_out(fenced: Fenced, configuration: Body) -> None:
    path, pem = path_of(configuration), fenced.cluster.ca.read_bytes()
    for bundle in (pem, pem + pem, b""):
        text = base64.b64encode(bundle).decode()
        version = fenced.read(path)["metadata"]["resourceVersion"]
        patch = [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]
        patch += [add(f"/webhooks/{n}/clientConfig/caBundle", text)[0] for n in (0, 1)]
        assert fenced.ask("PATCH", path, patch, JSON_PATCH) == (200, "")
        assert [w["clientConfig"].get("caBundle", "") for w in fenced.read(path)["webhooks"]] == [text, text]


def _first(body: Body) -> Body:
    found: Body = body["webhooks"][0]
    return found


def _set(*keys: str, to: Any) -> Any:
    def change(body: Body) -> None:
        at: Any = body
        for key in keys[:-1]:
            at = at[int(key)] if key.isdigit() else at[key]
        at[keys[-1]] = to

    return change


REFUSED_CHANGES = {
    "another service": _set("webhooks", "0", "clientConfig", "service", "name", to="other"),
    "another path": _set("webhooks", "0", "clientConfig", "service", "path", to="/other"),
    "a URL": _set("webhooks", "0", "clientConfig", to={"url": "https://evil.example.com/mutate"}),
    "more pods": _set("webhooks", "1", "matchConditions", to=[]),
    "more namespaces": _set("webhooks", "0", "namespaceSelector", to={}),
    "more resources": lambda body: _first(body)["rules"][0]["resources"].append("secrets"),
    "failure policy": _set("webhooks", "0", "failurePolicy", to="Ignore"),
    "one entry more": lambda body: body["webhooks"].append(_first(body) | {"name": "more.habitat.sh"}),
    "one entry less": lambda body: body["webhooks"].pop(),
    "no entry": lambda body: body.pop("webhooks"),
    "an entry under another name": _set("webhooks", "0", "name", to="other.habitat.sh"),
    "an annotation": _set("metadata", "annotations", to={"a": "b"}),
    "a label": _set("metadata", "labels", "a", to="b"),
    "not ours any more": lambda body: body["metadata"]["labels"].pop("habitat.sh/ca-bundle"),
    "a finalizer": _set("metadata", "finalizers", to=["a.b/c"]),
}


@pytest.mark.parametrize("case", REFUSED_CHANGES)
def test_nothing_else_of_a_configuration_is_changed(fenced: Fenced, configuration: Body, case: str) -> None:
    body = copy.deepcopy(configuration)
    REFUSED_CHANGES[case](body)
    said = fenced.refused("PUT", path_of(configuration), body)
    assert said.endswith("may change caBundle of webhooks, and nothing else of their configuration")
    assert fenced.read(path_of(configuration)) == configuration


def test_a_configuration_without_our_label_is_neither_changed_nor_adopted(fenced: Fenced, configuration: Body) -> None:
    path = path_of(configuration)
    label = {"metadata": {"labels": {"habitat.sh/ca-bundle": None}}}
    assert fenced.ask("PATCH", path, label, MERGE_PATCH, token=fenced.other)[0] == 200
    body = fenced.read(path)
    said = "may change webhook configurations only that are labelled habitat.sh/ca-bundle=managed already"
    assert fenced.refused("PUT", path, body).endswith(said)
    body["metadata"]["labels"]["habitat.sh/ca-bundle"] = "managed"
    assert fenced.refused("PUT", path, body).endswith(said)


def test_a_configuration_is_neither_made_nor_deleted(fenced: Fenced, configuration: Body) -> None:
    said = "may update webhook configurations, and do nothing else to them"
    assert fenced.refused("POST", CONFIGURATIONS, shipped()).endswith(said)
    assert fenced.refused("DELETE", path_of(configuration)).endswith(said)

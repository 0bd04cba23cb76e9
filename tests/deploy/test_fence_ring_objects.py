"""The fence, the objects of a ring: which Services and Secrets the controller's real token makes and changes.

See fenced.py for the rights that it has here.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.fenced import MANAGED, MERGE_PATCH, Fenced

MANAGER = "app.kubernetes.io/managed-by"


def service(name: str = "habitat-ring-default", labels: dict[str, str] = MANAGED, **spec: Any) -> dict[str, Any]:
    """A ring's Service; keyword arguments go into its spec."""
    ports = [{"name": "gossip", "port": 9638, "protocol": "UDP"}]
    wanted = {"clusterIP": "None", "selector": {"habitat.sh/ring": "default"}, "ports": ports}
    return {"metadata": {"name": name, "labels": labels}, "spec": wanted | spec}


def test_the_service_of_a_ring_is_made_repaired_and_removed(fenced: Fenced, place: str) -> None:
    path = f"{place}/services/habitat-ring-default"
    assert fenced.ask("POST", f"{place}/services", service()) == (201, "")
    whole = fenced.read(path)
    whole["spec"]["publishNotReadyAddresses"] = True
    assert fenced.ask("PUT", path, whole) == (200, "")
    gone = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": whole["metadata"]["uid"]}}
    assert fenced.ask("DELETE", path, gone) == (200, "")


NAMED = (
    "may write Services of rings only: named habitat-ring-* and labelled app.kubernetes.io/managed-by=habitat-webhook"
)
HEADLESS = "may write headless Services only: clusterIP None, no externalIPs"
REFUSED_SERVICES = {
    "name": (service("web"), NAMED),
    "no labels": (service(labels={}), NAMED),
    "other labels": (service(labels={"a": "b"}), NAMED),
    "other manager": (service(labels={MANAGER: "Helm"}), NAMED),
    "cluster address": (service(clusterIP=""), HEADLESS),
    "node port": (service(clusterIP="", type="NodePort"), HEADLESS),
    "load balancer": (service(clusterIP="", type="LoadBalancer"), HEADLESS),
    "external name": (service(clusterIP="", type="ExternalName", externalName="example.com"), HEADLESS),
    "external address": (service(externalIPs=["192.0.2.1"]), HEADLESS),
}


@pytest.mark.parametrize("case", REFUSED_SERVICES)
def test_no_other_service_is_made(fenced: Fenced, common_place: str, case: str) -> None:
    body, said = REFUSED_SERVICES[case]
    assert fenced.refused("POST", f"{common_place}/services", body).endswith(said)


@pytest.mark.parametrize("name", ["web", "habitat-ring-default"])
@pytest.mark.parametrize("labels", [{}, {"a": "b"}, {MANAGER: "Helm"}], ids=["no labels", "a label", "other manager"])
def test_a_foreign_service_is_neither_changed_nor_adopted_nor_deleted(
    fenced: Fenced, place: str, name: str, labels: dict[str, str]
) -> None:
    path = f"{place}/services/{name}"
    fenced.make(f"{place}/services", service(name, labels))
    before = fenced.read(path)
    for request in (
        ("PATCH", path, {"metadata": {"labels": MANAGED}}, MERGE_PATCH),
        ("PUT", path, before | {"metadata": before["metadata"] | {"labels": MANAGED}}),
        ("DELETE", path),
        ("DELETE", f"{place}/services"),  # the whole collection
    ):
        said = fenced.refused(*request)
        assert "may change and delete Services of rings only: named habitat-ring-* and labelled" in said
    assert fenced.read(path) == before


def test_the_service_of_a_ring_stays_one(fenced: Fenced, place: str) -> None:
    path = f"{place}/services/habitat-ring-default"
    assert fenced.ask("POST", f"{place}/services", service()) == (201, "")
    before = fenced.read(path)
    for change, said in (
        ({"metadata": {"labels": {MANAGER: None}}}, NAMED),
        ({"metadata": {"labels": {MANAGER: "Helm"}}}, NAMED),
        ({"spec": {"externalIPs": ["192.0.2.1"]}}, HEADLESS),
    ):
        assert fenced.refused("PATCH", path, change, MERGE_PATCH).endswith(said)
    assert fenced.refused("PATCH", f"{path}/status", {}, MERGE_PATCH).endswith("this is UPDATE services/status")
    assert fenced.refused("GET", f"{path}/proxy/").endswith("this is CONNECT services/proxy")
    assert fenced.read(path) == before


def secret(name: str = "habitat-ring-default-key", labels: dict[str, str] = MANAGED, **parts: Any) -> dict[str, Any]:
    """A ring's key (not a real one); keyword arguments replace parts of the Secret."""
    wanted = {"type": "Opaque", "immutable": True, "stringData": {"ring-key": "SYM-SEC-1\n"}}
    return {"metadata": {"name": name, "labels": labels}} | wanted | parts


@pytest.mark.parametrize("name", ["habitat-ring-default-key", "habitat-ring-shared.infra-key"])
def test_the_key_of_a_ring_is_made_and_asked_for_by_a_dry_run(fenced: Fenced, place: str, name: str) -> None:
    question = ("POST", f"{place}/secrets?dryRun=All", secret(name))
    assert fenced.ask(*question) == (201, "")
    assert fenced.ask("POST", f"{place}/secrets", secret(name)) == (201, "")
    status, message = fenced.ask(*question)
    assert (status, "already exists" in message) == (409, True)


def test_the_question_whether_a_key_exists_has_to_have_the_form_of_one(fenced: Fenced, place: str) -> None:
    """The fence looks before the name is taken: a bare Secret asks nothing, whether the key is there or not."""
    bare = secret(stringData={})
    assert "with the key ring-key alone" in fenced.refused("POST", f"{place}/secrets?dryRun=All", bare)
    assert fenced.ask("POST", f"{place}/secrets", secret()) == (201, "")
    assert "with the key ring-key alone" in fenced.refused("POST", f"{place}/secrets?dryRun=All", bare)


KEY = f"may create Secrets of ring keys only: named habitat-ring-*-key and labelled {MANAGER}=habitat-webhook"
IMMUTABLE = "may create immutable Secrets only: immutable must be true"
OPAQUE = "may create Secrets of type Opaque with the key ring-key alone"
REFUSED_SECRETS = {
    "name": (secret("web"), KEY),
    "no ring": (secret("habitat-ring-key"), KEY),
    "beginning of the name": (secret("a-habitat-ring-x-key"), KEY),
    "end of the name": (secret("habitat-ring-x-keys"), KEY),
    "no labels": (secret(labels={}), KEY),
    "other labels": (secret(labels={"a": "b"}), KEY),
    "other manager": (secret(labels={MANAGER: "Helm"}), KEY),
    "mutable": (secret(immutable=False), IMMUTABLE),
    "mutable by default": (secret(immutable=None), IMMUTABLE),
    "no data": (secret(stringData={}), OPAQUE),
    "another key": (secret(stringData={"x": "y"}), OPAQUE),
    "one more key": (secret(stringData={"ring-key": "x", "x": "y"}), OPAQUE),
}


@pytest.mark.parametrize("case", REFUSED_SECRETS)
def test_no_other_secret_is_made(fenced: Fenced, common_place: str, case: str) -> None:
    body, said = REFUSED_SECRETS[case]
    assert fenced.refused("POST", f"{common_place}/secrets", body).endswith(said)


def test_no_token_is_had_by_way_of_a_secret(fenced: Fenced, common_place: str) -> None:
    """Kubernetes would write a token of the account `default` into it, and keys of shared rings may be read."""
    body = secret("habitat-ring-shared-key", type="kubernetes.io/service-account-token")
    body["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    assert fenced.refused("POST", f"{common_place}/secrets", body).endswith(OPAQUE)


def test_a_key_is_neither_overwritten_nor_deleted(fenced: Fenced, place: str) -> None:
    path = f"{place}/secrets/habitat-ring-default-key"
    assert fenced.ask("POST", f"{place}/secrets", secret()) == (201, "")
    before = fenced.read(path)
    for way, request in (
        ("UPDATE", ("PUT", path, before)),
        ("UPDATE", ("PATCH", path, {"metadata": {"annotations": {"a": "b"}}}, MERGE_PATCH)),
        ("DELETE", ("DELETE", path)),
        ("DELETE", ("DELETE", f"{place}/secrets")),  # the whole collection
    ):
        said = fenced.refused(*request)
        assert said.endswith(f"may create Secrets, and neither change nor delete one; this is {way}")
    assert fenced.read(path) == before

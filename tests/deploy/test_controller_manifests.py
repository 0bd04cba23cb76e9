"""The controller's roles and its fence: taken by a real API server, and no more rights than they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster
from tests.controlplane.cluster import ControlPlane
from tests.deploy.fenced import Fenced
from tests.support import audit
from tests.support.controller_rights import (
    ACCOUNT,
    CERTIFICATES,
    FENCE,
    NAMESPACE,
    RIGHTS,
    SHARED_RINGS,
    WATCH_SECRETS,
    installed,
    installed_as_shipped,
    moved,
    shipped,
    user_name,
)

ROLES = (RIGHTS, CERTIFICATES, SHARED_RINGS, WATCH_SECRETS)
ALL = (*ROLES, FENCE)


def test_the_types_of_every_expression_are_right(fenced: Fenced) -> None:
    """kube-controller-manager compiles them with the schemas of what they match, and writes down what it minds."""
    policies = [d for d in fenced.rights.documents if d["kind"] == "ValidatingAdmissionPolicy"]
    assert len(policies) == 4
    for policy in policies:
        name = policy["metadata"]["name"]

        def checked(name: str = name) -> dict[str, Any] | None:
            status: dict[str, Any] = fenced.cluster.get("validatingadmissionpolicy", name).get("status", {})
            return status if "typeChecking" in status else None

        assert fenced.cluster.wait(f"the types of {name}", checked)["typeChecking"] == {}


def test_policies_refuse_what_they_cannot_decide_and_nobody_else() -> None:
    documents = shipped(FENCE)
    policies = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [d["spec"] for d in documents if d["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {b["policyName"] for b in bindings} == set(policies)
    assert all("Deny" in b["validationActions"] and "matchResources" not in b for b in bindings)
    for policy in policies.values():
        assert policy["failurePolicy"] == "Fail"
        [condition] = policy["matchConditions"]
        assert condition["expression"].endswith(f"request.userInfo.username == '{user_name(NAMESPACE)}'")
        # 403, so that a denial is counted with those of RBAC.
        assert {v["reason"] for v in policy["validations"]} == {"Forbidden"}


def test_every_binding_names_the_account_and_a_role_of_its_part() -> None:
    for part in ROLES:
        documents = shipped(part)
        assert documents
        roles = {(d["kind"], d["metadata"]["name"]) for d in documents if d["kind"] in ("ClusterRole", "Role")}
        bindings = [d for d in documents if d["kind"].endswith("Binding")]
        assert {(b["roleRef"]["kind"], b["roleRef"]["name"]) for b in bindings} == roles
        for binding in bindings:
            assert binding["subjects"] == [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]


def test_no_rule_has_a_wildcard() -> None:
    rules = [r for d in shipped(*ROLES) for r in d.get("rules", ())]
    assert "*" not in json.dumps(rules)


def test_a_copy_for_a_test_shares_no_name_with_what_is_shipped() -> None:
    copies = moved(shipped(*ALL), "elsewhere", "-x")
    assert {d["kind"] for d in shipped(*ALL)} - {d["kind"] for d in copies} == {"Namespace"}
    for copy in copies:
        assert copy["metadata"].get("namespace") == "elsewhere" or copy["metadata"]["name"].endswith("-x")
    text = json.dumps(copies)
    assert f'"namespace": "{NAMESPACE}"' not in text
    assert f"serviceaccount:{NAMESPACE}:" not in text


def test_the_parts_as_they_are_give_the_account_its_rights_and_fence_it_in(tmp_path: Path) -> None:
    """In a cluster of its own, and by its audit log: the Namespace, the fixed names and the user name go together."""
    user = user_name(NAMESPACE)
    with ControlPlane(nodes=1, apiserver_flags=audit.flags(tmp_path, user)) as cluster:
        rights = installed_as_shipped(cluster, *ALL)
        assert audit.calls(tmp_path, user) == []
        service = {"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
        lease = "/apis/coordination.k8s.io/v1/namespaces/habitat-webhook/leases/habitat-webhook-controller"
        token = rights.token()
        assert cluster.request("GET", lease, token=token)[0] == 404
        assert cluster.request("GET", lease + "-2", token=token)[0] == 403
        assert cluster.request("POST", "/api/v1/namespaces/default/services", service, token=token)[0] == 403
        by_the_fence, by_rbac = audit.forbidden(audit.calls(tmp_path, user))
        unused = audit.unused_rules(rights.roles, audit.calls(tmp_path, user))
    assert 'cannot get resource "leases"' in by_rbac.message
    assert "ValidatingAdmissionPolicy 'habitat-webhook-controller-services'" in by_the_fence.message
    assert set(audit.unused_rules(rights.roles, [])) - set(unused) == {
        audit.Right("get", "coordination.k8s.io", "leases", ACCOUNT, f"Role {ACCOUNT}")
    }


@pytest.mark.parametrize(
    ("parts", "codes"),
    [
        ((RIGHTS,), (403, 403, 403)),
        ((RIGHTS, SHARED_RINGS), (404, 403, 403)),
        ((RIGHTS, SHARED_RINGS, WATCH_SECRETS), (404, 404, 200)),
    ],
    ids=["plain", "shared rings", "watch secrets"],
)
def test_secrets_are_read_only_as_far_as_a_part_allows(
    cluster: Cluster, namespace: str, parts: tuple[str, ...], codes: tuple[int, ...]
) -> None:
    paths = ("/habitat-ring-shared-key", "/habitat-ring-default-key", "")
    with installed(cluster, *parts) as rights:
        token, secrets = rights.token(), f"/api/v1/namespaces/{namespace}/secrets"
        assert tuple(cluster.request("GET", secrets + path, token=token)[0] for path in paths) == codes

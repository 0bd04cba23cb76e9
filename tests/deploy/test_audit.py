"""tests/support/audit.py: what the API server's audit log says about one user, and what follows for its rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.support import audit
from tests.support.audit import Call, Right, forbidden, unused_rules

USER = "system:serviceaccount:here:controller"


def call(verb: str, resource: str, *, code: int = 200, **known: str) -> Call:
    """A call of the core group; keyword arguments name what else is known."""
    parts = {"api_group": "", "subresource": "", "namespace": "", "name": ""} | known
    return Call(verb, resource=resource, code=code, **parts)


def role(*rules: dict[str, list[str]], kind: str = "ClusterRole", **metadata: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "r", **metadata}, "rules": list(rules)}


def pods(*verbs: str) -> dict[str, list[str]]:
    return {"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}


def event(**parts: Any) -> str:
    whole = {
        "auditID": "1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods?watch=1",
        "verb": "list",
        "user": {"username": USER},
        "objectRef": {"resource": "pods", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
    }
    return json.dumps(whole | parts) + "\n"


def test_refused_calls_are_found_each_kind_once() -> None:
    refused = [call("get", "secrets", code=403, name="a"), call("list", "pods", code=401)]
    assert forbidden([call("list", "pods"), *refused, *refused, call("get", "pods", code=404)]) == refused


def test_an_expected_refusal_is_none() -> None:
    status = call("patch", "pods", subresource="status", code=403)
    assert forbidden([status], expected=[("patch", "pods/status")]) == []
    assert forbidden([status], expected=[("patch", "pods"), ("get", "pods/status")]) == [status]


def test_a_right_is_used_by_a_call_of_its_verb_group_and_resource() -> None:
    rights = role(pods("list", "watch"), {"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["list"]})
    assert unused_rules([rights], [call("list", "pods")]) == [
        Right("list", "apps", "pods", "", "ClusterRole r"),
        Right("watch", "", "pods", "", "ClusterRole r"),
    ]
    others = [call("watch", "pods", namespace="shop", name="x"), call("list", "pods", api_group="apps")]
    assert unused_rules([rights], [call("list", "pods"), *others]) == []


def test_a_refused_call_uses_nothing() -> None:
    assert unused_rules([role(pods("list"))], [call("list", "pods", code=403)])
    assert not unused_rules([role(pods("list"))], [call("list", "pods", code=404)])


def test_a_subresource_is_another_resource() -> None:
    rights = role({"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["patch"]})
    [unused] = unused_rules([rights], [call("patch", "pods", subresource="status")])
    assert unused.resource == "pods"


def test_each_name_of_a_rule_has_to_be_used() -> None:
    rights = role({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"], "verbs": ["get"]})
    [unused] = unused_rules([rights], [call("get", "secrets", name="b"), call("get", "secrets", name="c")])
    assert unused.name == "a"


def test_a_role_is_used_in_its_namespace_only() -> None:
    rights = role(pods("get"), kind="Role", namespace="here")
    assert unused_rules([rights], [call("get", "pods", namespace="there", name="x"), call("get", "pods")])
    assert not unused_rules([rights], [call("get", "pods", namespace="here", name="x")])


@pytest.mark.parametrize(
    "rule",
    [pods("*"), {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, pods("get") | {"resources": ["*/scale"]}],
)
def test_a_rule_that_allows_what_nobody_can_list_is_refused(rule: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="name each verb, group and resource"):
        unused_rules([role(rule)], [])


def test_a_watch_counts_once_and_a_half_written_line_not_at_all() -> None:
    started = event(stage="ResponseStarted", verb="watch")
    half = event(auditID="2")[:40]
    [only] = audit.parse(started + event(verb="watch") + half, USER)
    assert (only, only.path) == (call("watch", "pods"), "/api/v1/pods")


def test_other_users_do_not_count_but_an_unknown_token_does() -> None:
    other = event(auditID="2", user={"username": "admin"})
    unknown = event(auditID="3", user={}, responseStatus={"code": 401, "message": "Unauthorized"})
    anonymous = event(auditID="4", user={}, responseStatus={"code": 200})
    [only] = audit.parse(other + unknown + anonymous, USER)
    assert (only.code, only.message) == (401, "Unauthorized")


def test_the_name_of_what_is_created_is_none_that_rbac_knew() -> None:
    made = {"resource": "pods", "name": "web", "namespace": "shop"}
    bound = made | {"subresource": "binding"}
    log = event(verb="create", objectRef=made) + event(auditID="2", verb="create", objectRef=bound)
    assert [c.name for c in audit.parse(log, USER)] == ["", "web"]


RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: audited, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: audited}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [list, watch]}
  - {apiGroups: [""], resources: [secrets], verbs: [create]}
  - {apiGroups: [""], resources: [configmaps], resourceNames: [kube-root-ca.crt, other], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: audited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: audited}
subjects: [{kind: ServiceAccount, name: audited, namespace: default}]
"""


def test_the_log_of_a_real_api_server_tells_calls_refusals_and_unused_rules(tmp_path: Path) -> None:
    user = "system:serviceaccount:default:audited"
    with ControlPlane(nodes=1, apiserver_flags=audit.flags(tmp_path, user)) as cluster:
        cluster.apply(RIGHTS)
        token = cluster.token("default", "audited")

        def ask(method: str, path: str, body: Any = None, *, by: str | None = token) -> int:
            status, _ = cluster.request(method, path, body, token=by)
            return status

        cluster.wait("the rights", lambda: ask("GET", "/api/v1/pods") == 200)
        watch = cluster.connect(administrator=False)
        watch.request("GET", "/api/v1/pods?watch=1", headers={"Authorization": f"Bearer {token}"})
        assert watch.getresponse().status == 200
        assert ask("POST", "/api/v1/namespaces/default/secrets?dryRun=All", {"metadata": {"name": "s"}}) == 201
        assert ask("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt") == 200
        assert ask("GET", "/api/v1/namespaces/default/configmaps/missing") == 403
        assert ask("PATCH", "/api/v1/namespaces/default/pods/x/status", {}) == 403
        assert ask("GET", "/version") == 200
        assert ask("GET", "/api/v1/nodes", by="nobody") == 401
        assert ask("GET", "/api/v1/nodes", by=None) == 200
        # Neither asking about a right nor using it in another's name is using it.
        cluster.kubectl("auth", "can-i", "get", "configmap/other", as_=user)
        cluster.run_kubectl("get", "configmap/other", as_=user)
        done = [c for c in audit.calls(tmp_path, user) if c.path != "/api/v1/pods" or c.code != 403]
        roles = [cluster.get("clusterrole", "audited")]
        watch.close()
    assert set(done) == {
        call("list", "pods"),
        call("watch", "pods"),
        call("create", "secrets", code=201, namespace="default"),
        call("get", "configmaps", name="kube-root-ca.crt", namespace="default"),
        call("get", "configmaps", name="missing", code=403, namespace="default"),
        call("patch", "pods", subresource="status", name="x", code=403, namespace="default"),
        call("get", ""),
        call("list", "nodes", code=401),
    }
    assert [(c.verb, c.resource, c.code) for c in forbidden(done, expected=[("patch", "pods/status")])] == [
        ("get", "configmaps", 403),
        ("list", "nodes", 401),
    ]
    [missing] = [c for c in done if c.name == "missing"]
    assert 'cannot get resource "configmaps"' in missing.message
    assert unused_rules(roles, done) == [Right("get", "", "configmaps", "other", "ClusterRole audited")]

"""Where the cluster is, and who we are there; no message may hold a credential."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config

from tests.controlplane.client import Cluster
from tests.kube.server import scripted
from webhook.kube.client import ApiError, Client, ConfigError
from webhook.kube.config import load

SECRET = "s3cr3t-T0ken"


@pytest.fixture(autouse=True)
def _nobodys_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the kubeconfig of who runs the tests, nor the pod they may run in."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def kubeconfig(path: Path, user: object, **context: str) -> Path:
    content = {
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", **context}},
            {"name": "two", "context": {"cluster": "c", "user": "u", "namespace": "second"}},
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def in_pod(monkeypatch: pytest.MonkeyPatch, folder: Path, cluster: Cluster, *, token: str) -> Path:
    """As in a pod: the variables, and the folder of a ServiceAccount. Returns the token's file."""
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("habitat-webhook\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(cluster.ca))
    return folder / "token"


def test_namespace_is_that_of_the_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"token": SECRET}, namespace="first")
    assert load(path, "").namespace == "first"
    assert load(path, "two").namespace == "second"
    assert load(kubeconfig(path, {}), "").namespace == "default"


def test_variable_kubeconfig_may_name_several_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {}, namespace="from-variable")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}{os.pathsep}{path}")
    assert load(None, "").namespace == "from-variable"


def test_kubeconfig_in_the_home_folder_is_the_last_resort(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no kubeconfig at ~/\.kube/config; name one with --kubeconfig"):
        load(None, "")
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", {}, namespace="from-home")
    assert load(None, "").namespace == "from-home"


def test_pod_uses_its_serviceaccount_unless_a_kubeconfig_or_context_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Cluster
) -> None:
    path = kubeconfig(tmp_path / "config", {}, namespace="named")
    monkeypatch.setenv("KUBECONFIG", str(path))
    in_pod(monkeypatch, tmp_path, cluster, token=SECRET)
    assert load(None, "").namespace == "habitat-webhook"
    assert load(None, "two").namespace == "second"
    assert load(path, "").namespace == "named"
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "no-token"))
    assert load(None, "").namespace == "named"


def test_exchanged_token_of_a_serviceaccount_is_used_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Cluster, namespace: str
) -> None:
    """It is read every minute anyway; a 401 does not wait for that."""
    token_file = in_pod(monkeypatch, tmp_path, cluster, token=SECRET)
    client = Client.connect()
    whoami = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    token_file.write_text(cluster.token(namespace, "default"))
    answer = client.create(path, whoami)
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    client.close()


def test_refused_credential_is_looked_for_again_only_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Cluster
) -> None:
    in_pod(monkeypatch, tmp_path, cluster, token=SECRET)
    client = Client.connect()
    calls: list[tuple[str, str, int]] = []
    client.on_call = lambda *call: calls.append(call)
    for _ in range(3):
        with pytest.raises(ApiError) as refused:
            client.get("/api/v1/namespaces/default/pods")
        assert refused.value.status == 401
        assert SECRET not in str(refused.value)
    assert calls == [("get", "pods", 401)] * 4
    client.close()


def test_client_certificate_opens_the_door(client: Client) -> None:
    answer = client.create(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    assert answer["status"]["userInfo"]["username"] == "admin"


PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(str(int(count.read_text()) + 1) if count.exists() else "1")
status = {"token": "token-" + count.read_text()}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


def plugin(*arguments: str) -> dict[str, object]:
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": list(arguments),
            "interactiveMode": "Never",
        }
    }


def test_credential_plugin_is_run_again_when_its_token_is_refused(tmp_path: Path) -> None:
    def second_token_only(request: object) -> None:
        good = request.headers["Authorization"] == "Bearer token-2"  # type: ignore[attr-defined]
        request.send(200 if good else 401, {"good": good})  # type: ignore[attr-defined]

    with scripted(second_token_only) as server:
        path = server.kubeconfig(tmp_path / "config", **plugin("-c", PLUGIN, str(tmp_path / "count")))
        client = Client.connect(path)
        assert client.get("/api/v1/nodes") == {"good": True}
        assert client.create("/api/v1/nodes", {}) == {"good": True}
        assert [request.headers["Authorization"] for request in server.requests] == [
            "Bearer token-1",
            "Bearer token-2",
            "Bearer token-2",
        ]
        client.close()


def test_credential_plugin_that_fails_is_an_error_rather_than_an_anonymous_user(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", plugin("-c", "import sys; sys.exit(3)"))
    with pytest.raises(ConfigError, match=r"the credential plugin .* of user 'u' gave no credential; run it by hand"):
        load(path, "")


def test_token_file_with_a_newline_is_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    with scripted(lambda request: request.send(200, {"as": request.headers["Authorization"]})) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config", tokenFile=str(tmp_path / "token")))
        assert client.get("/api/v1/nodes") == {"as": f"Bearer {SECRET}"}
        client.close()


def test_token_file_that_has_gone_is_said_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    with scripted(lambda request: request.send(401, {"kind": "Status", "code": 401})) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config", tokenFile=str(tmp_path / "token")))
        (tmp_path / "token").unlink()
        with pytest.raises(ApiError) as refused:
            client.get("/api/v1/nodes")
        assert str(refused.value) == "GET /api/v1/nodes: 401 Unauthorized: without a message"
        client.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no kubeconfig|file is empty"),
        ("a: [", "is not YAML, line 1"),
        ("[1, 2]", "is no kubeconfig"),
        ("current-context: x\n", "Expected object with name x in"),
        (
            json.dumps(
                {
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "gone", "user": "u"}}],
                    "users": [{"name": "u", "user": {"token": SECRET}}],
                    "clusters": [],
                }
            ),
            "gone in .*clusters",
        ),
        (
            json.dumps(
                {
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                    "users": [{"name": "u", "token": SECRET}],
                }
            ),
            "Expected key user in",
        ),
        (
            json.dumps(
                {
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                    "users": [{"name": "u", "user": {"client-key-data": SECRET, "client-certificate-data": "%"}}],
                }
            ),
            "wrong form",
        ),
    ],
)
def test_kubeconfig_that_cannot_be_used_is_named_and_not_quoted(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said) as refused:
        load(path, "")
    assert str(path) in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_context_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {})
    with pytest.raises(ConfigError, match=r"Expected object with name three in .*contexts"):
        load(path, "three")


def test_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"no kubeconfig at {tmp_path}/none"):
        load(tmp_path / "none", "")

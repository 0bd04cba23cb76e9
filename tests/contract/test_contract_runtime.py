"""Probes, peers, configuration and files as the Supervisor and the kubelet treat them (supervisor.md §0, §4–7, §15)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.making import Injected, args, env, injected, outcome_of, ready
from tests.support.supervisor import (
    Image,
    container_named,
    env_name,
    environment,
    file_at,
    judge,
    place_of,
    probe_passes,
    read_peers,
    user_toml_path,
    watched_peers,
)
from tests.support.supervisor.world import World
from webhook.inject import Reason, apply, inject

PROBES = ("readinessProbe", "startupProbe", "livenessProbe")


def passes(made: Injected, kind: str, state: Any) -> bool | None:
    return probe_passes(made.container[kind], made.supervisor, made.container, state)


PROBED: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({}, {"http-port": "7002"}),
    ({}, {"group": "blue", "org": "acme"}),
    ({}, {"gateway-auth-secret": "gate"}),
    ({}, {"gateway-auth-secret": "gate", "http-port": "7002", "org": "acme"}),
    (args("--org", "acme", "--group=blue"), {}),
    (args("--listen-http", "0.0.0.0:8080"), {}),
    (args("--listen-http=127.0.0.1:9631"), {}),
    (args("--key=/k", "--certs=/c"), {}),
    (args("--key=/k", "--certs=/c"), {"gateway-auth-secret": "gate"}),
    (env(HAB_LISTEN_HTTP="0.0.0.0:8080"), {}),
    (env(HAB_SUP_GATEWAY_AUTH_TOKEN="t0ken"), {}),
    (args("run", "acme/web", "--org=a"), {}),
    (args("--listen-http=$(POD_IP):9631"), {}),
    (args("--listen-http=$(POD_IP):9631"), {"gateway-auth-secret": "gate"}),
    (args("--listen-http=127.0.0.1:9631"), {"gateway-auth-secret": "gate"}),
    ({"ports": [{"name": "hab-http", "containerPort": 9631}]}, {}),
    ({"ports": [{"name": "gateway", "containerPort": 9631, "protocol": "UDP"}]}, {}),
]


@pytest.mark.parametrize(("container", "annotations"), PROBED, ids=str)
def test_readiness_follows_the_service_and_the_others_follow_the_supervisor(
    container: dict[str, Any], annotations: dict[str, str]
) -> None:
    """§5: liveness on the service's health would kill a pod that only waits for binds or a quorum."""
    made = ready(container, annotations)
    seen = {
        kind: [passes(made, kind, s) for s in ("ok", "warning", "unknown", "critical", "starting")] for kind in PROBES
    }
    assert seen["readinessProbe"] == [True, True, False, False, False]
    assert seen["startupProbe"] == [True, True, True, True, False]
    assert seen["livenessProbe"] == [True, True, True, True, False]


@pytest.mark.parametrize(("container", "annotations"), PROBED, ids=str)
def test_no_probe_names_a_host_or_uses_wgets_time_out(container: dict[str, Any], annotations: dict[str, str]) -> None:
    made = injected(container, annotations)
    for kind in PROBES:
        assert "host" not in made.container[kind].get("httpGet", {})
        assert not any(" -T" in word for word in made.container[kind].get("exec", {}).get("command", []))


@pytest.mark.parametrize("words", [["--http-disable"], ["-D"], ["--key=/k", "--certs=/c", "--ca-certs=/a"]])
def test_a_gateway_that_cannot_be_probed_gets_no_probes(words: list[str]) -> None:
    made = ready(args(*words))
    assert not any(kind in made.container for kind in PROBES)


def test_a_probe_of_the_users_stays_and_only_the_others_are_added() -> None:
    own = {"httpGet": {"path": "/ready", "port": 8080}}
    made = ready({"readinessProbe": own})
    assert made.container["readinessProbe"] == own
    assert passes(made, "livenessProbe", "ok")


def test_a_probe_of_the_users_on_a_guarded_gateway_is_not_passed_over_in_silence() -> None:
    """§0: with a token every path is 401 without it, so this pod would never be ready."""
    own = {"httpGet": {"path": "/services/web/default/health", "port": 9631}}
    outcome = outcome_of({"readinessProbe": own}, {"gateway-auth-secret": "gate"})
    assert outcome.reason is Reason.INVALID or any("readinessProbe" in warning for warning in outcome.warnings)


# --- peers ---------------------------------------------------------------------------------------------------------


def test_the_annotation_peers_is_what_the_supervisor_reads() -> None:
    made = ready()
    place = place_of(made.container, made.pod, Image())
    assert watched_peers(made.supervisor, place, made.pod, World()).fate == "waits"
    made.pod["metadata"]["annotations"]["habitat.sh/peers"] = "10.0.0.7\n10.0.0.8\n"
    seen = watched_peers(made.supervisor, place, made.pod, World())
    assert seen == read_peers("10.0.0.7\n10.0.0.8\n")
    assert seen.addresses == (("10.0.0.7", 9638), ("10.0.0.8", 9638))


def test_the_peers_are_mounted_as_a_directory_and_read_only() -> None:
    made = ready()
    (mount,) = [mount for mount in made.container["volumeMounts"] if mount["name"] == "habitat-peers"]
    assert mount == {"name": "habitat-peers", "mountPath": "/habitat", "readOnly": True}


def test_stale_peers_of_a_copied_template_never_reach_a_supervisor() -> None:
    """§0: a wrong start cannot be corrected by a list."""
    made = ready()
    copied = {**made.pod, "metadata": {**made.pod["metadata"]}}
    copied["metadata"]["annotations"] = {**made.pod["metadata"]["annotations"], "habitat.sh/peers": "10.9.9.9\n"}
    outcome = inject(copied)
    after = apply(copied, outcome.operations)
    assert after["metadata"]["annotations"].get("habitat.sh/peers", "") == ""
    assert any("peers" in warning for warning in outcome.warnings)


# --- configuration -------------------------------------------------------------------------------------------------

TEXTS = [
    "port = 8080",
    'greeting = "$(PORT)"',
    'price = "$$5, $(POD_IP), $$(PORT) and $"',
    "[a]\nb = 'c'\n# tail $(",
    '{"port": 8080, "x": "$(PORT)"}',
    'emoji = "🐳 ü"\r\nx = 1\n',
]


@pytest.mark.parametrize("text", TEXTS)
def test_configuration_reaches_the_process_letter_by_letter(text: str) -> None:
    """A kubelet expands `$(VAR)` and `$$` in every value; the Supervisor must see what the user wrote."""
    made = ready(env(PORT="80"), {"config": text})
    assert environment(made.container, made.pod, World())[env_name("web")] == text


def test_the_configurations_variable_is_named_after_the_package() -> None:
    made = ready({}, {"service": "", "package": "core/my-web", "config": "a = 1"}, image=Image(ident="core/my-web"))
    assert made.env("HAB_MY_WEB") == "a = 1"


@pytest.mark.parametrize("annotation", ["config-secret", "config-map"])
def test_a_configuration_object_is_user_toml_in_a_directory(annotation: str) -> None:
    made = ready({}, {annotation: "web-config"})
    place = place_of(made.container, made.pod, Image())
    assert file_at(user_toml_path("web"), place, made.pod, World()) == "# user.toml of web-config\n"
    mount = place.covering(user_toml_path("web"))
    assert mount is not None
    assert (mount.path, mount.sub_path) == ("/hab/user/web/config", "")


# --- files ---------------------------------------------------------------------------------------------------------


def secret_volume(folder: Path, files: dict[str, bytes]) -> None:
    """A Secret's folder as a kubelet makes it: data behind a dated folder, `..data`, and links to the files."""
    dated = folder / "..2026_11_21_08_00_00.1234567890"
    dated.mkdir(parents=True)
    for name, content in files.items():
        (dated / name).write_bytes(content)
        (folder / name).symlink_to(Path("..data") / name)
    (folder / "..data").symlink_to(dated.name)


@pytest.mark.parametrize(
    "files",
    [{"a.pem": b"one\n", ".hidden": b"two\n", "b-_.c": b"3", "-n": b"4"}, {".only": b"5"}, {}],
    ids=["several", "hidden", "none"],
)
def test_the_init_container_copies_the_plain_files_and_nothing_else(tmp_path: Path, files: dict[str, bytes]) -> None:
    """§0: `cp -rL` would also copy the `..data` and the dated folder."""
    source, target = tmp_path / "source", tmp_path / "target"
    secret_volume(source, files)
    target.mkdir()
    made = ready({}, {"files-secret": "web-files"})
    copier = container_named(made.pod, "habitat-files")
    paths = {mount["name"]: mount["mountPath"] for mount in copier["volumeMounts"]}
    places = {paths["habitat-files-source"]: str(source), paths["habitat-files"]: str(target)}
    command = [places.get(word, word) for word in [*copier["command"], *(copier.get("args") or [])]]
    subprocess.run(command, check=True, timeout=20)
    copied = {path.name: path.read_bytes() for path in target.iterdir()}
    assert copied == files


def test_the_init_container_is_the_apps_own_image_and_restricted() -> None:
    made = ready({}, {"files-secret": "web-files"})
    copier = container_named(made.pod, "habitat-files")
    assert copier["image"] == made.container["image"]
    assert copier["securityContext"]["allowPrivilegeEscalation"] is False
    assert copier["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_files_arrive_in_a_folder_that_the_supervisor_may_change() -> None:
    """§15: the Supervisor changes the owner of files, so a read-only Secret mount would not do."""
    made = ready({}, {"files-secret": "web-files"})
    mount = place_of(made.container, made.pod, Image()).covering("/hab/svc/web/files")
    assert mount is not None
    assert mount.volume.get("emptyDir") == {}
    assert not mount.read_only


@pytest.mark.parametrize(
    ("chosen", "volumes"),
    [
        ({"data-claim": "web-data"}, []),
        ({"data-volume": "mine"}, [{"name": "mine", "persistentVolumeClaim": {"claimName": "web-data"}}]),
    ],
)
def test_data_is_mounted_where_the_service_keeps_it(chosen: dict[str, str], volumes: list[dict[str, Any]]) -> None:
    made = ready({}, chosen, volumes=volumes)
    mount = place_of(made.container, made.pod, Image()).covering("/hab/svc/web/data")
    assert mount is not None
    assert (mount.path, mount.volume["persistentVolumeClaim"]["claimName"]) == ("/hab/svc/web/data", "web-data")
    # §15: folders that exist are not given to the service's user; the claim needs its group.
    assert made.pod["spec"]["securityContext"]["fsGroup"] == 42


# --- a native sidecar as the target --------------------------------------------------------------------------------


def test_a_named_native_sidecar_runs_the_supervisor() -> None:
    sidecar = {"name": "web", "image": "example/web:1", "restartPolicy": "Always"}
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-0",
            "annotations": {
                "habitat.sh/service": "web",
                "habitat.sh/container": "web",
                "habitat.sh/license": "accept-no-persist",
                "habitat.sh/files-secret": "web-files",
            },
        },
        "spec": {"initContainers": [sidecar], "containers": [{"name": "app", "image": "example/app:1"}]},
    }
    outcome = inject(pod)
    after = apply(pod, outcome.operations)
    assert type(judge(after, "web", Image())).__name__ == "Ready"
    names = [container["name"] for container in after["spec"]["initContainers"]]
    assert names.index("habitat-files") < names.index("web"), "the files must be there before the Supervisor starts"
    assert after["spec"]["containers"] == pod["spec"]["containers"]
    assert inject(after).operations == []

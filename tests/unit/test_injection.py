"""What goes into a pod, part by part, and how the user's own settings win."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.making import PEERS, a_pod, env, injected, mounts, problems, with_redis
from webhook.decide import Layer
from webhook.inject import Rules, Situation, apply, inject, uninject

# environment ----------------------------------------------------------------------------------------------------------


def test_environment_is_appended_and_never_empty() -> None:
    users = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    container, _ = injected(a_pod(with_redis(ring="cache", config="a = 1"), env=users), Situation(namespace="shop"))
    assert container["env"][:2] == users
    said = env(container)
    assert said["HAB_LISTEN_GOSSIP"] == "0.0.0.0:9638"
    assert said["HAB_LISTEN_HTTP"] == "0.0.0.0:9631"
    assert said["HAB_LISTEN_CTL"] == "127.0.0.1:9632"
    assert said["HABITAT_RING"] == "cache"
    assert said["HABITAT_RING_SERVICE"] == "habitat-ring-cache.shop.svc.cluster.local"
    assert said["HAB_LICENSE"] == "accept-no-persist"
    assert said["HAB_REDIS"] == "a = 1"
    assert said["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert all(said.values())


def test_secrets_come_by_reference() -> None:
    annotations = {"ring-key": "managed", "gateway-auth-secret": "gw", "builder-auth-secret": "bldr", "ring": "cache"}
    container, _ = injected(a_pod(with_redis() | annotations))
    said = env(container)
    assert said["HAB_RING_KEY"] == {"secretKeyRef": {"name": "habitat-ring-cache-key", "key": "ring-key"}}
    assert said["HAB_SUP_GATEWAY_AUTH_TOKEN"] == {"secretKeyRef": {"name": "gw", "key": "token"}}
    assert said["HAB_AUTH_TOKEN"] == {"secretKeyRef": {"name": "bldr", "key": "token"}}


def test_users_variable_wins_and_a_value_from_elsewhere_is_named() -> None:
    users = [{"name": "POD_IP", "value": "10.9.9.9"}, {"name": "HAB_LICENSE", "valueFrom": {"configMapKeyRef": {}}}]
    container, outcome = injected(a_pod(env=users))
    assert container["env"][:2] == users
    assert [v["name"] for v in container["env"]].count("POD_IP") == 1
    assert any("HAB_LICENSE" in w and "valueFrom" in w for w in outcome.warnings)


def test_users_listen_address_moves_ports_and_probes() -> None:
    container, _ = injected(a_pod(env=[{"name": "HAB_LISTEN_HTTP", "value": "0.0.0.0:8080"}]))
    assert container["readinessProbe"]["httpGet"]["port"] == 8080
    by_flag, outcome = injected(a_pod(with_redis(http_port="7000"), args=["--listen-http=0.0.0.0:8081"]))
    assert by_flag["livenessProbe"]["httpGet"]["port"] == 8081
    assert {p["containerPort"] for p in by_flag["ports"]} == {9638, 8081}
    assert any("wins over the annotation habitat.sh/http-port" in w for w in outcome.warnings)


def test_empty_variable_that_stops_the_supervisor_is_refused() -> None:
    [said] = problems(a_pod(env=[{"name": "HAB_RING_KEY", "value": ""}]))
    assert "HAB_RING_KEY is empty" in said


def test_missing_licence_is_said_and_never_accepted() -> None:
    container, outcome = injected(a_pod({"service": "redis"}))
    assert "HAB_LICENSE" not in env(container)
    assert any("no licence is accepted" in w for w in outcome.warnings)


def test_no_message_holds_the_value_of_a_variable() -> None:
    variables = [{"name": n, "value": v} for n, v in {"PW": "swordfish", "URL": "https://me:hunter2@b"}.items()]
    many = (
        ["--url=$(URL)", "--group=$(PW)", "--$(PW)"],
        ["run", "core/$(PW)"],
        ["$(PW)"],
        ["--group=a $(PW)"],
        ["--bind=$(PW)"],
    )
    for args in (*many, ["--listen-http=$(PW)"], ["--org=$(PW)", "core/$(PW)"]):
        outcome = inject(
            a_pod(with_redis(group="x", channel="stable", builder_url="https://b"), args=args, env=variables)
        )
        said = repr((outcome.warnings, outcome.message()))
        assert "swordfish" not in said
        assert "hunter2" not in said


# ports and probes -----------------------------------------------------------------------------------------------------


def test_ports_that_are_there_are_not_added_again() -> None:
    users = [{"containerPort": 9631}, {"containerPort": 9638, "protocol": "UDP", "name": "gossip"}]
    container, _ = injected(a_pod(ports=users))
    assert container["ports"] == [*users, {"name": "hab-gossip-tcp", "containerPort": 9638, "protocol": "TCP"}]


def test_users_port_under_our_name_is_a_problem() -> None:
    [said] = problems(a_pod(ports=[{"containerPort": 80, "name": "hab-http"}]))
    assert "hab-http" in said


def test_probes_never_carry_a_host_and_liveness_asks_the_supervisor() -> None:
    container, _ = injected(a_pod())
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/"
    assert container["readinessProbe"]["httpGet"]["path"] == "/services/redis/default/health"
    assert not any("host" in container[p]["httpGet"] for p in ("livenessProbe", "startupProbe", "readinessProbe"))


def test_users_probe_stays_and_none_means_none() -> None:
    mine = {"tcpSocket": {"port": 6379}}
    container, _ = injected(a_pod(readinessProbe=mine))
    assert container["readinessProbe"] == mine
    bare, _ = injected(a_pod(with_redis(probes="none")))
    assert not any(name.endswith("Probe") for name in bare)
    only, _ = injected(a_pod(with_redis(probes="startup")))
    assert [name for name in only if name.endswith("Probe")] == ["startupProbe"]


def test_gateway_token_turns_probes_into_exec() -> None:
    container, _ = injected(a_pod(with_redis(gateway_auth_secret="gw")))
    [shell, flag, line] = container["readinessProbe"]["exec"]["command"]
    assert [shell, flag] == ["/bin/sh", "-c"]
    assert "Bearer $HAB_SUP_GATEWAY_AUTH_TOKEN" in line
    assert "http://127.0.0.1:9631/services/redis/default/health" in line
    assert " -T" not in line


def test_gateway_that_is_off_gets_no_probe_and_a_tls_one_https() -> None:
    off, outcome = injected(a_pod(args=["--http-disable"]))
    assert not any(name.endswith("Probe") for name in off)
    assert any("--http-disable" in w for w in outcome.warnings)
    tls, _ = injected(a_pod(args=["--key=/k", "--certs=/c"]))
    assert tls["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"


# configuration, files, data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["config-secret", "config-map"])
def test_configuration_is_a_directory_without_subpath(kind: str) -> None:
    container, _ = injected(a_pod(with_redis() | {kind: "conf"}))
    mount = next(m for m in container["volumeMounts"] if m["mountPath"] == "/hab/user/redis/config")
    assert mount == {"name": "habitat-config", "mountPath": "/hab/user/redis/config", "readOnly": True}


def test_files_are_copied_by_a_restricted_init_container_of_the_same_image() -> None:
    pod = a_pod(with_redis(files_secret="f"), imagePullPolicy="Never")
    container, outcome = injected(pod)
    [init] = apply(pod, outcome.operations)["spec"]["initContainers"]
    assert init["image"] == container["image"]
    assert init["imagePullPolicy"] == "Never"
    assert init["securityContext"]["runAsNonRoot"] is True
    assert mounts(container)["/hab/svc/redis/files"] == "habitat-files"


def test_files_are_copied_before_a_native_sidecar_target_starts() -> None:
    sidecar = {"name": "hab", "image": "i", "restartPolicy": "Always"}
    pod = a_pod(with_redis(container="hab", files_secret="f"), spec={"initContainers": [{"name": "x"}, sidecar]})
    outcome = inject(pod)
    after = apply(pod, outcome.operations)
    assert [c["name"] for c in after["spec"]["initContainers"]] == ["x", "habitat-files", "hab"]
    assert inject(after).reason.code == "AlreadyCurrent"
    assert uninject(after) == pod


def test_data_volume_must_exist_or_come_from_a_claim_template() -> None:
    pod = a_pod(with_redis(data_volume="data"))
    [said] = problems(pod)
    assert 'no volume "data"' in said
    _, outcome = injected(pod, Situation(claim_templates=frozenset({"data"})))
    assert apply(pod, outcome.operations)["spec"]["securityContext"] == {"fsGroup": 42}


def test_users_mount_at_our_path_is_a_problem() -> None:
    taken = [{"name": "mine", "mountPath": "/hab/user/redis/config/"}]
    [said] = problems(a_pod(with_redis(config_map="c"), volumeMounts=taken))
    assert said.startswith("spec.containers[app].volumeMounts:")


def test_users_volume_under_our_name_is_a_problem() -> None:
    [said] = problems(a_pod(spec={"volumes": [{"name": "habitat-peers", "emptyDir": {}}]}))
    assert said.startswith("spec.volumes:")


# target ---------------------------------------------------------------------------------------------------------------


def many(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": n, "image": "i"} for n in names]}


def test_target_is_what_is_left_without_well_known_sidecars() -> None:
    _, outcome = injected(a_pod(spec=many("istio-proxy", "web")))
    assert outcome.container == "web"


def test_target_by_annotation_then_by_kubectls_default() -> None:
    _, named = injected(a_pod(with_redis(container="b"), spec=many("a", "b")))
    assert named.container == "b"
    default = with_redis() | {"kubectl.kubernetes.io/default-container": "a"}
    assert injected(a_pod(default, spec=many("a", "b")))[1].container == "a"


def test_ambiguous_target_lists_the_containers() -> None:
    [said] = problems(a_pod(spec=many("a", "b")))
    assert said.endswith("set it to one of: a, b")
    assert "no container" in problems(a_pod(with_redis(container="c"), spec=many("a", "b")))[0]


def test_plain_init_container_is_never_the_target() -> None:
    spec = {"initContainers": [{"name": "setup", "image": "i"}]}
    [said] = problems(a_pod(with_redis(container="setup"), spec=spec))
    assert "has to end before the pod starts" in said


# membership, record, again --------------------------------------------------------------------------------------------


def test_labels_are_complete_and_a_foreign_value_is_a_problem() -> None:
    pod = a_pod(with_redis(topology="leader", ring="r", group="g"))
    _, outcome = injected(pod)
    labels = apply(pod, outcome.operations)["metadata"]["labels"]
    said = {"ring": "r", "service": "redis", "group": "g", "topology": "leader"}
    assert labels == {f"habitat.sh/{name}": value for name, value in said.items()}
    pod["metadata"]["labels"] = {"habitat.sh/ring": "other"}
    assert problems(pod)[0].startswith("metadata.labels[habitat.sh/ring]:")


def test_template_copied_from_a_live_pod_is_injected_anew() -> None:
    pod = a_pod(with_redis(group="old"))
    live = apply(pod, inject(pod).operations)
    live["metadata"]["annotations"] |= {"habitat.sh/group": "new", "habitat.sh/peers": "10.0.0.9\n"}
    container, outcome = injected(live)
    assert container["args"].count("--group=new") == 1
    assert "--group=old" not in container["args"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/services/redis/new/health"
    after = apply(live, outcome.operations)
    assert after["metadata"]["annotations"]["habitat.sh/peers"] == ""
    assert after["metadata"]["labels"]["habitat.sh/group"] == "new"
    assert any("came with the pod" in w for w in outcome.warnings)
    assert inject(after).reason.code == "AlreadyCurrent"


def test_defaults_filled_in_between_do_not_cause_a_second_patch() -> None:
    pod = a_pod()
    live = apply(pod, inject(pod).operations)
    app = live["spec"]["containers"][0]
    for variable in app["env"]:
        if "valueFrom" in variable:
            variable["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    app["livenessProbe"]["successThreshold"] = 1
    live["spec"]["volumes"][0]["downwardAPI"]["defaultMode"] = 420
    assert inject(live).reason.code == "AlreadyCurrent"


def test_forged_record_does_not_stop_an_injection() -> None:
    for text in ("{}", "not json", '{"version":1}', "null", '{"version":"9","container":"app","digest":"0"}'):
        container, _ = injected(a_pod(with_redis() | {"injected": text}))
        assert PEERS in container["args"]


def test_uninject_gives_back_what_was_there() -> None:
    every = with_redis(ring_key="k", config="a = 1", config_map="c", files_secret="f", data_volume="v", org="o")
    pod = a_pod(
        every,
        spec={"volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}},
        args=["-v"],
        env=[],
        livenessProbe=None,
    )
    assert uninject(apply(pod, inject(pod).operations)) == pod
    bare = a_pod()
    assert uninject(bare) is bare


def test_injection_never_changes_its_input() -> None:
    pod = a_pod(with_redis(config_map="c"), env=[{"name": "A", "value": "1"}], args=["-v"])
    before = repr(pod)
    apply(pod, inject(pod).operations)
    assert repr(pod) == before


# precedence -----------------------------------------------------------------------------------------------------------


def layered() -> Situation:
    forced = Layer("policy guard", {"group": "production"})
    defaults = (
        Layer("namespace shop", {"ring": "shop", "org": "acme"}),
        Layer("policy base", {"ring": "base", "channel": "stable"}),
    )
    return Situation(rules=Rules(forced=(forced,), defaults=defaults))


def test_each_layer_beats_the_ones_below_it() -> None:
    container, _ = injected(a_pod(with_redis(group="mine", org="own")), layered())
    assert {"--group=production", "--org=own", "--channel=stable"} <= set(container["args"])
    assert env(container)["HABITAT_RING"] == "shop"


def test_args_cannot_overrule_what_a_policy_forces() -> None:
    outcome = inject(a_pod(args=["--group=mine"]), layered())
    [said] = [str(p) for p in outcome.problems]
    assert 'group is otherwise here, but policy guard forces "production"' in said
    injected(a_pod(args=["--group=production"]), layered())


def test_default_never_denies_a_pod_that_says_otherwise() -> None:
    rules = Rules(defaults=(Layer("namespace shop", {"peer": "10.0.0.1"}),))
    container, _ = injected(a_pod(with_redis(discovery="managed")), Situation(rules=rules))
    assert PEERS in container["args"]


# surroundings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"restartPolicy": "Never"}, "restartPolicy Never"),
        ({"shareProcessNamespace": True}, "process namespace"),
    ],
)
def test_pods_that_work_otherwise_than_expected_are_warned_of(spec: dict[str, Any], said: str) -> None:
    _, outcome = injected(a_pod(spec=spec))
    assert any(said in w for w in outcome.warnings)


def test_warnings_fit_into_120_characters() -> None:
    odd = with_redis(ring="r" * 50, update_strategy="rolling", shutdown_timeout="100", discovery="none")
    pod = a_pod(odd | {"x" * 300: "y"}, args=["--" + "z" * 300], spec={"hostNetwork": True})
    outcome = inject(pod)
    assert outcome.warnings
    assert all(len(w) <= 120 for w in outcome.warnings)

"""Injecting into a pod that was injected before: within one admission, and from a template copied from a live pod."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.making import a_pod, env, with_redis
from webhook.inject import Pod, Situation, apply, inject, uninject
from webhook.options import PREFIX

EVERYTHING = with_redis(
    group="blue", config="a = 1", config_map="c", files_secret="f", data_claim="d", ring_key="managed", org="o"
)


def live(annotations: dict[str, str] | None = None, **container: Any) -> Pod:
    """An injected pod as the API server returns it."""
    pod = a_pod(with_redis() if annotations is None else annotations, **container)
    return apply(pod, inject(pod).operations)


def changed(pod: Pod, **annotations: str | None) -> Pod:
    """The pod injected again after some annotations have changed, None for one that was removed."""
    copied = copy.deepcopy(pod)
    for name, value in annotations.items():
        key = PREFIX + name.replace("_", "-")
        copied["metadata"]["annotations"].pop(key, None)
        if value is not None:
            copied["metadata"]["annotations"][key] = value
    return apply(copied, inject(copied).operations)


def same(left: Any, right: Any) -> bool:
    """Equal, null and empty being as good as absent, whatever the order of members."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {k: bare(v) for k, v in value.items() if k != "habitat.sh/injected"}
            return {k: v for k, v in kept.items() if v not in (None, [], {})}
        return [bare(item) for item in value] if isinstance(value, list) else value

    return bool(bare(left) == bare(right))


def test_what_another_webhook_made_of_our_parts_stays() -> None:
    """A mesh that comes after us rewrites probes; the second call must not put them back."""
    pod = live(EVERYTHING)
    [app] = pod["spec"]["containers"]
    app["readinessProbe"]["httpGet"] |= {"path": "/app-health/redis/readyz", "port": 15020}
    token = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    pod["spec"]["initContainers"][0]["volumeMounts"].append(token)
    pod["spec"]["initContainers"][0]["image"] = "mirror.example.com/redis:7"
    assert inject(pod).reason.code == "AlreadyCurrent"


def test_container_of_the_first_call_stays_the_target() -> None:
    containers = [{"name": "fluent-bit", "image": "i"}, {"name": "redis", "image": "i"}]
    pod = a_pod(spec={"containers": containers})
    after = apply(pod, inject(pod).operations)
    after["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "fluent-bit"
    assert inject(after).reason.code == "AlreadyCurrent"
    after["spec"]["containers"].insert(0, {"name": "stranger", "image": "i"})
    assert inject(after).reason.code == "AlreadyCurrent"


def test_annotation_alone_does_not_pass_for_an_injection() -> None:
    """A template that copies the annotations of a live pod, and not its parts, is injected."""
    pod = live()
    bare = a_pod()
    bare["metadata"]["annotations"] = dict(pod["metadata"]["annotations"])
    outcome = inject(bare)
    assert outcome.reason.code == "Injected"
    assert same(apply(bare, outcome.operations), pod)


def test_lost_part_comes_back() -> None:
    pod = live()
    del pod["spec"]["containers"][0]["env"][3:]
    outcome = inject(pod)
    assert outcome.reason.code == "Injected"
    assert same(apply(pod, outcome.operations), live())


@pytest.mark.parametrize(
    "change",
    [
        {"discovery": "none", "ring_key": None},
        {"peer": "10.0.0.1", "ring_key": None},
        {"gossip_port": "7000", "http_port": "7001"},
        {"license": None},
        {"config": None},
        {"config_map": None, "config_secret": "s"},
        {"files_secret": None},
        {"data_claim": None},
        {"ring_key": None},
        {"service": "web"},
        {"probes": "none"},
        {"gateway_auth_secret": "gw"},
        {"group": "green", "topology": "leader", "ring": "other", "org": None},
        {"package": "core/redis"},
    ],
    ids=str,
)
def test_changed_copy_of_a_live_pod_equals_a_fresh_injection(change: dict[str, str | None]) -> None:
    annotations = dict(EVERYTHING)
    for name, value in change.items():
        annotations.pop(name.replace("_", "-"), None)
        if value is not None:
            annotations[name.replace("_", "-")] = value
    for container in ({}, {"args": ["-v"], "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]}):
        after = changed(live(EVERYTHING, **container), **change)
        assert same(after, live(annotations, **container))
        assert inject(after).reason.code == "AlreadyCurrent"


def test_other_target_in_a_copy_leaves_the_first_one_as_it_was() -> None:
    containers = [{"name": "a", "image": "i"}, {"name": "b", "image": "i", "args": ["-v"]}]
    pod = a_pod(with_redis(container="b"), spec={"containers": containers})
    first = apply(pod, inject(pod).operations)
    after = changed(first, container="a")
    assert same(after["spec"]["containers"][1], containers[1])
    assert env(after["spec"]["containers"][0])["HABITAT_RING"] == "default"


def test_users_own_parts_in_a_copy_are_kept() -> None:
    pod = live()
    pod["spec"]["containers"][0]["env"].append({"name": "MINE", "value": "1"})
    pod["spec"]["volumes"].append({"name": "habitat-mine", "emptyDir": {}})
    after = changed(pod, group="green")
    assert env(after["spec"]["containers"][0])["MINE"] == "1"
    assert {"name": "habitat-mine", "emptyDir": {}} in after["spec"]["volumes"]
    assert {"name": "habitat-mine", "emptyDir": {}} in uninject(after)["spec"]["volumes"]


def test_peers_that_came_along_are_emptied_and_nothing_else_is_written() -> None:
    pod = live()
    pod["metadata"]["annotations"]["habitat.sh/peers"] = "10.0.0.9\n"
    outcome = inject(pod)
    [operation] = outcome.operations
    assert operation == {"op": "replace", "path": "/metadata/annotations/habitat.sh~1peers", "value": ""}
    assert any("is emptied" in w for w in outcome.warnings)


def test_spec_copied_without_its_record_stays_in_the_ring() -> None:
    pod = live()
    del pod["metadata"]["annotations"]["habitat.sh/injected"], pod["metadata"]["labels"]
    after = apply(pod, inject(pod).operations)
    assert after["metadata"]["labels"]["habitat.sh/ring"] == "default"
    assert after["spec"]["containers"][0]["args"] == live()["spec"]["containers"][0]["args"]


def test_manifest_injected_for_another_namespace_is_mended() -> None:
    pod = live()
    after = apply(pod, inject(pod, Situation(namespace="shop")).operations)
    said = env(after["spec"]["containers"][0])["HABITAT_RING_SERVICE"]
    assert said == "habitat-ring-default.shop.svc.cluster.local"

"""The fence, pods: what the controller's real token changes on a real API server, and what it does not.

See fenced.py for the rights that it has here.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.fenced import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Fenced, add, remove

ANNOTATION, LABEL = "/metadata/annotations/{}", "/metadata/labels/{}"
PEERS, GENERATION = ANNOTATION.format("habitat.sh~1peers"), ANNOTATION.format("habitat.sh~1config-generation")
LEADER = LABEL.format("habitat.sh~1leader")
PASSED = (200, "")


def test_the_peers_of_an_injected_pod_are_written_changed_and_removed(fenced: Fenced, pod: str) -> None:
    path = f"{pod}?fieldManager=habitat-webhook-peers"
    same = {"op": "test", "path": "/metadata/uid", "value": fenced.read(pod)["metadata"]["uid"]}
    for value in ("10.128.0.7\n10.128.0.8:9640", "10.128.0.8:9640", ""):
        assert fenced.ask("PATCH", path, [same, *add(PEERS, value)], JSON_PATCH) == PASSED
        assert fenced.read(pod)["metadata"]["annotations"]["habitat.sh/peers"] == value
    assert fenced.ask("PATCH", path, remove(PEERS), JSON_PATCH) == PASSED
    assert "habitat.sh/peers" not in fenced.read(pod)["metadata"]["annotations"]


def test_the_generation_and_the_leader_label_are_written_and_removed(fenced: Fenced, pod: str) -> None:
    for path, value in ((GENERATION, "a1"), (GENERATION, "0" * 64), (LEADER, "true"), (LEADER, "false")):
        assert fenced.ask("PATCH", pod, add(path, value), JSON_PATCH) == PASSED
    for path in (GENERATION, LEADER):
        assert fenced.ask("PATCH", pod, remove(path), JSON_PATCH) == PASSED


@pytest.mark.parametrize("kind", [MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH])
def test_every_kind_of_patch_passes(fenced: Fenced, common_pod: str, kind: str) -> None:
    marks = {"annotations": {"habitat.sh/config-generation": "b"}, "labels": {"habitat.sh/leader": "true"}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", **marks}}
    assert fenced.ask("PATCH", f"{common_pod}?dryRun=All&fieldManager=x", body, kind) == PASSED


def test_a_pod_without_labels_is_written_to(fenced: Fenced, place: str) -> None:
    bare = fenced.make_pod(place, labels={}, annotations={"habitat.sh/injected": "{}"})
    for written in (
        {"annotations": {"habitat.sh/peers": "10.0.0.1"}},
        {"labels": {"habitat.sh/leader": "true"}},
        {"labels": None},
    ):
        assert fenced.ask("PATCH", bare, {"metadata": written}, MERGE_PATCH) == PASSED


def test_a_large_pod_is_within_the_cost_budget(fenced: Fenced, place: str) -> None:
    """200 KiB in 2,000 annotations, 1,000 labels and 40 containers: far beyond what anybody runs."""
    annotations = {f"example.com/{number:06}": "x" * 75 for number in range(2000)}
    labels = {f"example.com/{number:06}": f"{number}" for number in range(1000)}
    env = [{"name": f"NAME_{number}", "value": "x" * 100} for number in range(50)]
    containers = [{"name": f"c{number}", "image": "example/web:1", "env": env} for number in range(40)]
    metadata = {"name": "large", "annotations": annotations | {"habitat.sh/injected": "{}"}, "labels": labels}
    fenced.make(f"{place}/pods", {"metadata": metadata, "spec": {"containers": containers}})
    peers = "\n".join(f"10.128.{number}.255:65535" for number in range(40))
    assert fenced.ask("PATCH", f"{place}/pods/large", add(PEERS, peers), JSON_PATCH) == PASSED
    said = fenced.refused("PATCH", f"{place}/pods/large", add(LABEL.format("app"), "web"), JSON_PATCH)
    assert said.endswith("and not these: app")


def test_a_value_of_somebody_else_does_not_stop_other_writes(fenced: Fenced, pod: str) -> None:
    """The controller answers for the values that it writes, not for those that it finds."""
    foreign = {"habitat.sh/peers": "# mine", "habitat.sh/config-generation": "Mine!"}
    body = {"metadata": {"annotations": foreign}}
    assert fenced.ask("PATCH", pod, body, MERGE_PATCH, token=fenced.other) == PASSED
    for patch in (add(LEADER, "true"), add(PEERS, "10.0.0.1"), add(GENERATION, "a")):
        assert fenced.ask("PATCH", pod, patch, JSON_PATCH) == PASSED


OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}
REFUSED_CHANGES = {
    "image": (add("/spec/containers/0/image", "example/evil:1"), "these fields of a pod: spec"),
    "deadline": (add("/spec/activeDeadlineSeconds", 1), "these fields of a pod: spec"),
    "toleration": (add("/spec/tolerations/-", {"operator": "Exists"}), "these fields of a pod: spec"),
    "annotation": (add(ANNOTATION.format("a.b~1c"), "x"), "and not these: a.b/c"),
    "record": (add(ANNOTATION.format("habitat.sh~1injected"), "x"), "and not these: habitat.sh/injected"),
    "setting": (add(ANNOTATION.format("habitat.sh~1service"), "x"), "and not these: habitat.sh/service"),
    "removed setting": (remove(ANNOTATION.format("habitat.sh~1service")), "and not these: habitat.sh/service"),
    "removed record": (remove(ANNOTATION.format("habitat.sh~1injected")), "and not these: habitat.sh/injected"),
    "label": (add(LABEL.format("app"), "other"), "the label habitat.sh/leader of a pod, and not these: app"),
    "ring": (add(LABEL.format("habitat.sh~1ring"), "other"), "and not these: habitat.sh/ring"),
    "new label": (add(LABEL.format("tier"), "front"), "and not these: tier"),
    "removed label": (remove(LABEL.format("app")), "and not these: app"),
    "finalizers": (add("/metadata/finalizers", ["a.b/c"]), "these fields of a pod's metadata: finalizers"),
    "owners": (add("/metadata/ownerReferences", [OWNER]), "these fields of a pod's metadata: ownerReferences"),
    "own and another": (add(PEERS, "10.0.0.1") + add(ANNOTATION.format("x"), "y"), "and not these: x"),
}


@pytest.mark.parametrize("change", REFUSED_CHANGES)
def test_nothing_else_of_a_pod_is_changed(fenced: Fenced, common_pod: str, change: str) -> None:
    patch, said = REFUSED_CHANGES[change]
    before = fenced.read(common_pod)
    assert fenced.refused("PATCH", common_pod, patch, JSON_PATCH).endswith(said)
    assert fenced.read(common_pod) == before


@pytest.mark.parametrize(
    ("field", "names"),
    [("annotations", {"habitat.sh/injected", "habitat.sh/service"}), ("labels", {"app", "habitat.sh/ring"})],
)
def test_every_name_that_may_not_be_changed_is_in_the_message(
    fenced: Fenced, common_pod: str, field: str, names: set[str]
) -> None:
    said = fenced.refused("PATCH", common_pod, remove(f"/metadata/{field}"), JSON_PATCH)
    assert set(said.rpartition(": ")[2].split(", ")) == names


def test_what_owns_a_pod_and_holds_it_is_not_taken_away(fenced: Fenced, place: str) -> None:
    # A real owner: the garbage collector would delete the pod of one that is not there.
    owner = fenced.make(f"{place}/configmaps", {"metadata": {"name": "owner"}})["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    held = fenced.make_pod(place, finalizers=["a.b/c"], ownerReferences=[reference])
    try:
        for name in ("finalizers", "ownerReferences"):
            said = fenced.refused("PATCH", held, remove(f"/metadata/{name}"), JSON_PATCH)
            assert said.endswith(f"these fields of a pod's metadata: {name}")
        assert fenced.ask("PATCH", held, add(PEERS, "10.0.0.1"), JSON_PATCH) == PASSED
    finally:
        fenced.ask("PATCH", held, remove("/metadata/finalizers"), JSON_PATCH, token=fenced.other)


def test_a_status_sent_to_the_pod_itself_is_dropped_by_the_api_server(fenced: Fenced, common_pod: str) -> None:
    """Not by the fence: the resource pods never takes a status, so that there is no change to refuse."""
    before = fenced.read(common_pod)
    assert fenced.ask("PATCH", common_pod, {"status": {"podIP": "10.9.9.9"}}, MERGE_PATCH) == PASSED
    assert fenced.read(common_pod) == before


@pytest.mark.parametrize("annotations", [{"habitat.sh/service": "web"}, {}], ids=["annotated", "plain"])
def test_a_pod_that_was_not_injected_is_not_touched(fenced: Fenced, place: str, annotations: dict[str, str]) -> None:
    path = fenced.make_pod(place, annotations=annotations)
    # Nor by bringing the record along.
    for written in ({"habitat.sh/peers": "10.0.0.1"}, {"habitat.sh/peers": "", "habitat.sh/injected": "{}"}):
        said = fenced.refused("PATCH", path, {"metadata": {"annotations": written}}, MERGE_PATCH)
        assert said.endswith("injected pods only; this one does not carry the annotation habitat.sh/injected")


GOOD_PEERS = (
    *("", "10.128.0.7", "10.128.0.7:9638", "1.0.0.0", "223.255.255.255:65535", "126.0.0.1:1", "128.0.0.1"),
    *("10.0.0.1\n10.0.0.2\n10.0.0.3", "10.0.0.1:9638\n10.0.0.2"),
)
BAD_PEERS = {
    "blank line": "10.0.0.1\n\n10.0.0.2",
    "lone newline": "\n",
    "newline at the end": "10.0.0.1\n",
    "newline at the beginning": "\n10.0.0.1",
    "carriage return": "10.0.0.1\r\n10.0.0.2",
    "comment": "# peers",
    "comment behind": "10.0.0.1 # web-0",
    "leading space": " 10.0.0.1",
    "trailing space": "10.0.0.1 ",
    "lone space": " ",
    "tab": "10.0.0.1\t",
    "two on a line": "10.0.0.1 10.0.0.2",
    "comma": "10.0.0.1,10.0.0.2",
    "IPv6": "2001:db8::1",
    "IPv6 with port": "[2001:db8::1]:9638",
    "IPv4 in IPv6": "::ffff:10.0.0.1",
    "name": "web.shop.svc",
    "localhost": "localhost",
    "name with port": "web:9638",
    "number out of range": "10.0.0.256",
    "first number out of range": "256.0.0.1",
    "leading zero": "10.0.0.01",
    "three numbers": "10.0.0",
    "five numbers": "10.0.0.1.2",
    "hexadecimal": "0x0a.0.0.1",
    "prefix": "10.0.0.0/8",
    "port 0": "10.0.0.1:0",
    "port too large": "10.0.0.1:65536",
    "no port": "10.0.0.1:",
    "two ports": "10.0.0.1:1:2",
    "signed port": "10.0.0.1:+1",
    "digits of another script": "10.0.0.\u0661",
    "unspecified": "0.0.0.0",
    "loopback": "127.0.0.1",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "last line": "10.0.0.1\n10.0.0.2\nx",
    "too long": "\n".join(["10.128.100.100:65535"] * 60),
    "far too long": "\n".join(["10.128.100.100"] * 15000),
}


def test_peers_that_a_supervisor_takes_pass(fenced: Fenced, common_pod: str) -> None:
    path = f"{common_pod}?dryRun=All"
    answers = {peers: fenced.ask("PATCH", path, add(PEERS, peers), JSON_PATCH) for peers in GOOD_PEERS}
    assert answers == dict.fromkeys(GOOD_PEERS, PASSED)


@pytest.mark.parametrize("case", BAD_PEERS)
def test_peers_that_would_end_or_strand_a_supervisor_are_refused(fenced: Fenced, common_pod: str, case: str) -> None:
    said = fenced.refused("PATCH", common_pod, add(PEERS, BAD_PEERS[case]), JSON_PATCH)
    assert "may write into habitat.sh/peers nothing but lines of one IPv4 address each" in said


@pytest.mark.parametrize("value", ["A", "a-b", "a b", "a\n", "é", "0" * 65], ids=ascii)
def test_a_generation_of_other_characters_or_longer_is_refused(fenced: Fenced, common_pod: str, value: str) -> None:
    said = fenced.refused("PATCH", common_pod, add(GENERATION, value), JSON_PATCH)
    assert said.endswith("may write into habitat.sh/config-generation up to 64 characters of a-z and 0-9 only")


CONTAINER = {"name": "web", "image": "example/web:1"}
NEW = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new"}, "spec": {"containers": [CONTAINER]}}
EPHEMERAL = {"spec": {"ephemeralContainers": [CONTAINER | {"name": "shell"}]}}
BOUND = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}
EVICTED = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}


def requesting(cpu: str) -> dict[str, Any]:
    container = CONTAINER | {"resources": {"requests": {"cpu": cpu}}}
    return {"spec": {"containers": [container], "nodeSelector": {"no": "node"}}}


OTHER_WAYS: list[tuple[str, tuple[Any, ...]]] = [
    ("UPDATE pods/status", ("PATCH", "/pods/web/status", {"status": {"podIP": "10.9.9.9"}}, MERGE_PATCH)),
    ("UPDATE pods/ephemeralcontainers", ("PATCH", "/pods/web/ephemeralcontainers", EPHEMERAL, STRATEGIC_PATCH)),
    ("UPDATE pods/resize", ("PATCH", "/pods/waiting/resize", requesting("200m"), STRATEGIC_PATCH)),
    ("CREATE pods/binding", ("POST", "/pods/web/binding", BOUND)),
    ("CREATE bindings", ("POST", "/bindings", BOUND)),
    ("CREATE pods/eviction", ("POST", "/pods/web/eviction", EVICTED)),
    ("CONNECT pods/exec", ("POST", "/pods/web/exec?command=sh&stdout=1")),
    ("CONNECT pods/attach", ("POST", "/pods/web/attach?stdout=1")),
    ("CONNECT pods/portforward", ("POST", "/pods/web/portforward")),
    ("CONNECT pods/proxy", ("GET", "/pods/web/proxy/")),
    ("DELETE pods", ("DELETE", "/pods/web")),
    ("DELETE pods", ("DELETE", "/pods")),  # the whole collection
    ("CREATE pods", ("POST", "/pods", NEW)),
    ("CREATE pods", ("PATCH", "/pods/new?fieldManager=x", NEW, APPLY_PATCH)),
]


def test_no_other_verb_and_no_subresource_leads_to_a_pod(fenced: Fenced, place: str, pod: str) -> None:
    # A pod that no node takes: the API server lets nobody resize one on a node that says nothing of resources, as
    # those of kwok do.
    waiting = {"metadata": {"name": "waiting", "annotations": {"habitat.sh/injected": "{}"}}}
    fenced.make(f"{place}/pods", waiting | requesting("100m"))
    before = fenced.read(pod)
    for way, (method, path, *rest) in OTHER_WAYS:
        said = fenced.refused(method, place + path, *rest)
        assert said.endswith(f"may update pods, and do nothing else to them; this is {way}"), path
    assert fenced.read(pod) == before
    assert [p["metadata"]["name"] for p in fenced.read(f"{place}/pods")["items"]] == ["waiting", "web"]


def test_an_update_by_put_is_held_to_the_same(fenced: Fenced, common_pod: str) -> None:
    whole = fenced.read(common_pod)
    whole["metadata"]["annotations"]["habitat.sh/peers"] = "10.0.0.1"
    assert fenced.ask("PUT", f"{common_pod}?dryRun=All", whole) == PASSED
    whole["spec"]["containers"][0]["image"] = "example/evil:1"
    assert fenced.refused("PUT", common_pod, whole).endswith("these fields of a pod: spec")


@pytest.mark.parametrize("who", ["other", "namesake"])
def test_other_accounts_are_not_held_by_the_fence(fenced: Fenced, place: str, pod: str, who: str) -> None:
    token = getattr(fenced, who)
    assert fenced.ask("PATCH", pod, add("/spec/containers/0/image", "x:2"), JSON_PATCH, token=token) == PASSED
    assert fenced.ask("PATCH", pod, add(PEERS, "# x"), JSON_PATCH, token=token) == PASSED
    for kind, spec in (("secrets", {}), ("services", {"spec": {"ports": [{"port": 1}]}})):
        assert fenced.ask("POST", f"{place}/{kind}", {"metadata": {"name": "any"}} | spec, token=token) == (201, "")
        assert fenced.ask("DELETE", f"{place}/{kind}/any", token=token) == PASSED
    assert fenced.ask("DELETE", pod, token=token) == PASSED

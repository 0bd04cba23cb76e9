"""The ring's headless Service: whatever is done to it, the repair has what is needed and keeps what is not ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.ring import service
from webhook.rings import Ring

RING = Ring("shop", "default")
NOT_READY = "pods that wait for a peer or a quorum have no DNS record"
REVISION = "default.shop-20260301120000"

Service = dict[str, Any]


def stored(wanted: Service | None = None) -> Service:
    """A Service as the API server sends it: with all that it fills in."""
    found = copy.deepcopy(wanted or service.desired(RING))
    found["metadata"] |= {"uid": "u-1", "resourceVersion": "42", "creationTimestamp": "2026-03-01T12:00:00Z"}
    for port in found["spec"]["ports"]:
        port["targetPort"] = port["port"]
    found["spec"] |= {"clusterIPs": ["None"], "internalTrafficPolicy": "Cluster", "sessionAffinity": "None"}
    return found | {"status": {"loadBalancer": {}}}


def changed(**spec: Any) -> Service:
    found = stored()
    found["spec"] |= spec
    return found


def without(found: Service, *fields: str) -> Service:
    found["spec"] = {k: v for k, v in found["spec"].items() if k not in fields}
    return found


def test_desired_service_is_headless_for_ipv4_and_has_the_pods_that_are_not_ready() -> None:
    assert service.desired(RING) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "habitat-ring-default",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "habitat-webhook", "habitat.sh/ring": "default"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": ["IPv4"],
            "publishNotReadyAddresses": True,
            "selector": {"habitat.sh/ring": "default"},
            "ports": [
                {"name": "hab-gossip-udp", "port": 9638, "protocol": "UDP"},
                {"name": "hab-gossip-tcp", "port": 9638, "protocol": "TCP"},
                {"name": "hab-http", "port": 9631, "protocol": "TCP"},
            ],
        },
    }


def test_other_ports_of_a_ring_are_in_its_service() -> None:
    ports = service.desired(RING, 9639, 8080)["spec"]["ports"]
    assert [(p["port"], p["protocol"]) for p in ports] == [(9639, "UDP"), (9639, "TCP"), (8080, "TCP")]


def test_service_as_stored_has_not_drifted() -> None:
    assert service.drift(stored()) == []
    assert service.repair(stored()) is None
    assert not service.needs_recreation(stored())


def test_what_others_add_is_no_drift() -> None:
    found = stored()
    found["metadata"]["labels"]["team"] = "a"
    found["metadata"]["annotations"] = {"note": "b"}
    found["spec"] |= {"sessionAffinity": "ClientIP", "trafficDistribution": "PreferClose"}
    found["spec"]["ports"][0]["appProtocol"] = "gossip"
    found["spec"]["ports"].reverse()
    assert service.drift(found) == []


def test_fields_that_an_old_api_server_does_not_know_are_no_drift() -> None:
    assert service.drift(without(stored(), "ipFamilyPolicy", "ipFamilies", "clusterIPs")) == []


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            changed(publishNotReadyAddresses=False),
            f"spec.publishNotReadyAddresses is false, not true: {NOT_READY}",
        ),
        (
            without(stored(), "publishNotReadyAddresses"),
            f"spec.publishNotReadyAddresses is missing; it should be true: {NOT_READY}",
        ),
        (
            changed(selector={"app": "web"}),
            'spec.selector is "app=web", not "habitat.sh/ring=default": the name leads to other pods than the ring\'s',
        ),
        (
            changed(clusterIP="10.96.0.7"),
            'spec.clusterIP is "10.96.0.7", not "None": the name answers with one address instead of the pods\' own',
        ),
        (changed(ipFamilies=["IPv6"]), 'spec.ipFamilies is "IPv6", not "IPv4": Supervisors speak IPv4 only'),
        (
            changed(ipFamilies=["IPv4", "IPv6"]),
            'spec.ipFamilies is "IPv4, IPv6", not "IPv4": Supervisors speak IPv4 only',
        ),
        (
            changed(externalIPs=["192.0.2.1"]),
            'spec.externalIPs is "192.0.2.1": traffic from outside the cluster would be led to the ring\'s pods',
        ),
        (changed(ports=stored()["spec"]["ports"][1:]), "spec.ports: hab-gossip-udp (9638/UDP) is missing"),
        (
            changed(ports=[*stored()["spec"]["ports"], {"port": 80, "name": "web"}]),
            "spec.ports: web (80/TCP) is not one of a ring's",
        ),
        (
            changed(ports=[*stored()["spec"]["ports"][:2], {"name": "hab-http", "port": 9631, "targetPort": 80}]),
            "spec.ports: hab-http is 9631/TCP to 80 instead of 9631/TCP",
        ),
    ],
)
def test_drift_says_in_plain_words_what_differs(found: Service, sentence: str) -> None:
    assert service.drift(found) == [sentence]


def test_drift_names_a_label_that_is_gone_or_changed() -> None:
    found = stored()
    found["metadata"]["labels"]["habitat.sh/ring"] = "other"
    assert service.drift(found) == ['the label habitat.sh/ring is "other", not "default"']
    del found["metadata"]["labels"]["habitat.sh/ring"]
    assert service.drift(found) == ['the label habitat.sh/ring is missing; it should be "default"']


def test_every_difference_is_said_at_once() -> None:
    assert len(service.drift(changed(selector={}, publishNotReadyAddresses=False, ports=[]))) == 5


def test_drift_is_judged_by_the_ports_that_the_ring_has() -> None:
    wanted = service.desired(RING, gossip_port=9639)
    assert len(service.drift(stored(), wanted)) == 2
    mended = service.repair(stored(), wanted)
    assert mended is not None
    assert service.drift(mended, wanted) == []


def test_ring_is_known_by_the_name_of_its_service() -> None:
    assert service.ring_of(stored()) == RING
    for name in ("habitat-ring-", "web", "my-habitat-ring-default"):
        assert service.ring_of({"metadata": {"name": name, "namespace": "shop"}}) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "habitat-ring-default"},
        {"name": "habitat-ring-default", "labels": None},
        {"name": "habitat-ring-default", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"name": "web", "labels": {"app.kubernetes.io/managed-by": "habitat-webhook"}},
    ],
)
def test_service_of_somebody_else_is_not_ours_and_is_never_repaired(metadata: dict[str, Any]) -> None:
    found = stored() | {"metadata": {"namespace": "shop"} | metadata}
    assert not service.is_ours(found)
    with pytest.raises(ValueError, match=f"shop/{metadata['name']} is not the controller's to repair"):
        service.repair(found)


def test_drift_of_a_service_that_is_no_rings_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="shop/web is no ring's: those are named habitat-ring-<ring>"):
        service.drift({"metadata": {"name": "web", "namespace": "shop"}})


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "10.96.0.7"}, {"ipFamilies": ["IPv6"]}, {"type": "NodePort", "clusterIP": "1.2.3.4"}]
)
def test_service_that_no_update_can_mend_is_replaced_and_keeps_what_others_wrote(spec: dict[str, Any]) -> None:
    found = service.with_key_revision(changed(**spec), REVISION)
    found["metadata"]["labels"]["team"] = "a"
    assert service.needs_recreation(found)
    with pytest.raises(ValueError, match="cannot be repaired by an update"):
        service.repair(found)
    made = service.replacement(found)
    assert service.drift(made) == []
    assert made["metadata"]["labels"]["team"] == "a"
    assert service.key_revision(made) == REVISION
    assert not {"uid", "resourceVersion", "creationTimestamp"} & made["metadata"].keys()


def test_external_name_is_mended_by_an_update() -> None:
    found = without(changed(type="ExternalName", externalName="example.com"), "clusterIP", "clusterIPs", "ipFamilies")
    assert not service.needs_recreation(found)
    mended = service.repair(found)
    assert mended is not None
    assert "externalName" not in mended["spec"]
    assert service.drift(mended) == []


def test_ports_that_have_not_drifted_keep_what_others_added() -> None:
    found = changed(selector={})
    found["spec"]["ports"][2]["appProtocol"] = "http"
    mended = service.repair(found)
    assert mended is not None
    assert mended["spec"]["ports"] == found["spec"]["ports"]


def test_key_revision_is_carried_through_a_repair() -> None:
    assert service.key_revision(stored()) is None
    found = service.with_key_revision(changed(selector={}), REVISION)
    mended = service.repair(found)
    assert mended is not None
    assert service.key_revision(mended) == REVISION
    assert service.key_revision(service.with_key_revision(mended, "other")) == "other"


def test_list_items_without_kind_are_repaired_to_whole_objects() -> None:
    found = changed(selector={})
    del found["kind"], found["apiVersion"]
    mended = service.repair(found)
    assert mended is not None
    assert (mended["apiVersion"], mended["kind"]) == ("v1", "Service")


TEXTS = st.text("abc", max_size=3)
PORTS = st.fixed_dictionaries(
    {"port": st.integers(1, 65535)},
    optional={
        "name": st.sampled_from(["hab-http", "hab-gossip-udp", "web"]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
        "targetPort": st.integers(1, 65535) | st.just("web"),
        "nodePort": st.just(30000),
    },
)
DAMAGE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ClusterIP", "ExternalName", "NodePort", "LoadBalancer"]),
        "externalName": st.just("example.com"),
        "clusterIP": st.sampled_from(["None", "10.96.0.7", ""]),
        "clusterIPs": st.sampled_from([["None"], ["10.96.0.7"], None]),
        "ipFamilies": st.sampled_from([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], [], None]),
        "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack", None]),
        "publishNotReadyAddresses": st.booleans() | st.none(),
        "selector": st.dictionaries(TEXTS, TEXTS, max_size=2) | st.none(),
        "ports": st.lists(PORTS, max_size=4) | st.none(),
        "externalIPs": st.just(["192.0.2.1"]),
        "sessionAffinity": st.just("ClientIP"),
        "unknownField": st.just({"of": "a later Kubernetes"}),
    },
)


@st.composite
def damaged(draw: st.DrawFn) -> Service:
    """One of ours after somebody has been at it: any of its fields, and labels and annotations besides."""
    found = stored()
    removed = draw(st.sets(st.sampled_from(sorted(found["spec"]))))
    found["spec"] = {k: v for k, v in found["spec"].items() if k not in removed} | draw(DAMAGE)
    found["metadata"]["labels"] |= draw(st.dictionaries(st.sampled_from(["habitat.sh/ring", "team"]), TEXTS))
    if annotations := draw(st.dictionaries(st.sampled_from(["note", service.KEY_REVISION]), TEXTS)):
        found["metadata"]["annotations"] = annotations
    return found


def foreign(found: Service) -> dict[str, Any]:
    """All that is none of our business."""
    metadata = {k: v for k, v in found["metadata"].items() if k != "labels"}
    spec = {k: found["spec"].get(k) for k in ("sessionAffinity", "internalTrafficPolicy", "unknownField")}
    return {"metadata": metadata, "team": found["metadata"]["labels"].get("team"), "spec": spec}


@given(damaged())
def test_any_damage_is_mended_and_nothing_else_touched(found: Service) -> None:
    before = copy.deepcopy(found)
    if service.needs_recreation(found):
        assert service.drift(found)
        assert service.drift(service.replacement(found)) == []
        assert service.is_ours(service.replacement(found))
    elif (mended := service.repair(found)) is None:
        assert service.drift(found) == []
    else:
        assert service.drift(found)
        assert (service.drift(mended), service.repair(mended)) == ([], None)
        assert foreign(mended) == foreign(before)
        assert mended["spec"]["clusterIPs"] == ["None"]
        assert not {"externalName", "externalIPs"} & mended["spec"].keys()
    assert found == before


@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True), st.integers(1, 65535), st.integers(1, 65535)
)
def test_desired_never_drifts(name: str, gossip_port: int, http_port: int) -> None:
    wanted = service.desired(Ring("shop", name), gossip_port, http_port)
    assert service.is_ours(wanted)
    assert service.ring_of(wanted) == Ring("shop", name)
    assert service.drift(stored(wanted), wanted) == []

"""What the controller writes on a pod, sent with its own rights: it holds for the pod that was seen, as it was seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.kube.conftest import KeptLog
from tests.ring.live.installation import Installation, deployment
from webhook.kube.client import ApiError, Client
from webhook.options import CONFIG_GENERATION, PEERS
from webhook.ring.metrics import Metrics
from webhook.ring.pods import PEERS_MANAGER, Member, member
from webhook.ring.reconcile.writes import Change, NotLeadingError, Writer, Written

OLD, NEW = ("192.0.2.1", "192.0.2.2"), ("192.0.2.3",)


@pytest.fixture
def client(rings: Installation) -> Iterator[Client]:
    made = Client.connect(rings.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def admin(rings: Installation) -> Iterator[Client]:
    made = Client.connect(rings.cluster.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def pod(rings: Installation, namespace: str, admin: Client) -> dict[str, Any]:
    """An injected pod without a list; no controller runs."""
    body = deployment(namespace, "redis", 1, ring="payments")["spec"]["template"]
    body |= {"apiVersion": "v1", "kind": "Pod"}
    body["metadata"]["name"] = "redis-0"
    made = admin.create(f"/api/v1/namespaces/{namespace}/pods", body)
    path = f"/api/v1/namespaces/{namespace}/pods/redis-0"
    return rings.wait("the pod to run", lambda: now if "podIP" in (now := admin.get(path))["status"] else None) and made


def send(client: Client, change: Change) -> dict[str, Any]:
    return client.patch(change.member.path, change.operations(), manager=PEERS_MANAGER)


def annotations(admin: Client, seen: Member) -> tuple[str | None, str | None]:
    """The list and the generation that are stored."""
    found = admin.get(seen.path)["metadata"]["annotations"]
    return found.get(PEERS), found.get(CONFIG_GENERATION)


def refused(client: Client, admin: Client, change: Change) -> int:
    """The status of a refusal that has changed nothing."""
    before = admin.get(change.member.path)["metadata"]
    with pytest.raises(ApiError) as caught:
        send(client, change)
    after = admin.get(change.member.path)["metadata"]
    assert after["annotations"] == before["annotations"]
    return caught.value.status


def test_list_is_written_where_nobody_has_written_one_and_again_over_the_one_that_was_seen(
    client: Client, admin: Client, pod: dict[str, Any]
) -> None:
    first = member(send(client, Change(member(pod), OLD)))
    assert first.peers == OLD
    second = member(send(client, Change(first, NEW, generation="0123456789abcdef")))
    assert annotations(admin, second) == ("\n".join(NEW), "0123456789abcdef")
    last = member(send(client, Change(second, ())))
    assert annotations(admin, last) == ("", "0123456789abcdef")
    assert last.peers == ()
    assert member(send(client, Change(last, OLD))).peers == OLD


def test_write_that_was_meant_for_an_earlier_pod_of_the_same_name_is_refused(
    rings: Installation, client: Client, namespace: str, admin: Client
) -> None:
    rings.stateful(namespace, "db", 1, ring="payments")
    path = f"/api/v1/namespaces/{namespace}/pods/db-0"

    def other(than: str) -> dict[str, Any] | None:
        status, found = rings.cluster.request("GET", path)
        return found if status == 200 and found["metadata"]["uid"] != than else None

    earlier = member(rings.wait("db-0", lambda: other("")))
    rings.cluster.kubectl("delete", "pod", "db-0", f"--namespace={namespace}")
    now = member(rings.wait("another db-0", lambda: other(earlier.uid)))
    for change in (Change(earlier, NEW), Change(earlier, generation="0123456789abcdef"), Change(earlier, ())):
        assert refused(client, admin, change) == 422
    assert annotations(admin, now) == (None, None)
    assert member(send(client, Change(now, NEW))).peers == NEW


@pytest.mark.parametrize("known", [None, (), NEW, (*OLD, "192.0.2.9"), OLD[:1]])
def test_write_over_a_list_that_is_not_the_one_that_was_seen_is_refused(
    client: Client, admin: Client, pod: dict[str, Any], known: tuple[str, ...] | None
) -> None:
    seen = member(send(client, Change(member(pod), OLD)))
    assert refused(client, admin, Change(replace(seen, peers=known), NEW)) == 422


@pytest.mark.parametrize("found", ["", "\n", "\n\n192.0.2.1", "192.0.2.1\n", "# a\r\n192.0.2.1", " 192.0.2.1 ", "é, x"])
def test_list_that_is_none_is_seen_as_it_is_and_can_be_replaced(
    client: Client, admin: Client, pod: dict[str, Any], found: str
) -> None:
    """A blank line ends a Supervisor: such a list must neither be taken for a good one nor stay for ever."""
    path = member(pod).path
    seen = member(admin.patch(path, {"metadata": {"annotations": {PEERS: found}}}))
    assert seen.peers not in (OLD[:1], None)
    assert member(send(client, Change(seen, OLD))).peers == OLD


def test_write_over_a_list_that_somebody_has_removed_is_refused(
    client: Client, admin: Client, pod: dict[str, Any]
) -> None:
    seen = member(send(client, Change(member(pod), OLD)))
    admin.patch(seen.path, {"metadata": {"annotations": {PEERS: None}}})
    assert refused(client, admin, Change(seen, NEW)) == 422


def test_write_with_another_generation_than_the_one_that_was_seen_is_refused(
    client: Client, admin: Client, pod: dict[str, Any]
) -> None:
    seen = member(send(client, Change(member(pod), generation="0123456789abcdef")))
    stale = replace(seen, generation="fedcba9876543210")
    assert refused(client, admin, Change(stale, generation="00000000deadbeef")) == 422
    assert refused(client, admin, Change(stale, NEW, generation="00000000deadbeef")) == 422


def test_what_others_write_on_the_pod_meanwhile_is_no_conflict(
    client: Client, admin: Client, pod: dict[str, Any]
) -> None:
    seen = member(pod)
    admin.patch(seen.path, {"metadata": {"labels": {"app": "other"}, "annotations": {"example.com/note": "x"}}})
    conditions = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    admin.patch(f"{seen.path}/status", conditions)
    written = send(client, Change(seen, OLD))
    assert written["metadata"]["annotations"]["example.com/note"] == "x"
    assert member(written).peers == OLD


def test_writer_says_how_each_of_many_writes_has_ended_and_counts_them(
    client: Client, admin: Client, pod: dict[str, Any]
) -> None:
    metrics, log, told = Metrics(), KeptLog(), list[Written]()
    leading = True
    writer = Writer(client, workers=4, rings=1, allowed=lambda: leading, metrics=metrics, log=log)
    try:
        seen = member(pod)
        gone = replace(seen, name="redis-1")
        stranger = replace(seen, uid="00000000-0000-0000-0000-000000000000")
        changes = [Change(stranger, OLD), Change(gone, OLD), Change(seen, OLD)]
        batch = writer.write(changes, told.append)
        assert {id(w) for w in told} == {id(w) for w in batch.results}
        assert {w.result: w.change.member for w in told} == {"conflict": stranger, "gone": gone, "ok": seen}
        now = next(w.member for w in told if w.member is not None)
        assert now == replace(member(admin.get(seen.path)), since=now.since)
        assert {r: metrics.writes["peers", r]._value.get() for r in ("ok", "conflict", "gone", "error")} == {
            "ok": 1,
            "conflict": 1,
            "gone": 1,
            "error": 0,
        }
        leading = False
        with pytest.raises(NotLeadingError):
            writer.write([Change(now, NEW)], told.append)
        assert annotations(admin, seen) == ("\n".join(OLD), None)
    finally:
        writer.stop()
    assert [line["level"] for line in log.said("pod not written")] == ["debug"], "a conflict is no trouble"

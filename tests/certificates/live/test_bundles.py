"""caBundles that somebody spoils are put right, in every entry of both kinds, and in no configuration but ours."""

from __future__ import annotations

import json

import pytest

from tests.certificates.live.installation import CA, FOREIGN, KINDS, NAME, Installation
from tests.certs.making import authority
from tests.support.controller import ControllerProcess
from webhook.certificates.configurations import LABEL

SECONDS = 10
OTHER = authority(name="Acme CA").certificate_pem()


def spoiled(place: Installation, how: str) -> bytes:
    right = place.bundles()[0]
    return {"blanked": b"", "truncated": right[: len(right) // 2], "replaced": OTHER, "lengthened": right + OTHER}[how]


@pytest.mark.parametrize("how", ["blanked", "truncated", "replaced", "lengthened"])
@pytest.mark.parametrize("places", [(0,), (1,), (0, 1)], ids=["first entry", "second entry", "both entries"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("leader")
def test_bundle_is_repaired_within_seconds(place: Installation, kind: str, places: tuple[int, ...], how: str) -> None:
    place.spoil(kind, dict.fromkeys(places, spoiled(place, how)))
    place.wait("every caBundle to be right again", place.whole, seconds=SECONDS)


@pytest.mark.usefixtures("leader")
def test_configuration_without_our_label_is_never_touched(place: Installation) -> None:
    before = [place.configuration(kind, FOREIGN) for kind in KINDS]
    place.spoil("mutating", {0: b""})
    place.wait("ours to be right again", place.whole, seconds=SECONDS)
    assert [place.configuration(kind, FOREIGN) for kind in KINDS] == before


def test_configuration_that_loses_its_label_is_left_alone_and_taken_up_with_it_again(
    place: Installation, leader: ControllerProcess
) -> None:
    place.cluster.kubectl("label", KINDS["validating"], NAME, f"{LABEL}-")
    place.spoil("validating", {0: b"", 1: b""})
    before = place.configuration("validating")
    repaired = leader.metric("ca_bundle_repairs_total", result="ok")
    place.spoil("mutating", {0: b""})
    place.wait("the other to be repaired", lambda: leader.metric("ca_bundle_repairs_total", result="ok") > repaired)
    assert place.configuration("validating") == before
    place.cluster.kubectl("label", KINDS["validating"], NAME, f"{LABEL}=managed")
    place.wait("it to be taken up again", place.whole, seconds=SECONDS)


@pytest.mark.usefixtures("leader")
def test_configuration_that_is_deleted_and_made_again_is_repaired(place: Installation) -> None:
    """As by an upgrade that replaces it: it comes back without any caBundle."""
    made = place.configuration("mutating")
    for webhook in made["webhooks"]:
        del webhook["clientConfig"]["caBundle"]
    made["metadata"] = {key: made["metadata"][key] for key in ("name", "labels")}
    place.cluster.kubectl("delete", KINDS["mutating"], NAME)
    place.cluster.apply(json.dumps(made))
    place.wait("it to be right", place.whole, seconds=SECONDS)
    assert place.admitted() == (201, "")


@pytest.mark.usefixtures("leader")
def test_apply_of_a_manifest_without_ca_bundle_takes_nothing_away(place: Installation) -> None:
    """Server-side apply of what never held it leaves the field to its owner."""
    manifest = place.configuration("validating")
    manifest["metadata"] = {key: manifest["metadata"][key] for key in ("name", "labels")}
    for webhook in manifest["webhooks"]:
        webhook["clientConfig"].pop("caBundle")
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=gitops", "-f", "-")
    place.cluster.kubectl(*apply, input=json.dumps(manifest))
    place.wait("every caBundle to be right", place.whole, seconds=SECONDS)


def test_repair_is_told_where_people_look(place: Installation, leader: ControllerProcess) -> None:
    place.spoil("mutating", {1: b""})
    place.wait("every caBundle to be right again", place.whole, seconds=SECONDS)

    def told() -> bool:
        events = place.cluster.get("events", "-n", "default")["items"]
        return any(e["reason"] == "CaBundleRepaired" and e["involvedObject"]["name"] == NAME for e in events)

    place.wait("an event on the configuration", told)
    assert any("optin.inject.habitat.sh" in str(line.get("entries")) for line in leader.lines())


def test_ca_does_not_change_by_all_that(place: Installation, leader: ControllerProcess) -> None:
    assert leader.metric("certificate_steps_total", step="create") <= 1
    assert leader.metric("certificate_steps_total", step="publish") == 0
    assert "next.crt" not in place.data(CA)

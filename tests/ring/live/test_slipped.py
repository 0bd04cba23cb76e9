"""Pods that slipped through: they are counted, their owners told of, and nothing is done to them."""

from __future__ import annotations

import json

from tests.ring.live.installation import Installation, deployment
from tests.ring.live.observing import heard, leading
from webhook.slipped.part import NOTE, REASON

QUIET = {"habitat.sh/injection": "disabled"}


def test_pods_without_the_supervisor_that_they_ask_for_are_counted_and_told_of(rings: Installation) -> None:
    with leading(rings, "--injection-check=0.5") as process:
        rings.wait("a first count", lambda: process.metric("pods_not_injected") >= 0)
        others = process.metric("pods_not_injected")
        with rings.cluster.namespace(labels=QUIET) as namespace:
            rings.cluster.apply(json.dumps(deployment(namespace, "early", 3)))
            own = deployment(namespace, "by-hand", 1)
            own["spec"]["template"]["spec"]["containers"][0]["command"] = ["hab", "sup", "run"]
            refused = deployment(namespace, "wrong", 1, topology="ring")
            out = deployment(namespace, "out", 1, inject="false")
            for other in (own, refused, out):
                rings.cluster.apply(json.dumps(other))
            rings.wait("all pods", lambda: len(rings.pods(namespace, "")) == 6)
            rings.cluster.kubectl("label", "namespace", namespace, "habitat.sh/injection=enabled", "--overwrite")
            rings.wait("three to be counted", lambda: process.metric("pods_not_injected") == others + 3)
            told = heard(rings, namespace, REASON, "ReplicaSet")
            assert (told["note"], told["type"]) == (NOTE, "Warning")
            assert told["regarding"]["name"].startswith("early-")

            rings.cluster.kubectl("rollout", "restart", "deployment/early", "-n", namespace)
            rings.wait("none to be left", lambda: process.metric("pods_not_injected") == others)
            assert len(rings.pods(namespace)) == 3

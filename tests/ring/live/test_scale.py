"""Rings that grow and shrink."""

from __future__ import annotations

import time

from tests.ring.live.installation import Installation, address, peers
from tests.support.controller import ControllerProcess


def test_ring_grows_from_1_to_500_pods_and_shrinks_back(
    rings: Installation, namespace: str, controller: ControllerProcess
) -> None:
    t = time.time()
    rings.deploy(namespace, "redis", 1, ring="payments")
    rings.ring(namespace, 1)
    rings.scale(namespace, "redis", 500)
    rings.ring(namespace, 500)
    print("500", time.time() - t)
    grown = rings.patches(namespace)
    print(grown.total(), max(grown.values()))
    rings.scale(namespace, "redis", 1)
    rings.ring(namespace, 1)
    print("1", time.time() - t)
    shrunk = rings.patches(namespace)
    print(shrunk.total(), max(shrunk.values()))

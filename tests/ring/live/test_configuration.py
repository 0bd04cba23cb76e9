"""Live configuration on a real API server: what pods run is in an annotation, and changes over a ring in waves.

When a controller has asked for something the audit log says, by the API server's clock.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from tests.ring.live.installation import Installation
from tests.ring.live.observing import Leader, Object, Request, ask, find, requests, version, versions
from webhook.options import CONFIG_GENERATION, PEERS
from webhook.ring import keys, rollout
from webhook.ring.pods import PEERS_MANAGER
from webhook.ring.reconcile.writes import CONFIG_MANAGER
from webhook.rings import Ring

WAVE_SECONDS = 1.0
ANSWER_SECONDS = 0.5
"""From the plan of a wave to the API server's having all of its requests: less than this, even on a busy machine."""


@pytest.fixture(scope="module", autouse=True)
def leader(rings: Installation) -> Iterator[Leader]:
    with contextlib.ExitStack() as stack:
        yield Leader(rings, stack, f"--wave-seconds={WAVE_SECONDS:g}", "--key-check=1")


class Maps:
    """The objects that pods mount. kind: "ConfigMap" or "Secret"."""

    def __init__(self, rings: Installation, namespace: str, kind: str = "ConfigMap") -> None:
        self._rings = rings
        self._kind = kind
        self._path = f"/api/v1/namespaces/{namespace}/{kind.lower()}s"

    def make(self, name: str, text: str) -> str:
        """Its generation."""
        data = "stringData" if self._kind == "Secret" else "data"
        body = {"metadata": {"name": name}, data: {"user.toml": text}}
        return self._generation(ask(self._rings, "POST", self._path, body, expected=201))

    def change(self, name: str, text: str) -> str:
        found = find(self._rings, f"{self._path}/{name}")
        data = {"stringData": {"user.toml": text}} if self._kind == "Secret" else {"data": {"user.toml": text}}
        return self._generation(ask(self._rings, "PUT", f"{self._path}/{name}", found | data))

    def touch(self, name: str) -> str:
        """Another version of the same content."""
        found = find(self._rings, f"{self._path}/{name}")
        found["metadata"]["annotations"] = {"example.com/touched": found["metadata"]["resourceVersion"]}
        return self._generation(ask(self._rings, "PUT", f"{self._path}/{name}", found))

    def _generation(self, found: Object) -> str:
        return rollout.generation([], [found]) if self._kind == "Secret" else rollout.generation([found])


def generations(rings: Installation, namespace: str, selector: str = "habitat.sh/service") -> list[str | None]:
    return [p["metadata"]["annotations"].get(CONFIG_GENERATION) for p in rings.pods(namespace, selector)]


def told(
    rings: Installation, namespace: str, generation: str, count: int, selector: str = "habitat.sh/service"
) -> None:
    """Waits until so many pods are there and all say this generation."""
    wanted: list[str | None] = [generation] * count
    rings.wait("all pods to say it", lambda: generations(rings, namespace, selector) == wanted, seconds=20)


def patches(rings: Installation, namespace: str, manager: str) -> list[Request]:
    asked = requests(rings, namespace, "patch", "pods")
    return [r for r in asked if r.query["fieldManager"] == manager and r.code == 200]


def reads(rings: Installation, namespace: str, resource: str = "configmaps") -> int:
    """How often the content of one has been fetched."""
    return len(requests(rings, namespace, "get", resource))


def waves(asked: list[Request], size: int) -> None:
    """In groups of `size`, with pauses between them: no more than a wave at a time."""
    groups = [asked[n : n + size] for n in range(0, len(asked), size)]
    begins = [group[0].at for group in groups]
    pauses = [b - a for a, b in itertools.pairwise(begins)]
    assert pauses
    assert min(pauses) >= WAVE_SECONDS - ANSWER_SECONDS, [round(p, 2) for p in pauses]


def test_generation_comes_in_the_same_write_as_the_first_peers(rings: Installation, namespace: str) -> None:
    generation = Maps(rings, namespace).make("settings", "a = 1")
    since = version(rings, namespace)
    rings.deploy(namespace, "redis", 1, ring="payments", config_map="settings")
    told(rings, namespace, generation, 1)
    [alone] = patches(rings, namespace, CONFIG_MANAGER)
    rings.scale(namespace, "redis", 8)
    rings.ring(namespace, 8)
    assert generations(rings, namespace) == [generation] * 8
    # The first pod had nobody to be told of; all others have got both at once, and no write for the generation alone.
    assert patches(rings, namespace, CONFIG_MANAGER) == [alone]
    seen = [p["metadata"].get("annotations", {}) for p in versions(rings, namespace, since)]
    assert [a for a in seen if PEERS in a and a.get(CONFIG_GENERATION) != generation] == []
    assert [a for a in seen if CONFIG_GENERATION in a]
    assert {r.name for r in patches(rings, namespace, PEERS_MANAGER)} == {
        p["metadata"]["name"] for p in rings.pods(namespace)
    }


def test_change_goes_over_the_ring_in_quarters_and_content_that_is_the_same_causes_no_write(
    rings: Installation, namespace: str
) -> None:
    maps = Maps(rings, namespace)
    first = maps.make("settings", "a = 1")
    rings.deploy(namespace, "redis", 10, ring="payments", config_map="settings")
    rings.ring(namespace, 10)
    told(rings, namespace, first, 10)
    before = len(patches(rings, namespace, CONFIG_MANAGER))
    known = reads(rings, namespace)

    assert maps.touch("settings") == first
    rings.wait("the controller to read it", lambda: reads(rings, namespace) > known)
    assert maps.change("settings", "a = 1") == first

    second = maps.change("settings", "a = 2")
    assert second != first
    told(rings, namespace, second, 10)
    asked = patches(rings, namespace, CONFIG_MANAGER)[before:]
    assert sorted(r.name for r in asked) == sorted(p["metadata"]["name"] for p in rings.pods(namespace))
    waves(asked, 3)


def test_config_map_that_is_made_after_its_pods_reaches_them_all_at_once(rings: Installation, namespace: str) -> None:
    """A kubelet would not have started them: nobody runs an older one."""
    rings.deploy(namespace, "redis", 4, ring="payments", config_map="settings")
    rings.ring(namespace, 4)
    assert generations(rings, namespace) == [None] * 4
    told(rings, namespace, Maps(rings, namespace).make("settings", "a = 1"), 4)
    assert len(patches(rings, namespace, CONFIG_MANAGER)) == 4


@pytest.mark.parametrize("discovery", ["none", "dns", "external"])
def test_pods_without_peers_of_ours_are_told_in_waves_too(rings: Installation, namespace: str, discovery: str) -> None:
    maps = Maps(rings, namespace)
    first = maps.make("settings", "a = 1")
    said = {"peer": "redis.example.com"} if discovery == "external" else {}
    rings.deploy(namespace, "redis", 2, discovery=discovery, config_map="settings", **said)
    told(rings, namespace, first, 2)
    before = len(patches(rings, namespace, CONFIG_MANAGER))
    told(rings, namespace, maps.change("settings", "a = 2"), 2)
    waves(patches(rings, namespace, CONFIG_MANAGER)[before:], 1)
    assert not patches(rings, namespace, PEERS_MANAGER)


def test_pod_that_is_not_ready_any_more_holds_the_next_wave(rings: Installation, namespace: str) -> None:
    """Another ring of the same size, that is well, tells how far this one could have got."""
    maps = Maps(rings, namespace)
    first = maps.make("settings", "a = 1")
    for name in ("sick", "well"):
        rings.deploy(namespace, name, 8, ring=name, config_map="settings")
        rings.ring(namespace, 8, f"app={name}")
        told(rings, namespace, first, 8, f"app={name}")
    second = maps.change("settings", "a = 2")

    def new(name: str) -> list[Object]:
        pods = rings.pods(namespace, f"app={name}")
        return [p for p in pods if p["metadata"]["annotations"][CONFIG_GENERATION] == second]

    [pod, *_] = rings.wait("the first wave", lambda: new("sick"))
    ready(rings, pod, said="False")
    # A wave may have been on its way.
    before = len(new("sick"))
    told(rings, namespace, second, 8, "app=well")
    assert len(new("sick")) <= before + 2 < 8
    ready(rings, pod, said="True")
    told(rings, namespace, second, 8, "app=sick")


def ready(rings: Installation, pod: Object, *, said: str) -> None:
    """As a kubelet would say it."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"

    def attempt() -> bool:
        found = find(rings, path)
        for condition in found["status"]["conditions"]:
            condition["status"] = said if condition["type"] == "Ready" else condition["status"]
        return rings.cluster.request("PUT", f"{path}/status", found)[0] == 200

    rings.wait("the status to be taken", attempt)


def test_key_that_cannot_be_looked_for_does_not_slow_the_waves(rings: Installation, namespace: str) -> None:
    """Its step fails at every look, which comes later each time; the waves have a time of their own."""
    maps = Maps(rings, namespace)
    first = maps.make("settings", "a = 1")
    rings.deploy(namespace, "redis", 8, ring="payments", config_map="settings", ring_key="managed")
    rings.ring(namespace, 8)
    told(rings, namespace, first, 8)
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    rings.wait("the key", lambda: find(rings, f"{secrets}/habitat-ring-payments-key"))
    running = "habitat.sh/service"
    rings.wait("all to run", lambda: all(p["status"]["phase"] == "Running" for p in rings.pods(namespace, running)))
    full = {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}}
    ask(rings, "POST", f"/api/v1/namespaces/{namespace}/resourcequotas", full, expected=201)
    probe = keys.probe(Ring(namespace, "other"), namespace)
    rings.wait("the quota", lambda: rings.cluster.request("POST", f"{secrets}?dryRun=All", probe)[0] == 403)
    told(rings, namespace, maps.change("settings", "a = 2"), 8)


def test_secret_is_followed_with_the_setting_only(rings: Installation, namespace: str, leader: Leader) -> None:
    maps = Maps(rings, namespace, "Secret")
    maps.make("settings", "a = 1")
    rings.deploy(namespace, "redis", 4, ring="payments", config_secret="settings")
    rings.ring(namespace, 4)
    second = maps.change("settings", "a = 2")
    # Something that is followed, after the Secret: by then that would have been seen.
    other = Maps(rings, namespace).make("other", "b = 1")
    rings.deploy(namespace, "other", 1, discovery="none", config_map="other")
    told(rings, namespace, other, 1, "app=other")
    assert generations(rings, namespace, "app=redis") == [None] * 4
    assert not reads(rings, namespace, "secrets")

    leader.restart("--watch-secrets")
    try:
        told(rings, namespace, second, 4, "app=redis")
        before = len(patches(rings, namespace, CONFIG_MANAGER))
        told(rings, namespace, maps.change("settings", "a = 3"), 4, "app=redis")
        waves(patches(rings, namespace, CONFIG_MANAGER)[before:], 1)
    finally:
        leader.restart()

"""Two rings form, a pod of one goes, and its ring heals, shown as it happens."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane.client import Cluster
from tests.demo import page, story
from tests.demo.commands import judged
from tests.demo.rings import Happening, Sight, Watcher

FORM_SECONDS = HEAL_SECONDS = 60


def play(cluster: Cluster) -> list[str]:
    """What went wrong, a sentence each. Raises KubectlError, ConfigError, WaitError."""
    paths = story.manifests()[0]
    sizes = Counter[str]()
    for workload in story.workloads(paths):
        sizes[workload.ring.name] += workload.replicas
    with Watcher(cluster, story.DEMO, sizes) as watcher:
        return _form(cluster, watcher) or _heal(cluster, watcher, next(iter(sizes)))


def _form(cluster: Cluster, watcher: Watcher) -> list[str]:
    paths = story.manifests()[0]
    page.forming([str(p.relative_to(story.EXAMPLES.parents[1])) for p in paths], watcher.rings)
    shown = _Lines(watcher, time.monotonic())
    cluster.kubectl("apply", "-n", story.DEMO, *(f"--filename={path}" for path in paths))
    whole = watcher.follow(shown, lambda: not watcher.problems(), seconds=FORM_SECONDS)
    page.formed(shown.last if whole else None, watcher.rings, max(shown.waits, default=0.0))
    return [f"{text}, after {FORM_SECONDS} s" for text in watcher.problems()]


def _heal(cluster: Cluster, watcher: Watcher, ring: str) -> list[str]:
    members = watcher.members(ring)
    named = {pod.uid: [other.name for other in members if pod.address in other.peers] for pod in members}
    victim = max(members, key=lambda pod: len(named[pod.uid]))
    page.deleting(victim.name, victim.address, named[victim.uid])
    shown = _Lines(watcher, None, victim)
    cluster.kubectl("delete", "pod", victim.name, "-n", story.DEMO, "--wait=false")

    def healed() -> bool:
        return shown.began is not None and not watcher.problems()

    whole = watcher.follow(shown, healed, seconds=HEAL_SECONDS)
    successor = next((pod for pod in watcher.members(ring) if pod.uid not in named), victim)
    again = successor.address == victim.address
    page.healed(shown.clean, successor.name, shown.last if whole else None, same_address=again)
    if shown.began is None:
        return [f"{victim.name} of the ring {ring} was deleted and is still there after {HEAL_SECONDS} s"]
    return [f"{text}, {HEAL_SECONDS} s after {victim.name} was deleted" for text in watcher.problems()]


def rings_now(cluster: Cluster, found: Sequence[story.Workload]) -> list[str]:
    """The keys that the controller has made, and what `habitat-webhook status` says. What is wrong, a sentence each."""
    made, wrong = _keys(cluster, found)
    page.keys(made)
    page.rings()
    return wrong + judged(cluster, "status", "-A")


def _keys(cluster: Cluster, found: Sequence[story.Workload]) -> tuple[dict[str, str], list[str]]:
    """ "namespace/name" of each managed key's Secret with a sentence about it, and what is wrong with them."""
    said, wrong = {}, []
    for w in sorted((w for w in found if w.managed_key), key=lambda w: w.namespace != w.ring.namespace):
        secret = _secret(cluster, w.namespace, w.managed_key)
        name, own = f"{w.namespace}/{w.managed_key}", w.namespace == w.ring.namespace
        said[name] = f"the key of the ring {w.ring}" if own else "a copy of it for those who join"
        if secret is None:
            wrong.append(f"the Secret {name} is not there, though {w.name} says ring-key: managed")
        elif not secret.get("immutable"):
            wrong.append(f"the Secret {name} is not immutable")
        elif not own:
            source = _secret(cluster, w.ring.namespace, w.ring.key_secret_in(w.ring.namespace))
            if source is None or source["data"] != secret["data"]:
                wrong.append(f"the Secret {name} is not the key of the ring {w.ring}")
    return said, wrong


def _secret(cluster: Cluster, namespace: str, name: str) -> dict[str, Any] | None:
    answer = cluster.kubectl("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", "json")
    return json.loads(answer) if answer else None


@dataclass(slots=True)
class _Lines:
    """Writes a line for each thing that happens to a member.

    began: when time begins; None until the victim goes. clean: seconds until no list names an address without a pod,
    after the victim went. waits: seconds that each pod has waited for its first peers.
    """

    watcher: Watcher
    began: float | None
    victim: Sight | None = None
    last: float = 0.0
    clean: float | None = None
    waits: list[float] = field(default_factory=list)

    def __call__(self, happening: Happening) -> None:
        pod = happening.pod
        if self.victim and pod.uid == self.victim.uid and happening.has_gone:
            self.began = happening.at
        if self.began is None:
            return
        self.last = happening.at - self.began
        say: Callable[[str], None] = lambda text: page.happened(self.last, pod.ring, pod.name, text)  # noqa: E731
        if happening.has_gone:
            say("deleted")
        if happening.is_addressed:
            say(f"address {pod.address}")
        if happening.is_told:
            say(self._told(happening))
        if self.victim and self.clean is None and not self.watcher.dead():
            self.clean = self.last

    def _told(self, happening: Happening) -> str:
        pod, old = happening.pod, happening.old.peers if happening.old else ()
        text = f"told of {', '.join(pod.peers) or 'nobody'}"
        if old:
            out, new = (", ".join(a for a in one if a not in two) for one, two in ((old, pod.peers), (pod.peers, old)))
            return text + "".join(f"; {address} is {how}" for address, how in ((out, "out"), (new, "new")) if address)
        since = self.watcher.waiting_since(pod)
        self.waits.append(happening.at - since)
        whose = "its address" if since == self.watcher.addressed[pod.uid] else "another had one"
        return f"{text}, {self.waits[-1] * 1000:.0f} ms after {whose}"

"""Live configuration: which pods of a ring are told now that their configuration has changed (design.md §7).

A changed ConfigMap or Secret takes 64–79 s to reach its mounted file by itself, and 0.2–0.6 s once an annotation of the
pod is patched (supervisor.md §0). The controller patches habitat.sh/config-generation with a hash of the content, so
that the annotation says what a pod runs, and unchanged content causes no write. All of a ring at once would restart
all of its services at once (a package without a `reconfigure` hook restarts, §0); so a change goes over the ring in
waves, and `plan` says who is next. It is pure: members, memory and time in, decisions out.

- A pod without a generation has just been made, and its volume holds the content already: it gets one at once, as a
  rule in the same patch as its first peers. Neither does a pod wait whose container does not run.
- The others wait for a wave. The unit is what breaks together: the running pods with the same content. A wave takes at
  most a quarter of each such set, rounded up, and of all sets that are changing together; one pod of a set in leader
  topology, since nobody here knows which of them leads.
- Waves are `Pace.seconds` apart. A pod that was ready when it was told and is not now, or whose patch is not seen yet,
  holds the next wave back, for `Pace.patience` at most: a bad configuration stops at a quarter for that long, and a
  broken pod does not stop the others for good. That is time to take the change back and no more: after 64–79 s the
  kubelets bring it to every pod whatever is decided here.
- Who is not ready goes first: it serves nobody, and a correction must not queue behind the damage. Then the youngest:
  as a StatefulSet does it, since the oldest are in the most peer lists and the likeliest to lead. When the content
  changes again before all have the last one, the waves go on with the newest, those first who were told least
  recently: somebody who saves every few seconds does not starve the oldest pods.

What a pod runs is in its annotation; the memory between two calls is for pace alone. A controller that starts afresh
repeats no patch, and begins at most one wave earlier than its predecessor would have.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

GENERATION_LENGTH = 16
_NEVER = -math.inf
_NAMED = 3


def generation(config_maps: Iterable[Mapping[str, Any]], secrets: Iterable[Mapping[str, Any]] = ()) -> str:
    """16 hexadecimal digits for the content of the objects that a pod mounts: name, data and binaryData of each.

    Neither the order of objects or keys nor any other metadata counts. A Secret's uid does, which only those know who
    may read the Secret: pods are read by more people than Secrets are, and from a bare hash a weak password could be
    guessed offline. So a Secret that is deleted and made again has another generation.
    """
    said = [[_name(m), m.get("data") or {}, m.get("binaryData") or {}] for m in config_maps]
    hidden = [[_name(s), s.get("data") or {}, (s.get("metadata") or {}).get("uid") or ""] for s in secrets]
    # Sorted by their text: nothing is ambiguous in JSON, and no two objects of a kind have one name.
    texts = [sorted(json.dumps(one, sort_keys=True) for one in part) for part in (said, hidden)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:GENERATION_LENGTH]


@dataclass(frozen=True, slots=True)
class Pace:
    """parts: how many waves a set of pods is divided into. seconds: from one wave to the next. patience: seconds that
    a wave is held back by pods of earlier waves, and that a patch may take to be seen. Raises ValueError.
    """

    parts: int = 4
    seconds: float = 3.0
    patience: float = 30.0

    def __post_init__(self) -> None:
        if self.parts < 1 or not 0 < self.seconds <= self.patience < math.inf:
            raise ValueError(f"{self} makes no sense; allowed: parts ≥ 1, 0 < seconds ≤ patience")


@dataclass(frozen=True, slots=True)
class Pod:
    """A live member of the ring that mounts configuration.

    generation: its annotation, None without one. wanted: `generation` of what it mounts, None while one of the objects
    is not there; such a pod is left alone, as the kubelet does. running, ready: its Supervisor's container. leader:
    topology leader. created: seconds, on any clock that is the same for all.
    """

    uid: str
    name: str
    generation: str | None
    wanted: str | None
    running: bool
    ready: bool
    leader: bool
    created: float


@dataclass(frozen=True, slots=True)
class Sent:
    """A pod has been told. at: seconds. watched: it was ready in a wave, so it has to become ready again."""

    generation: str
    at: float
    watched: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known from earlier calls: when the last wave began, None for never; whom we told what, by uid.

    The caller hands it back and looks at nothing in it. It starts empty, also after another controller has led.
    """

    last_wave: float | None = None
    sent: Mapping[str, Sent] = field(default_factory=dict)

    def without(self, uid: str) -> Memory:
        """The memory after a patch that has failed: the pod is to be told again."""
        return replace(self, sent={u: s for u, s in self.sent.items() if u != uid})


@dataclass(frozen=True, slots=True)
class Plan:
    """patch: the pods to tell now, each its `wanted`, in this order. memory: for the next call. next_at: when to call
    again though nothing has happened, later than now; None for never. holding: names of the pods that a wave waits for.
    notes: sentences for an event.
    """

    patch: tuple[Pod, ...]
    memory: Memory
    next_at: float | None
    holding: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan(pods: Sequence[Pod], memory: Memory, now: float, pace: Pace) -> Plan:
    """Whom to tell now. pods: of one ring, each once; without those that have not had their first peers, since their
    generation goes into that patch. now: seconds of a clock that never goes back.

    Call it whenever a pod or a content has changed, and at `next_at`. Patch all that it names; of a patch that fails,
    tell `Memory.without`.
    """
    sent = {p.uid: memory.sent[p.uid] for p in pods if p.uid in memory.sent}
    unseen = {p.uid for p in pods if p.uid in sent and _unseen(p, sent[p.uid], now, pace)}
    stale = [p for p in pods if p.wanted not in (None, p.generation) and p.uid not in unseen]
    waiting = [p for p in stale if p.running and p.generation is not None]
    at_once = [p for p in stale if not p.running or p.generation is None]

    last_wave, due = memory.last_wave, _NEVER if memory.last_wave is None else memory.last_wave + pace.seconds
    holding = [p for p in pods if p.uid in sent and _holds(p, sent[p.uid], unseen, now, pace)]
    if holding:
        due = max(due, max(sent[p.uid].at for p in holding) + pace.patience)

    wave: list[Pod] = []
    notes: tuple[str, ...] = ()
    if waiting and now >= due:
        last_wave, due = now, now + pace.seconds
        wave = _wave(waiting, pods, sent, pace)
        watched = [p for p in pods if p.uid in sent and sent[p.uid].watched]
        overdue = [p for p in watched if p.generation == p.wanted and not p.ready]
        notes = _notes(overdue, pace)
        sent |= {p.uid: replace(sent[p.uid], watched=False) for p in overdue}

    told = [(p, False) for p in at_once] + [(p, p.ready) for p in wave]
    new = {p.uid: Sent(p.wanted, now, watched) for p, watched in told if p.wanted is not None}
    seen_by = [sent[uid].at + pace.patience for uid in unseen] + [now + pace.patience] * bool(new)
    return Plan(
        patch=tuple(p for p, _ in told),
        memory=Memory(last_wave, _kept(sent, now, pace, all_of_it=bool(waiting)) | new),
        next_at=min([*seen_by, due] if len(waiting) > len(wave) else seen_by, default=None),
        holding=tuple(p.name for p in holding) if waiting else (),
        notes=notes,
    )


def _unseen(pod: Pod, sent: Sent, now: float, pace: Pace) -> bool:
    """Told, and the annotation does not say so yet. In time the patch counts as lost; another patch before that would
    meet an old value that is not the pod's any more.
    """
    return pod.generation != sent.generation and now < sent.at + pace.patience


def _holds(pod: Pod, sent: Sent, unseen: set[str], now: float, pace: Pace) -> bool:
    """A pod that is stale again does not hold: what it needs is the next wave."""
    settled = pod.generation == pod.wanted and not pod.ready
    return sent.watched and now < sent.at + pace.patience and (settled or pod.uid in unseen)


def _wave(waiting: list[Pod], pods: Sequence[Pod], sent: Mapping[str, Sent], pace: Pace) -> list[Pod]:
    """Not ready first, then least recently told, then youngest, as far as the shares of its set and of all go."""
    running = [p for p in pods if p.running]
    size = Counter(p.wanted for p in running)
    leading = {p.wanted for p in running if p.leader}
    share = {s: 1 if s in leading else _share(size[s], pace) for s in {p.wanted for p in waiting}}
    left = _share(sum(size[s] for s in share), pace)

    def rank(pod: Pod) -> tuple[bool, float, float, str]:
        return pod.ready, sent[pod.uid].at if pod.uid in sent else _NEVER, -pod.created, pod.uid

    chosen: list[Pod] = []
    for pod in sorted(waiting, key=rank):
        if len(chosen) < left and share[pod.wanted]:
            share[pod.wanted] -= 1
            chosen.append(pod)
    return chosen


def _share(pods: int, pace: Pace) -> int:
    return -(-pods // pace.parts)


def _kept(sent: Mapping[str, Sent], now: float, pace: Pace, *, all_of_it: bool) -> dict[str, Sent]:
    """All while waves go on, since it says who was told least recently; then what a pod can still be waited for."""
    return {uid: s for uid, s in sent.items() if all_of_it or now < s.at + pace.patience}


def _notes(overdue: list[Pod], pace: Pace) -> tuple[str, ...]:
    if not overdue:
        return ()
    names = ", ".join(p.name for p in overdue[:_NAMED])
    more = f" and {len(overdue) - _NAMED} more" if len(overdue) > _NAMED else ""
    said = f"not ready, {pace.patience:g} s or more after their configuration changed: {names}{more}"
    return (f"{said}; the change goes on to the other pods of the ring",)


def _name(source: Mapping[str, Any]) -> str:
    return str((source.get("metadata") or {}).get("name") or "")

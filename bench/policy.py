"""(e) A cluster-wide policy: what reading it, a decision by it, and one that nobody has made before cost."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.budget import Budget
from bench.report import Section, at_most
from bench.reviews import reviews
from bench.summary import percentile
from tests.controlplane.progress import Progress
from webhook.inject import Situation, inject
from webhook.policy.grammar import MOST_RULES
from webhook.policy.policy import Policy

_HEADER = "apiVersion: policy.habitat.sh/v1\nkind: Policy\nrules:\n"
_LABELS = {"habitat.sh/injection": "enabled", "tier": "web", "kubernetes.io/metadata.name": "shop"}
_MATCHING = "  - {{name: r{n}, match: {{namespaces: ['sh*']}}, require: [service], deny: {{channel: [c{n}]}}}}\n"
_KINDS = (
    "  - {{name: r{n}, match: {{namespaces: [team-{n}]}}, force: {{channel: c{n}}}}}\n",
    "  - {{name: r{n}, match: {{namespaces: ['team-{n}-*']}}, defaults: {{group: g{n}}}}}\n",
    "  - {{name: r{n}, match: {{podSelector: {{matchLabels: {{team: t{n}}}}}}}, force: {{channel: c{n}}}}}\n",
    "  - {{name: r{n}, match: {{namespaceSelector: {{matchLabels: {{tier: t{n}}}}}}}, require: [license]}}\n",
    "  - {{name: r{n}, match: {{images: ['registry-{n}.example.com/*']}}, refuse: not here}}\n",
)


@dataclass(frozen=True, slots=True)
class _Mix:
    """rules: how many. matching: how many of them are about the pod that is decided."""

    rules: int
    matching: int

    def text(self) -> bytes:
        others = (_KINDS[n % len(_KINDS)].format(n=n) for n in range(self.rules - self.matching))
        mine = (_MATCHING.format(n=n) for n in range(self.rules - self.matching, self.rules))
        rules = "".join([*others, *mine])
        return (_HEADER + (rules or "  []\n")).encode()


_MIXES = (_Mix(0, 0), _Mix(100, 3), _Mix(1000, 3), _Mix(MOST_RULES, 3), _Mix(MOST_RULES, 100), _Mix(MOST_RULES, 1000))


def measure(budget: Budget) -> Section:
    columns = (
        "rules",
        "about the pod",
        "read ms",
        "MiB",
        "rules µs p50",
        "decision µs p50",
        "p99",
        "first µs p50",
        "p99",
    )
    section = Section("e", "a cluster-wide policy", columns, text_columns=2)
    section.notes = [
        "rules: what the policy says of a pod. decision: that, and the engine. All in CPU time.",
        "first: a decision about a namespace that no decision was about before.",
        f"{MOST_RULES:,} rules are the most that are read.",
    ]
    with Progress("(e) policy") as progress:
        for mix in _MIXES:
            _row(section, mix, budget.engine_calls, progress.tick)
    return section


def _row(section: Section, mix: _Mix, calls: int, tick: Callable[[], None]) -> None:
    content = mix.text()
    read = min(_seconds(lambda: Policy.of(content)) for _ in range(3)) * 1e3
    tick()
    policy, mib = _kept(content)
    pod = next(iter(reviews("7 KiB"))).pod
    situation = Situation(namespace="shop", namespace_labels=_LABELS)
    asked = [_seconds(lambda: policy.rules(pod, "shop", _LABELS)) * 1e6 for _ in range(calls)]
    tick()
    whole = [_seconds(lambda: inject(pod, policy.about(situation, pod))) * 1e6 for _ in range(calls)]
    tick()
    first = [_seconds(lambda one=one: inject(pod, policy.about(one, pod))) * 1e6 for one in _new(calls // 4)]
    tick()
    figures = [read, mib, percentile(asked, 50), percentile(whole, 50), percentile(whole, 99)]
    figures += [percentile(first, 50), percentile(first, 99)]
    verdict = at_most(f"decision, {mix.rules} rules", percentile(whole, 99), 1000, " µs")
    cells = [f"{mix.rules:,}", f"{mix.matching:,}", *(f"{figure:.3g}" for figure in figures)]
    section.add(
        cells, [verdict], {"rules": mix.rules, "matching": mix.matching, "decision_us": whole, "first_us": first}
    )


def _new(count: int) -> Iterator[Situation]:
    for number in range(max(count, 20)):
        yield Situation(namespace=f"shop-{number}", namespace_labels=_LABELS)


def _seconds(call: Callable[[], Any]) -> float:
    """Of CPU: others use the machine, too."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


def _kept(content: bytes) -> tuple[Policy, float]:
    """The policy, and what it takes of memory."""
    gc.collect()
    tracemalloc.start()
    try:
        policy = Policy.of(content)
        gc.collect()
        return policy, tracemalloc.get_traced_memory()[0] / 2**20
    finally:
        tracemalloc.stop()

"""The results as rows of the one table, the reference beside ours and their ratio below."""

from __future__ import annotations

from collections.abc import Sequence

from bench import targets
from bench.report import Section, Verdict, at_most
from bench.rings.ground import OURS
from bench.rings.run import Result

_MEGABYTES = 1.048576
"""In a MiB."""

_FILE_SECONDS = {True: 79.0, False: 0.17}
"""From a write to the file that a Supervisor reads, at the longest, on a kubelet that has nothing else to do: a mounted
ConfigMap (64 to 79 s) and an annotation (5 to 170 ms); supervisor.md §0."""

_COLUMNS = (
    "pods",
    "design",
    "pods/s",
    "p50 s",
    "p99 s",
    "+file",
    "writes/pod",
    "KiB",
    "CPU s",
    "API's",
    "RSS",
    "most",
    "1/10 dies",
    "writes",
    "worst",
    "writes",
)
_NOTES = """
pods/s: how fast pods got their addresses, which is the load; all programs of the cluster share this machine.

p50, p99: seconds from a watch showing status.podIP to its showing habitat.sh/peers (or the ConfigMap with the
address), seen from a third process; without the first pod of each ring, which has nobody to wait for.

+file: p99 until it can be in the file that a Supervisor reads: a kubelet brings an annotation within 0.17 s and a
mounted ConfigMap within 79 s (supervisor.md §0). Simulated nodes have no files: this part was not measured here.

writes: requests of the controller's user in the API server's audit log, refused ones too, without its Lease.

KiB: content of all lists that were written. A node gets every version of a ConfigMap that a pod of it mounts.

CPU s: of the controller while all pods came; API's: of kube-apiserver meanwhile, for everybody.

RSS: MiB of the controller when all pods were there; most: at its highest.

1/10 dies: a tenth of each ring at once, by chance, without those that are in the most lists; seconds from the last
death until all lists left are full and live. worst: the same, with those that are in the most lists.
"""


def section(results: Sequence[Result]) -> Section:
    """results: of each scale ours first, then the reference if it was measured."""
    made = Section("e", "rings: how pods are told of each other, on a real API server", _COLUMNS, text_columns=2)
    made.notes = [" ".join(note.split()) for note in _NOTES.split("\n\n")]
    cut = [r for r in results if r.cuts]
    if cut:
        often = "; ".join(f"{r.scale} pods, {r.design.name}: {r.cuts} times" for r in cut)
        made.notes.append(f"The API server cut the benchmark's own watch, being too busy: times are rough ({often}).")
    ours = results[0]
    for result in results:
        named = [str(result.scale), result.design.name]
        cells = [format(value, form) for value, form in _figures(result)]
        if result.design is OURS:
            ours = result
            made.add([*named, *cells], _verdicts(result), result.document())
        else:
            made.add([*named, *cells], (), result.document())
            ratios = _ratios(ours, result)
            made.add(["", "ours in terms of it", *ratios], (), {"ours in terms of it": ratios})
    return made


def _figures(result: Result) -> list[tuple[float, str]]:
    """Value and format of each column after the first two."""
    up, pods = result.up, result.scale.pods
    found: list[tuple[float, str]] = [
        (up.pods_a_second, ".0f"),
        (result.p(50), ".3f"),
        (result.p(99), ".3f"),
        (result.p(99) + _FILE_SECONDS[result.design.config_maps], ".2f"),
        (up.cost.writes / pods, ".2f"),
        (up.cost.list_bytes / 1024, ",.0f"),
        (up.cost.cpu_seconds, ".2f"),
        (up.cost.server_seconds, ".1f"),
        (result.at_scale, ".0f"),
        (result.at_most, ".0f"),
    ]
    for healed in (result.any_tenth, result.worst_tenth):
        found += [(healed.seconds, ".2f"), (healed.cost.writes, ",.0f")]
    return found


def _ratios(ours: Result, reference: Result) -> list[str]:
    pairs = zip(_figures(ours), _figures(reference), strict=True)
    return [_ratio(a / b) if b else "" for (a, _), (b, _) in pairs]


def _ratio(value: float) -> str:
    return f"{value:.0f}×" if value >= 10 else f"{value:.2g}×"


def _verdicts(result: Result) -> list[Verdict]:
    about = f"rings, {result.scale} pods"
    return [
        at_most(f"{about}: p99 from address to peers", result.p(99), targets.PEERS_P99_S, " s"),
        at_most(
            f"{about}: writes per pod", result.up.cost.writes / result.scale.pods, targets.WRITES_PER_POD, " per pod"
        ),
        at_most(f"{about}: RSS at its highest", result.at_most * _MEGABYTES, targets.CONTROLLER_MB, " MB"),
        at_most(f"{about}: p50 beside the Supervisor's 4 s", result.p(50), targets.PEERS_P50_S, " s"),
    ]

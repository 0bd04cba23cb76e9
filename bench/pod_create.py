"""(c) What a user waits for: creating a Pod on a real API server, with and without the webhook.

The creates are dry runs (`?dryRun=All`). Such a request goes through everything that a real one goes through, including
authorization, every admission plugin, this webhook (its sideEffects are None) and validation, except that nothing is
stored: so etcd's disk does not drown a difference of a millisecond, no controller or scheduler works beside the
measurement, and however many are sent, nothing is left to clean up.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import targets
from bench.budget import Budget
from bench.errors import BenchError
from bench.load import Endpoint, Load, Requests, Result
from bench.report import Section, at_most
from bench.reviews import VARIANTS, Pod, written_pod
from bench.servers import FIXED_LABEL, Server
from bench.summary import Summary, summarise
from tests.controlplane.client import Cluster, wait_for
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.progress import Progress
from tests.support.webhook_config import registration
from webhook.decide import INJECTION_LABEL
from webhook.options import INJECTED, PREFIX

SIZE = "7 KiB"
_WITHOUT = "no webhook asked (namespace disabled)"
_INJECTED = "habitat-webhook, injects"
_WARM_UP = 30
_SECONDS = 60.0
_COLUMNS = ("pod create, dry run", "p50 ms", "±", "p99 ms", "±", "p50 more", "±", "p99 more", "±")


@dataclass(frozen=True, slots=True)
class Lane:
    """Pods of one kind. changed_by: the server that has to have changed them, "" for none."""

    name: str
    namespace: str
    annotated: bool
    changed_by: str

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All"

    def pod(self, variant: int) -> Pod:
        """A bare pod of the user's, with a name that the API server generates."""
        pod: Pod = {"apiVersion": "v1", "kind": "Pod"} | written_pod(SIZE, variant)
        annotations = pod["metadata"]["annotations"]
        pod["metadata"] = {
            "generateName": "redis-",
            "namespace": self.namespace,
            "labels": pod["metadata"]["labels"],
            "annotations": {n: v for n, v in annotations.items() if self.annotated or not n.startswith(PREFIX)},
        }
        return pod

    def requests(self, directory: Path) -> Requests:
        files = [directory / f"pod-{self.namespace}-{self.annotated}-{variant}.json" for variant in range(VARIANTS)]
        for variant, file in enumerate(files):
            file.write_text(json.dumps(self.pod(variant)))
        return Requests(self.name, self.path, files)


def measure(budget: Budget, binary: Path, ours: Server, bare: Server, directory: Path) -> Section:
    section = Section("c", f"Pod of a {SIZE} review, on a real API server, milliseconds", _COLUMNS, text_columns=1)
    section.notes = [
        "One connection; the kinds take turns, request by request. More: than without, within each round.",
        "The bare Go handler is registered the same way: what any webhook with a patch costs a create.",
    ]
    with ControlPlane() as cluster, contextlib.ExitStack() as made:
        labels = {INJECTION_LABEL: "enabled"}
        disabled = made.enter_context(cluster.namespace(labels={INJECTION_LABEL: "disabled"}))
        enabled, beside = (made.enter_context(cluster.namespace(labels=labels)) for _ in range(2))
        lanes = [
            Lane(_WITHOUT, disabled, annotated=True, changed_by=""),
            Lane("not annotated (matchConditions say no)", enabled, annotated=False, changed_by=""),
            Lane("bare Go handler, fixed patch", beside, annotated=True, changed_by=bare.name),
            Lane(_INJECTED, enabled, annotated=True, changed_by=ours.name),
        ]
        _register(cluster, ours, [disabled, enabled])
        _register(cluster, bare, [beside])
        wait_for(
            "the API server to call both webhooks", lambda: _as_expected(cluster, lanes, ours, bare), seconds=_SECONDS
        )
        results = _measure(budget, binary, _endpoint(cluster), [lane.requests(directory) for lane in lanes])
    for lane in lanes:
        _add(section, lane.name, results)
    return section


def _register(cluster: Cluster, server: Server, namespaces: list[str]) -> None:
    if server.ca is None:
        raise BenchError(f"{server.name} has no CA of ours to put into its configuration")
    name = f"bench-{server.name.split()[0].lower()}"
    made = registration(server.url, server.ca.read_bytes(), name=name, namespaces=namespaces)
    cluster.apply(json.dumps(made))


def _as_expected(cluster: Cluster, lanes: list[Lane], ours: Server, bare: Server) -> bool:
    """Whether each lane's pod is changed by the server that should, and by no other."""
    return all(_changed_by(cluster, lane, ours, bare) == {lane.changed_by} - {""} for lane in lanes)


def _changed_by(cluster: Cluster, lane: Lane, ours: Server, bare: Server) -> set[str]:
    status, answer = cluster.request("POST", lane.path, lane.pod(0))
    if status != 201:
        raise BenchError(f"the API server answered a dry-run Pod create with {status}: {answer}")
    metadata = answer["metadata"]
    found = {ours.name} if INJECTED in metadata.get("annotations", {}) else set()
    return found | ({bare.name} if FIXED_LABEL in metadata["labels"] else set())


def _endpoint(cluster: Cluster) -> Endpoint:
    pair = cluster.access.client
    if pair is None:
        raise BenchError("the control plane gave no client certificate to send Pods with")
    return Endpoint("kube-apiserver", urllib.parse.urlsplit(cluster.url).netloc, cluster.ca, pair.certificate, pair.key)


def _measure(budget: Budget, binary: Path, endpoint: Endpoint, kinds: list[Requests]) -> list[Result]:
    results = []
    with (
        Progress("(c) Pod create") as progress,
        Load(binary, endpoint, kinds, connections=1, status=201) as load,
    ):
        load.phase(len(kinds) * _WARM_UP, _SECONDS)
        for number in range(budget.rounds):
            progress.label = f"(c) Pod create, round {number + 1} of {budget.rounds}"
            results.append(load.phase(len(kinds) * budget.pod_creates, _SECONDS))
            progress.tick()
    return results


def _add(section: Section, name: str, results: list[Result]) -> None:
    own = [result.by_name[name] for result in results]
    without = [result.by_name[_WITHOUT] for result in results]
    p50, p99 = summarise([one.p50 for one in own]), summarise([one.p99 for one in own])
    more = summarise([a.p50 - b.p50 for a, b in zip(own, without, strict=True)])
    more_p99 = summarise([a.p99 - b.p99 for a, b in zip(own, without, strict=True)])
    verdicts = []
    if name == _INJECTED:
        verdicts.append(at_most("a Pod create takes longer", more.median, targets.POD_CREATE_MS, " ms p50 more"))
    differences = [*_cells(more), *_cells(more_p99)] if name != _WITHOUT else [""] * 4
    section.add(
        [name, *_cells(p50), *_cells(p99), *differences],
        verdicts,
        {
            "pod": name,
            "p50_ms": p50.median,
            "p99_ms": p99.median,
            "p50_more_ms": more.median,
            "p99_more_ms": more_p99.median,
            "rounds": [asdict(one) for one in own],
        },
    )


def _cells(one: Summary) -> tuple[str, str]:
    return f"{one.median:.2f}", f"{one.spread:.2f}"

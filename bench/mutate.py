"""(b) `/mutate` over TLS keep-alive: CPU time per review, throughput and latency, every server in every round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import targets
from bench.budget import Budget
from bench.load import Load, Requests
from bench.process import CpuClock, memory
from bench.report import Section, Verdict, at_most
from bench.reviews import SIZES, reviews
from bench.servers import BARE, FLASK, OURS, Server, ask
from bench.summary import ratios, summarise
from tests.controlplane.progress import Progress

CONNECTIONS = (1, 16, 64)
_WARM_UP_REQUESTS = 100
_WARM_UP_SECONDS = 0.2
_COLUMNS = ("body", "conns", "server", "CPU ms", "±", "× bare", "±", "req/s", "p50 ms", "p99 ms", "RSS MiB")


@dataclass(frozen=True, slots=True)
class Sample:
    """One server in one round. cpu, p50, p99: milliseconds. resident, proportional: MiB (bench.process.Memory)."""

    cpu: float
    per_second: float
    p50: float
    p99: float
    requests: int
    reconnects: int
    resident: float
    proportional: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    size: str
    connections: int


Samples = dict[tuple[Cell, str], list[Sample]]


def write_bodies(directory: Path, annotations: Mapping[str, str]) -> dict[str, list[Path]]:
    """Every review of every size as a file."""
    files: dict[str, list[Path]] = {}
    for size in SIZES:
        for number, review in enumerate(reviews(size, annotations)):
            file = directory / f"review-{size.replace(' ', '')}-{number}.json"
            file.write_bytes(review.content)
            files.setdefault(size, []).append(file)
    return files


def measure(
    budget: Budget, binary: Path, servers: Sequence[Server], directory: Path, annotations: Mapping[str, str]
) -> Section:
    """servers: the bare handler first."""
    cells = [Cell(size, connections) for size in SIZES for connections in CONNECTIONS]
    samples: Samples = {}
    with Progress("(b) /mutate") as progress:
        bodies = write_bodies(directory, annotations)
        unpatched = _without_patch(servers, annotations)
        for number in range(budget.rounds):
            for cell in cells:
                progress.label = (
                    f"(b) /mutate, round {number + 1} of {budget.rounds}, {cell.size}, {cell.connections} conns"
                )
                # Another one begins each round: whoever comes after a slow one must not always be the same.
                for server in [*servers[number % len(servers) :], *servers[: number % len(servers)]]:
                    sample = _sample(budget, binary, server, cell, bodies[cell.size])
                    samples.setdefault((cell, server.name), []).append(sample)
                    progress.tick()
    section = Section("b", f"/mutate over TLS keep-alive, median of {budget.rounds} interleaved rounds", _COLUMNS, 3)
    section.notes = [
        "CPU: of the server's processes alone. × bare: median of the rounds' ratios. ±: half the range of the rounds.",
        "RSS: sum over the server's processes, pages that they share counted in each.",
        *(f"{name} answered without a patch: it did not do an injector's work; see --annotation" for name in unpatched),
    ]
    names = [server.name for server in servers]
    if not _injectors(names):
        section.notes.append('The target "p99 below every injector" is judged when others are given with --server.')
    for cell in cells:
        for name in names:
            _add(section, cell, name, samples, names)
    return section


def _without_patch(servers: Sequence[Server], annotations: Mapping[str, str]) -> list[str]:
    asked = [reviews(size, annotations)[0] for size in SIZES]
    return [server.name for server in servers if sum(ask(server, one) for one in asked) < len(asked)]


def _sample(budget: Budget, binary: Path, server: Server, cell: Cell, bodies: Sequence[Path]) -> Sample:
    requests = Requests(cell.size, server.path, bodies)
    with Load(binary, server.endpoint, [requests], connections=cell.connections) as load:
        load.phase(_WARM_UP_REQUESTS, _WARM_UP_SECONDS)
        clock = CpuClock(server.pid)
        result = load.phase(budget.load_requests, budget.load_seconds)
        used = clock.seconds()
        held = memory(server.pid)
    return Sample(
        cpu=used * 1000 / result.requests,
        per_second=result.per_second,
        p50=result.all.p50,
        p99=result.all.p99,
        requests=result.requests,
        reconnects=result.reconnects,
        resident=held.resident,
        proportional=held.proportional,
    )


def _add(section: Section, cell: Cell, name: str, samples: Samples, names: Sequence[str]) -> None:
    own = samples[cell, name]
    cpu = summarise([sample.cpu for sample in own])
    ratio = ratios([sample.cpu for sample in own], [sample.cpu for sample in samples[cell, BARE]])
    middle = {field: summarise([getattr(sample, field) for sample in own]).median for field in _MEDIANS}
    data: dict[str, Any] = {"body": cell.size, "connections": cell.connections, "server": name}
    section.add(
        (
            cell.size,
            str(cell.connections),
            name,
            f"{cpu.median:.3f}",
            f"{cpu.spread:.3f}",
            f"{ratio.median:.2f}",
            f"{ratio.spread:.2f}",
            f"{middle['per_second']:.0f}",
            f"{middle['p50']:.2f}",
            f"{middle['p99']:.2f}",
            f"{middle['resident']:.0f}",
        ),
        _verdicts(cell, ratio.median, middle, samples, names) if name == OURS else (),
        data | {"cpu_ms": cpu.median, "times_bare": ratio.median} | middle | {"rounds": [asdict(one) for one in own]},
    )


_MEDIANS = ("per_second", "p50", "p99", "resident")


def _verdicts(
    cell: Cell, ratio: float, middle: Mapping[str, float], samples: Samples, names: Sequence[str]
) -> list[Verdict]:
    where = f"{cell.size}, {cell.connections} conns"
    found = []
    if cell.connections == targets.CPU_CONNECTIONS:
        for injector, limit in targets.cpu_limits(cell.size).items():
            found.append(at_most(f"CPU per review, {where}", ratio, limit, "× bare", injector))
    if (cell.size, cell.connections) == (targets.P50_SIZE, targets.P50_CONNECTIONS):
        found.append(at_most(f"p50, {where}", middle["p50"], targets.P50_MS, " ms p50"))
    if cell.connections == targets.P99_CONNECTIONS and (others := _injectors(names)):
        p99 = {name: summarise([sample.p99 for sample in samples[cell, name]]).median for name in others}
        best = min(p99, key=p99.__getitem__)
        found.append(at_most(f"p99, {where}", middle["p99"], p99[best], " ms p99", best))
    return found


def _injectors(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in (BARE, FLASK, OURS)]

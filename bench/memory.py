"""(d) Memory at the start, and after many reviews."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from bench import targets
from bench.budget import Budget
from bench.load import Load, Requests
from bench.mutate import write_bodies
from bench.process import Memory, memory
from bench.report import Section, Verdict, at_most
from bench.servers import OURS, WATCHING, Server
from tests.controlplane.progress import Progress

_CONNECTIONS = 16
_STEP = 1000
_STEP_SECONDS = 60.0
_MIXTURE = {"3 KiB": 5, "7 KiB": 4, "47 KiB": 1}
"""How often each size comes, of ten."""

Start = Callable[[], AbstractContextManager[Server]]


def measure(budget: Budget, binary: Path, starts: Sequence[Start], directory: Path) -> Section:
    """A fresh process of each server; looked at before the first review, after 1 %, 10 % and all of them."""
    total = budget.memory_reviews
    looks = [0, total // 100, total // 10, total]
    columns = (
        "server",
        "RSS MiB at start",
        *(f"after {look:,}" for look in looks[1:]),
        "Pss at the end",
    )
    section = Section("d", "memory", columns, text_columns=1)
    section.notes = [
        f"{_CONNECTIONS} connections; of ten reviews {', '.join(f'{n} of {size}' for size, n in _MIXTURE.items())}.",
        "RSS: sum over the server's processes. Pss: each page shared among the processes that map it.",
    ]
    bodies = write_bodies(directory, {})
    for start in starts:
        with start() as server:
            _add(section, server.name, _watch(binary, server, bodies, looks))
    return section


def _watch(binary: Path, server: Server, bodies: Mapping[str, Sequence[Path]], looks: Sequence[int]) -> list[Memory]:
    kinds = [Requests(f"{size} {turn}", server.path, bodies[size]) for size, n in _MIXTURE.items() for turn in range(n)]
    found = [memory(server.pid)]
    done = 0
    with (
        Progress(f"(d) memory of {server.name}") as progress,
        Load(binary, server.endpoint, kinds, connections=_CONNECTIONS) as load,
    ):
        for look in looks[1:]:
            while done < look:
                done += load.phase(min(_STEP, look - done), _STEP_SECONDS).requests
                progress.label = f"(d) memory of {server.name}, {done:,} of {looks[-1]:,} reviews"
                progress.tick()
            found.append(memory(server.pid))
    return found


def _add(section: Section, name: str, found: Sequence[Memory]) -> None:
    resident = [one.resident for one in found]
    shared = found[-1].proportional
    section.add(
        (name, *(f"{one:.1f}" for one in resident), "not readable" if shared is None else f"{shared:.1f}"),
        _verdicts(resident) if name in (OURS, WATCHING) else (),
        {"server": name, "looks": [asdict(one) for one in found]},
    )


def _verdicts(resident: Sequence[float]) -> list[Verdict]:
    to_megabytes = 1.048576
    growth = (resident[-1] - resident[-2]) * to_megabytes
    return [
        at_most("memory, RSS at its highest", max(resident) * to_megabytes, targets.MEMORY_MB, " MB"),
        at_most("memory is flat over the last nine tenths", growth, targets.FLAT_MB, " MB more"),
    ]

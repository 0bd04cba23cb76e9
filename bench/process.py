"""CPU time and memory of a server: of one process and all its descendants. Linux only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


class ProcessGoneError(RuntimeError):
    """A process that is measured has ended."""


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB, summed over the processes of a tree.

    resident counts a page once for every process that maps it; proportional shares it among them (proc(5), Pss) and is
    None when the kernel does not tell, as for other users' processes.
    """

    resident: float
    proportional: float | None


def tree(pid: int) -> frozenset[int]:
    """The process and its descendants. Raises ProcessGoneError."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    if not (PROC / str(pid)).exists():
        raise ProcessGoneError(f"there is no process {pid}; has the server ended?")
    found, waiting = set[int](), [pid]
    while waiting:
        found.add(one := waiting.pop())
        waiting += children.get(one, [])
    return frozenset(found)


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended while the folder was read
    return int(stat.rpartition(")")[2].split()[1])


class CpuClock:
    """The CPU time that a process tree uses while this exists.

    Read from the kernel's clock of each process (clock_getcpuclockid(3)): the sum of user and system time that is in
    /proc/PID/stat too, but in nanoseconds, where that one counts in hundredths of a second.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.processes = tree(pid)
        self.began = self._used()

    def seconds(self) -> float:
        """CPU seconds since the clock was made. Raises ProcessGoneError when a process came or went meanwhile."""
        if (now := tree(self.pid)) != self.processes:
            raise ProcessGoneError(
                f"the processes of the server changed from {sorted(self.processes)} to {sorted(now)} while they were "
                "measured, so their CPU time is not known; see the server's log for why"
            )
        return self._used() - self.began

    def _used(self) -> float:
        # How glibc makes the clock of a process: the bits of ~pid above three that say "process, scheduler's time".
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.processes)


def memory(pid: int) -> Memory:
    """Raises ProcessGoneError."""
    processes = tree(pid)
    resident = sum(_kibibytes(PROC / str(one) / "status", "VmRSS:") for one in processes)
    try:
        proportional = sum(_kibibytes(PROC / str(one) / "smaps_rollup", "Pss:") for one in processes)
    except PermissionError:
        return Memory(resident / 1024, None)
    return Memory(resident / 1024, proportional / 1024)


def _kibibytes(file: Path, label: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(label):
            return int(line.split()[1])
    raise ProcessGoneError(f"{file} has no {label} line; has the process ended?")


def peak(pid: int) -> float:
    """MiB that one process has had resident at its highest. Raises ProcessGoneError."""
    return _kibibytes(PROC / str(pid) / "status", "VmHWM:") / 1024

"""Where the figures come from, for the head of the table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.controlplane.build import BuildError, kubernetes_version

BUSY = 0.5
"""Load average per core from which on a run warns that others use the machine."""


def describe(packages: Sequence[str] = ("gunicorn", "flask", "orjson", "jsonpatch")) -> dict[str, str]:
    """packages: those of Python whose versions matter to what is measured."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    found = {
        "machine": f"{cores} × {_processor()}, Linux {platform.release()}",
        "software": f"Python {platform.python_version()}, {versions}, Kubernetes {_kubernetes()}",
        "load before": f"{load:.2f} on {cores} cores",
    }
    if load > BUSY * cores:
        found["load before"] += " (others use this machine: trust CPU times and ratios, not requests/s and latencies)"
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _kubernetes() -> str:
    try:
        return kubernetes_version()
    except BuildError as error:
        return f"unknown ({error})"

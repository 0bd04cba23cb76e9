"""What design.md §11 asks for, as ratios to the bare handler where it gives figures of another machine."""

from __future__ import annotations

CPU_MS = {
    "3 KiB": {"bare": 0.056, "vault-k8s": 0.41},
    "7 KiB": {"bare": 0.10, "vault-k8s": 0.63},
    "47 KiB": {"bare": 0.55, "vault-k8s": 2.4, "tumblr": 2.0},
}
"""CPU milliseconds per review, measured in one run at CPU_CONNECTIONS connections; tumblr: k8s-sidecar-injector."""

CPU_CONNECTIONS = 16
P99_CONNECTIONS = 16

P50_SIZE, P50_CONNECTIONS, P50_MS = "3 KiB", 1, 0.5
ENGINE_SIZE, ENGINE_US = "7 KiB", 100.0
POD_CREATE_MS = 2.0
MEMORY_MB = 100.0

FLAT_MB = 2.0
"""What "flat" is taken to mean: no more growth than this over the last nine tenths of the reviews."""


def cpu_limits(size: str) -> dict[str, float]:
    """The injectors to stay below at this size, each as a multiple of the bare handler's CPU time."""
    figures = CPU_MS[size]
    return {name: value / figures["bare"] for name, value in figures.items() if name != "bare"}


PEERS_P99_S = 1.0
WRITES_PER_POD = 1.2
CONTROLLER_MB = 150.0
PEERS_P50_S = 0.4
"""A tenth of the 4 s that a Supervisor takes to ask its first peer (supervisor.md §0): nobody notices less."""

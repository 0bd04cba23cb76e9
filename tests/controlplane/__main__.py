"""`python -m tests.controlplane`: builds what is missing, starts a control plane, and keeps it until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING

from tests.controlplane.build import BuildError, ensure_binaries
from tests.controlplane.cluster import ClusterError, ControlPlane
from tests.controlplane.toolchain import ToolchainError

if TYPE_CHECKING:
    from types import FrameType

CHECK_SECONDS = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    parser.add_argument("--nodes", type=int, default=2, help="simulated nodes (default: 2)")
    parser.add_argument("--build-only", action="store_true", help="build what is missing, print the paths, and end")
    parser.add_argument("apiserver_flags", nargs="*", metavar="-- FLAG", help="further flags of kube-apiserver")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.build_only:
            for name, path in ensure_binaries().items():
                print(f"{name:24} {path}")
            return 0
        return _run(arguments.nodes, arguments.apiserver_flags)
    except (BuildError, ToolchainError, ClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(nodes: int, apiserver_flags: list[str]) -> int:
    started = time.monotonic()
    with ControlPlane(nodes=nodes, apiserver_flags=apiserver_flags) as cluster:
        print(f"# Kubernetes at {cluster.url}, up after {time.monotonic() - started:.1f} s; Ctrl-C ends it")
        for process in cluster.processes.values():
            print(f"#   {process.name:24} pid {process.pid:<8} {process.log}")
        print(f"export PATH={cluster.access.kubectl.parent}:$PATH")
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        try:
            while True:
                time.sleep(CHECK_SECONDS)
                for process in cluster.processes.values():
                    process.check()
        except KeyboardInterrupt:
            return 0


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

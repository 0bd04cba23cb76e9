"""`python -m tests.node`: the tests of this folder against a real kubelet, for `make test-node`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import KubectlError, WaitError
from tests.image.base import BaseError
from tests.image.build import StepError
from tests.node.place import PlaceError, existing, obstacle, own_node

HERE = Path(__file__).parent
ERRORS = (PlaceError, BaseError, StepError, KubectlError, WaitError, ValueError, subprocess.CalledProcessError)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, help="somebody's cluster, instead of the node of ../shared/node")
    parser.add_argument("pytest", nargs="*", metavar="-- OPTION", help="further options of pytest")
    arguments = parser.parse_args()
    if reason := obstacle(arguments.kubeconfig):
        print(f"make test-node cannot run here: {reason}.")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="habitat-node-") as name:
            scratch = Path(name)
            with existing(arguments.kubeconfig, scratch) if arguments.kubeconfig else own_node(scratch) as cluster:
                access = f"--node-access={cluster.access.to_json()}"
                return pytest.main([str(HERE), access, "-v", "-p", "no:cacheprovider", *arguments.pytest])
    except ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

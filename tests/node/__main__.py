"""`python -m tests.node`: the tests of this folder against a real kubelet, for `make test-node`.

Exit code 0 where no node can be had, after a line that says why. Where there is one, a test that fails is a failure,
and so are tests without an end.
"""

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
from tests.image.build import StepError
from tests.node.place import NoNodeError, PlaceError, existing, obstacle, own_node

HERE = Path(__file__).parent
ERRORS = (PlaceError, StepError, KubectlError, WaitError, ValueError, subprocess.CalledProcessError)
TEST_SECONDS = 20 * 60
"""Three times what the tests take; each of their waits has a bound of its own, their sum has none."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, help="somebody's cluster, instead of the node of ../shared/node")
    parser.add_argument("pytest", nargs="*", metavar="-- OPTION", help="further options of pytest")
    arguments = parser.parse_args()
    if reason := obstacle(arguments.kubeconfig):
        return _cannot(reason)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _too_long)
    try:
        with tempfile.TemporaryDirectory(prefix="habitat-node-") as name:
            scratch = Path(name)
            with existing(arguments.kubeconfig, scratch) if arguments.kubeconfig else own_node(scratch) as cluster:
                access = f"--node-access={cluster.access.to_json()}"
                signal.alarm(TEST_SECONDS)
                code = pytest.main([str(HERE), access, "-v", "-p", "no:cacheprovider", *arguments.pytest])
                signal.alarm(0)
                return code
    except NoNodeError as error:
        return _cannot(str(error))
    except ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _cannot(reason: str) -> int:
    print(f"make test-node cannot run here: {reason.rstrip('.')}.", flush=True)
    return 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _too_long(*_: Any) -> None:
    raise KeyboardInterrupt(f"the tests had no end after {TEST_SECONDS // 60} minutes")


if __name__ == "__main__":
    sys.exit(main())

"""One control plane for a whole pytest run, however many workers pytest-xdist starts.

The first test that wants it starts a holder: a process of its own, since no worker is sure to live as long as the run.
The holder ends when it gets run.lock in the run's folder, which pytest's main process holds: so it ends after the last
test, and also when pytest is killed in any way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.controlplane.build import ensure_binaries
from tests.controlplane.client import Access, Cluster
from tests.controlplane.cluster import ClusterError, ControlPlane
from tests.controlplane.locks import FileLock, exclusive
from tests.controlplane.processes import tail
from tests.controlplane.progress import Progress
from tests.controlplane.rundir import RunDirectory

if TYPE_CHECKING:
    from typing import TextIO

REPOSITORY = Path(__file__).parents[2]
RUN_LOCK = "run.lock"
HOLDER_LOCK = "holder.lock"
START_LOCK = "start.lock"
ACCESS = "access.json"
FAILURE = "failure.txt"
LOG = "holder.log"
POLL_SECONDS = 0.05
STOP_SECONDS = 30


class SharedRun:
    """The side of pytest's main process: made before the first test, closed after the last."""

    def __init__(self) -> None:
        self._directory = RunDirectory()
        self._run = FileLock(self.path / RUN_LOCK)
        self._run.acquire()

    @property
    def path(self) -> Path:
        return self._directory.path

    def close(self) -> None:
        """Lets the holder end, if there is one, and waits for that. Raises ClusterError when it does not."""
        self._run.release()
        holder = FileLock(self.path / HOLDER_LOCK)
        deadline = time.monotonic() + STOP_SECONDS

        def give_up_at_last() -> None:
            if time.monotonic() > deadline:
                raise ClusterError(f"the control plane still runs {STOP_SECONDS} s after its test run; see {self.path}")

        holder.acquire(while_waiting=give_up_at_last)
        self._directory.remove()
        holder.release()


def join(run: Path, *, stream: TextIO | None = None) -> Cluster:
    """The cluster of the run whose folder is `run`; starts it when nobody has.

    Raises ClusterError, BuildError, ToolchainError; once it has failed, at once for everybody.
    """
    with exclusive(run / START_LOCK, Progress("waiting for the control plane of this test run", stream)):
        if not (run / ACCESS).exists():
            if not (run / FAILURE).exists():
                # Here, not in the holder, whose progress nobody would see.
                ensure_binaries(stream=stream)
                _start_holder(run, stream)
            if (run / FAILURE).exists():
                raise ClusterError((run / FAILURE).read_text())
        return Cluster(Access.from_json((run / ACCESS).read_text()))


def _start_holder(run: Path, stream: TextIO | None) -> None:
    with (run / LOG).open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "tests.controlplane.shared", str(run)],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest, which then lets the holder end
        )
    holder = FileLock(run / HOLDER_LOCK)
    with Progress("starting the control plane of this test run", stream) as progress:
        while not (run / ACCESS).exists() and not (run / FAILURE).exists():
            if holder.try_acquire():
                holder.release()
                (run / FAILURE).write_text(f"the holder of the control plane has died:\n{tail(run / LOG)}")
            progress.tick()
            time.sleep(POLL_SECONDS)


def hold(run: Path) -> None:
    """The holder: starts a control plane and keeps it until the test run is over."""
    try:
        with ControlPlane() as cluster:
            unfinished = run / f"{ACCESS}.part"
            unfinished.write_text(cluster.access.to_json())
            unfinished.replace(run / ACCESS)
            FileLock(run / RUN_LOCK).acquire()
    except FileNotFoundError:
        # Its owner has died, and the next run has swept the folder away already.
        if run.exists():
            raise


def main() -> None:
    run = Path(sys.argv[1])
    if not FileLock(run / HOLDER_LOCK).try_acquire():
        sys.exit(f"{run} has a holder already")
    # The child inherits the lock, so the caller of this program finds it taken.
    if os.fork() != 0:
        os._exit(0)
    try:
        hold(run)
    except Exception:
        traceback.print_exc()
        (run / FAILURE).write_text(traceback.format_exc())
        raise


if __name__ == "__main__":
    main()

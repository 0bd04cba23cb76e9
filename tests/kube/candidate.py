"""Candidates whose leadership is looked at all the time, as threads of a test or as a process of their own.

python -m tests.kube.candidate KUBECONFIG NAMESPACE NAME IDENTITY    stands for election until SIGTERM, and prints one
line for each look that found it leading: "<before> <after>", seconds of the machine's clock around the look.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from webhook.kube.client import Client
from webhook.kube.election import Election
from webhook.kube.times import elapsed
from webhook.log import Log

DURATION, RENEW_DEADLINE, RETRY = 4.0, 2.0, 0.3
LOOK_SECONDS = 0.002

Look = tuple[float, float]
"""The machine's clock before and after `leading` was found true: at some moment in between it was."""


class Candidate:
    def __init__(self, client: Client, namespace: str, identity: str, log: Log, *, name: str = "test") -> None:
        self.told: list[str] = []
        self.looks: list[Look] = []
        self.election = Election(
            client,
            namespace,
            name,
            identity,
            duration=DURATION,
            renew_deadline=RENEW_DEADLINE,
            retry=RETRY,
            started=lambda: self.told.append("started"),
            stopped=lambda: self.told.append("stopped"),
            log=log,
        )
        self.stop = threading.Event()
        self._over = threading.Event()
        self._running = threading.Thread(target=self.election.run, args=[self.stop])
        self._looking = threading.Thread(target=self._look)

    def start(self) -> None:
        self._running.start()
        self._looking.start()

    def end(self) -> None:
        """Stop, and come back when the Lease has been released."""
        self.stop.set()
        self._running.join()
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        watch(self.election, self.looks.append, self._over)


def watch(election: Election, found: Callable[[Look], None], over: threading.Event) -> None:
    """Look until `over`, and tell of the looks that found it leading."""
    while not over.wait(LOOK_SECONDS):
        before = elapsed()
        if election.leading:
            found((before, elapsed()))


def both_led(some: list[Look], others: list[Look]) -> list[tuple[float, float]]:
    """Times when two candidates led for certain: [] unless the election is broken.

    Two looks of one candidate that are less than RETRY apart stand for the time between them, too.
    """

    def terms(looks: list[Look]) -> list[Look]:
        found: list[Look] = []
        for before, after in sorted(looks):
            if found and before - found[-1][1] < RETRY:
                found[-1] = (found[-1][0], before)
            else:
                found.append((after, before))
        return found

    clashes = [(max(a, c), min(b, d)) for a, b in terms(some) for c, d in terms(others)]
    return [(begin, end) for begin, end in clashes if begin < end]


def main() -> None:
    kubeconfig, namespace, name, identity = sys.argv[1:]
    stop, over = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    candidate = Candidate(
        Client.connect(Path(kubeconfig)), namespace, identity, Log("debug", sys.stderr.buffer), name=name
    )
    looking = threading.Thread(
        target=watch, args=[candidate.election, lambda look: print(*look, flush=True), over], daemon=True
    )
    looking.start()
    candidate.election.run(stop)
    over.set()


if __name__ == "__main__":
    main()

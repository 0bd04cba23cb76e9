"""Which one of several processes acts: a Lease (coordination.k8s.io/v1) that its holder keeps renewing.

Never two at once, which rests on this:

- A write names the resourceVersion that it has read, so of two that want the same Lease one gets 409.
- Who follows measures on his own clock, from the moment *he* saw the Lease change last, and waits for as long as its
  holder has promised. No clock is ever compared with another's: the times in the Lease are for people.
- Who leads counts from *before* he sent the renewal that succeeded, and only `renew_deadline`, which is shorter than
  the duration. So he has stopped before anybody may begin, however long the answer took, and with `elapsed` also when
  the machine slept. `leading` is that comparison, made anew each time it is asked.

What is left is a write that was sent while leading and is carried out late, by the time-out of its call at most: a
writer must name what it has read (uid, old value), as every write of this controller does.

Why not `kubernetes.leaderelection` (version 37): it measures by the wall clock, which may be set; it counts the
deadline from after the last renewal, has no time-outs on its calls, and notices the deadline only when a call has
returned; it never gives the Lease up, so each roll-out waits for the whole duration; it cannot be stopped; it leaves
leaseTransitions alone; and `run` ends for good at the first loss.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from webhook.kube.client import Client
from webhook.kube.errors import ApiError
from webhook.kube.times import elapsed, micro_time
from webhook.log import Log, trace

_WAKE_SECONDS = 0.25
"""How long a stop may go unnoticed while a call is under way."""


class Election:
    """One candidate for the Lease `namespace`/`name`.

    identity: of this process alone, such as host name and a UUID.
    duration: seconds a holder is waited for after its last renewal. renew_deadline: seconds a renewal is good for.
    retry: seconds between two attempts. retry < renew_deadline < duration, or ValueError.
    started: called on the thread of `run` when leadership begins; must return soon, since nothing is renewed meanwhile.
    stopped: called there when it has ended, for whatever reason; returns when the work has stopped.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
        started: Callable[[], None],
        stopped: Callable[[], None],
        log: Log,
    ) -> None:
        if not 0 < retry < renew_deadline < duration:
            raise ValueError(
                f"an election needs 0 < retry < renew_deadline < duration, and got {retry:g}, {renew_deadline:g}, "
                f"{duration:g} seconds"
            )
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry = retry
        self._call_seconds = renew_deadline / 2  # so that one lost call leaves time for another
        self._started = started
        self._stopped = stopped
        self._log = log
        self._valid_until = float("-inf")
        self._acting = False  # `started` was called, and `stopped` not since
        self._ending = False
        self._claimed = False  # the Lease may name us
        self._lease: dict[str, Any] | None = None  # as our last write left it
        self._seen: dict[str, Any] | None = None  # the spec that was read last, and since when it is so
        self._seen_at = 0.0
        self._trouble = ""

    @property
    def leading(self) -> bool:
        """Whether nobody else can be leading now. Ask before each write."""
        return not self._ending and elapsed() < self._valid_until

    def run(self, stop: threading.Event) -> None:
        """Stand for election until `stop`, then stop the work and give the Lease up. Once only.

        Leadership may come and go any number of times meanwhile: without an API server it ends at the deadline.
        """
        attempt = threading.Thread()
        try:
            while not stop.is_set():
                attempt = self._attempt(stop)
                self._settle()
                pause = random.uniform(0.8, 1.0) * self._retry  # noqa: S311 - so that candidates do not meet each time
                stop.wait(min(pause, max(0.0, self._valid_until - elapsed())) if self._acting else pause)
        finally:
            self._ending = True
            self._settle()
            if attempt.is_alive():
                attempt.join(self._call_seconds)
            if not attempt.is_alive():  # otherwise its write could follow ours: the Lease has to run out
                self.release()

    def release(self) -> None:
        """Give the Lease up, so that another need not wait for its end. `run` does so; call it only after `run`."""
        self._ending = True
        self._give_up()

    def _give_up(self) -> None:
        if not self._claimed:
            return
        self._claimed = False
        try:
            lease = self._lease or self._client.get(f"{self._collection}/{self._name}", seconds=self._call_seconds)
            self._lease = None
            if _holder(lease) != self.identity:
                return
            now = micro_time(datetime.now(UTC))
            spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
            self._write(lease, spec)
            self._say("info", "lease released")
        except ApiError as error:
            self._say("warning", f"lease not released, it ends in {self._duration:g} s", error=str(error))

    # on the thread of `run`

    def _attempt(self, stop: threading.Event) -> threading.Thread:
        """Try once, on a thread of its own: a call that hangs must not keep us from noticing the deadline."""
        thread = threading.Thread(target=self._try, name=f"election-{self._name}", daemon=True)
        thread.start()
        while thread.is_alive() and not stop.is_set():
            thread.join(_WAKE_SECONDS)
            if self._acting and not self.leading:
                self._settle()
        return thread

    def _settle(self) -> None:
        """Call `started` or `stopped` if what holds now has not been told yet."""
        if self.leading == self._acting:
            return
        self._acting = not self._acting
        if not self._acting:
            self._say("info", "leading no more")
            self._call(self._stopped, "what should stop with the leadership failed")
            return
        self._say("info", "leading")
        if not self._call(self._started, "what should start with the leadership failed"):
            self._valid_until = float("-inf")
            self._settle()
            self._give_up()  # somebody else may fare better

    def _call(self, reaction: Callable[[], None], complaint: str) -> bool:
        try:
            reaction()
        except Exception as error:  # noqa: BLE001 - the caller's; the election goes on
            self._say("error", complaint, exception=trace(error))
            return False
        return True

    # on the thread of an attempt

    def _try(self) -> None:
        try:
            self._take()
        except ApiError as error:
            if error.status == 409:
                self._say("debug", "another candidate was faster")
            elif self._trouble != error.reason:
                self._trouble = error.reason
                self._say("warning", "the lease cannot be had", error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's end, which would go unseen
            self._say("error", "election failed", exception=trace(error))
        else:
            if self._trouble:
                self._trouble = ""
                self._say("info", "the lease can be had again")

    def _take(self) -> None:
        # Unknown until the write is answered: without an answer it may or may not have been carried out.
        lease, self._lease = self._lease, None
        if lease is None:
            try:
                lease = self._client.get(f"{self._collection}/{self._name}", seconds=self._call_seconds)
            except ApiError as error:
                if error.status != 404:
                    raise
                lease = {}
        if lease and not self._may_take(lease):
            self._claimed = False
            self._valid_until = float("-inf")
            return
        now = micro_time(datetime.now(UTC))
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": math.ceil(self._duration), "renewTime": now}
        if _holder(lease) != self.identity:
            transitions = (lease.get("spec") or {}).get("leaseTransitions")
            spec |= {"acquireTime": now, "leaseTransitions": (transitions or 0) + 1 if lease else 0}
        self._claimed = True
        sent = elapsed()
        self._lease = self._write(lease, spec)
        self._valid_until = sent + self._renew_deadline

    def _may_take(self, lease: dict[str, Any]) -> bool:
        """Whether it is ours, or was given up, or has not been renewed for as long as its holder promised."""
        spec = lease.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = spec, elapsed()
        if _holder(lease) in ("", self.identity):
            return True
        return elapsed() >= self._seen_at + (spec.get("leaseDurationSeconds") or self._duration)

    def _write(self, lease: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Store the Lease with these fields of its spec changed; an empty one is created."""
        if not lease:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": spec,
            }
            return self._client.create(self._collection, body, seconds=self._call_seconds)
        body = lease | {"spec": (lease.get("spec") or {}) | spec}
        return self._client.replace(f"{self._collection}/{self._name}", body, seconds=self._call_seconds)

    def _say(self, level: str, message: str, **fields: Any) -> None:
        self._log(level, message, lease=f"{self._namespace}/{self._name}", identity=self.identity, **fields)


def _holder(lease: dict[str, Any]) -> str:
    return (lease.get("spec") or {}).get("holderIdentity") or ""

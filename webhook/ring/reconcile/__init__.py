"""One look at one ring: what there is, against what there should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webhook.kube.client import ApiError
from webhook.kube.events import Recorder
from webhook.log import Log
from webhook.ring.index import Index
from webhook.ring.pods import Member
from webhook.ring.reconcile.configs import Configs
from webhook.ring.reconcile.keys import Keys
from webhook.ring.reconcile.peers import Peers
from webhook.ring.reconcile.services import Services, namespace_goes
from webhook.ring.reconcile.steps import Steps
from webhook.ring.reconcile.tell import tell_owners
from webhook.rings import Ring


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a look. again: seconds until the ring has to be looked at though nothing happens, None for never.
    error: the first thing that could not be done; it comes again, later each time. well: all pods were written.
    """

    again: float | None
    error: ApiError | None
    well: bool


GOING_SECONDS = 5.0
"""After which a ring is looked at again whose namespace is being deleted, and takes its pods with it, or is not there
yet: a shared one may be named before it is made."""


class Reconciler:
    """Peers first, since Supervisors wait for them; then the key, the Service, and the configuration. Only what the
    configuration is now has to be known before: a pod gets it with its first peers.
    """

    def __init__(
        self,
        index: Index,
        *,
        peers: Peers,
        keys: Keys,
        services: Services,
        configs: Configs,
        events: Recorder,
        log: Log,
    ) -> None:
        self._index = index
        self._peers = peers
        self._keys = keys
        self._services = services
        self._configs = configs
        self._events = events
        self._log = log

    def clear(self) -> None:
        """Leadership begins or ends: what is remembered of an earlier one is old."""
        self._configs.clear()
        self._keys.clear()
        self._services.clear()

    def look(self, ring: Ring) -> Outcome:
        """Have the ring as it should be. ring: with the name "" the pods of a namespace that are in no ring of ours.

        Raises NotLeadingError.
        """
        members = [m for m in self._index.members(ring) if m.injected]
        present = [m for m in members if not m.gone]
        steps = Steps()
        wanted: dict[str, str] = {}
        known = steps.run(lambda: wanted.update(self._configs.wanted(present)))
        well = True
        if not ring.name:
            self._refused(present)
        elif present:
            batch = self._peers.look([m for m in present if m.managed], wanted)
            well = batch.well
            if batch.more:
                steps.times.append(0.0)
            self._guard(ring, present, steps)
            # A pod that is to have its first peers gets its generation with them, in one write.
            told = {m.uid for m in present if m.address}
            now = self._index.members(ring)
            present = [m for m in now if m.injected and (m.uid in told or m.generation or not m.managed)]
        else:
            self._keys.forget(ring)
            steps.run(lambda: self._services.empty(ring))
        if known:  # otherwise a wave that waits for its pods would be forgotten
            steps.run(lambda: self._configs.look(ring, present, wanted))
        missed = [e for e in steps.errors if not namespace_goes(e)]
        if steps.errors and not missed:
            self._log("debug", "no such namespace, or not for long", ring=str(ring), error=str(steps.errors[0]))
            steps.times.append(GOING_SECONDS)
        return Outcome(min(steps.times, default=None), next(iter(missed), None), well)

    def _guard(self, ring: Ring, present: Sequence[Member], steps: Steps) -> None:
        """The key and the Service, which remembers that there is a key."""
        revision = self._keys.look(ring, present, self._services.of(ring), steps)
        owners = sorted({m.owner for m in present if m.namespace == ring.namespace}, key=lambda o: (o.kind, o.name))
        steps.run(lambda: self._services.needed(ring, owners, revision))
        if revision:  # only now there is a Service to say it on
            self._keys.tell_made(ring, present, revision)

    def _refused(self, members: Sequence[Member]) -> None:
        """Say to the owners of pods that name a ring of another namespace why they are not in it."""
        strangers = [m for m in members if m.managed and m.ring is not None and m.ring.namespace != m.namespace]
        for label in sorted({m.label for m in strangers}):
            note = (
                f"These pods get no peers: the ring {label} belongs to another namespace and is not shared. Name one "
                f"of this namespace, or have the platform team share it: serve and controller, --shared-rings={label}."
            )
            tell_owners(self._events, [m for m in strangers if m.label == label], "Warning", "RingNotShared", note)

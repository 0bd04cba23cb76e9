"""One look at one ring: what there is, against what there should be."""

from __future__ import annotations

from collections.abc import Sequence

from webhook.kube.client import ApiError
from webhook.kube.events import Recorder
from webhook.log import Log
from webhook.ring.index import Index
from webhook.ring.pods import Member, Owner
from webhook.ring.reconcile.configs import Configs
from webhook.ring.reconcile.keys import Keys
from webhook.ring.reconcile.peers import Peers
from webhook.ring.reconcile.services import Services, namespace_goes
from webhook.rings import Ring


class IncompleteError(Exception):
    """Something could not be done; look at the ring again, later each time."""


def tell_owners(events: Recorder, members: Sequence[Member], kind: str, reason: str, note: str) -> None:
    """One event for each owner of these pods."""
    owners = {(m.namespace, m.owner) for m in members}
    for namespace, owner in sorted(owners, key=lambda pair: (pair[0], pair[1].name)):
        about = {
            "apiVersion": owner.api_version,
            "kind": owner.kind,
            "namespace": namespace,
            "name": owner.name,
            "uid": owner.uid,
        }
        events.event(about, "Warning" if kind == "Warning" else "Normal", reason, note)


class Reconciler:
    """Peers first, since Supervisors wait for them; then the key, the Service, and the configuration."""

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

    def look(self, ring: Ring) -> float | None:
        """Have the ring as it should be; seconds until it has to be looked at though nothing happens, None for never.

        ring: with the name "" the pods of a namespace that are in no ring of ours.
        Raises IncompleteError, ApiError, NotLeadingError.
        """
        members = [m for m in self._index.members(ring) if m.injected]
        wanted = self._configs.wanted(members)
        if not ring.name:
            self._refused(members)
            return self._configuration(ring, members, wanted)
        present = [m for m in members if not m.gone]
        if not present:
            self._configs.forget(ring)
            self._keys.look(ring, [], None)
            return self._services.empty(ring)
        managed = [m for m in present if m.managed]
        well = self._peers.look(managed, wanted)
        # A pod that waits for its first peers gets its generation with them.
        settled = [m for m in self._index.members(ring) if m.injected and (m.generation or m.peers or not m.managed)]
        times = [self._guarded(ring, present), self._configuration(ring, settled, wanted)]
        if not well:
            raise IncompleteError
        return min((t for t in times if t is not None), default=None)

    def _guarded(self, ring: Ring, present: Sequence[Member]) -> float | None:
        """Key and Service. What cannot be made in a namespace that is being deleted is not missed."""
        try:
            revision, key_again = self._keys.look(ring, present, self._services.of(ring))
            owners = {m.owner for m in present if m.namespace == ring.namespace}
            again = self._services.needed(ring, sorted(owners, key=_by_name), revision)
        except ApiError as error:
            if not namespace_goes(error):
                raise
            self._log("debug", "namespace is going", ring=str(ring), error=str(error))
            return None
        return min((t for t in (key_again, again) if t is not None), default=None)

    def _configuration(self, ring: Ring, members: Sequence[Member], wanted: dict[str, str]) -> float | None:
        well, again = self._configs.look(ring, members, wanted)
        if not well:
            raise IncompleteError
        return again

    def _refused(self, members: Sequence[Member]) -> None:
        """Say to the owners of pods that name a ring of another namespace why they are not in it."""
        strangers = [m for m in members if m.managed and m.ring is not None and m.ring.namespace != m.namespace]
        for label in sorted({m.label for m in strangers}):
            note = (
                f"These pods get no peers: the ring {label} belongs to another namespace and is not shared. Name one "
                f"of this namespace, or have the platform team share it: serve and controller, --shared-rings={label}."
            )
            tell_owners(self._events, [m for m in strangers if m.label == label], "Warning", "RingNotShared", note)


def _by_name(owner: Owner) -> tuple[str, str]:
    return owner.kind, owner.name

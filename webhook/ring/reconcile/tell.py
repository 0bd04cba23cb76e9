"""Events, where people look: on the ring's Service, and on the owners of pods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from webhook.kube.events import Kind, Recorder
from webhook.ring.pods import Member
from webhook.rings import Ring

Tell = Callable[[Ring, Sequence[Member], Kind, str, str], None]
"""Says (reason, note) about a ring on its Service, and on the owners of these of its pods."""


def tell_owners(events: Recorder, members: Sequence[Member], kind: Kind, reason: str, note: str) -> None:
    """One event for each owner of these pods."""
    owners = {(m.namespace, m.owner) for m in members}
    for namespace, owner in sorted(owners, key=lambda pair: (pair[0], pair[1].kind, pair[1].name)):
        events.event(owner.reference(namespace), kind, reason, note)

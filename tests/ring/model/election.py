"""Who would lead a service group, as far as membership decides it (supervisor.md §0 and §8).

A look at a member list, not a protocol: an election takes a second or two more (observed: 3.0 s after the leader's
SIGTERM, 19 s after its SIGKILL), a leader stays while it is alive, whoever joins, and `suitability` hooks decide before
member ids do. One service group a ring.
"""

from __future__ import annotations

from tests.ring.model.supervisor import DEPARTED, SUSPECT, Supervisor


def has_quorum(supervisor: Supervisor) -> bool:
    """More than half of those that have not departed are alive; one that has never met anybody has no quorum."""
    others = [known for identity, known in supervisor.members.items() if identity != supervisor.identity]
    staying = [known for known in others if known.health != DEPARTED]
    alive = [known for known in others if known.health <= SUSPECT]
    return bool(others) and 1 + len(alive) > (1 + len(staying)) // 2


def leader(supervisor: Supervisor) -> str | None:
    """The member id that it takes for the leader's; None for ElectionNoQuorum."""
    if not has_quorum(supervisor):
        return None
    alive = [identity for identity, known in supervisor.members.items() if known.health <= SUSPECT]
    return max({supervisor.identity, *alive})

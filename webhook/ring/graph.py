"""Who has been told of whom: the peer lists of one ring as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webhook.ring.pods import Member


@dataclass(frozen=True, slots=True)
class Graph:
    """The live pods of a ring that have lists, and whom these name.

    nodes: in the order that they were given in. told: pod uid -> the nodes that its list names, in its order, without
    itself. strangers: pod uid -> the addresses of its list that no node has; pods without one are not in it.
    groups: nodes that lists connect, whichever way they point, the largest first; a pod that names nobody and that
    nobody names is a group of its own. A Supervisor that is asked knows whoever asks (supervisor.md §4.4), so that one
    list is enough to connect two.
    """

    nodes: tuple[Member, ...]
    told: Mapping[str, tuple[Member, ...]]
    strangers: Mapping[str, tuple[str, ...]]
    groups: tuple[tuple[Member, ...], ...]

    @property
    def joined(self) -> tuple[tuple[Member, ...], ...]:
        """The groups of two or more. Two of these are islands; a pod alone has just not been told of anybody yet."""
        return tuple(group for group in self.groups if len(group) > 1)


def draw(members: Iterable[Member]) -> Graph:
    """The graph of one ring. members: those that are given lists and may be in others'; those that are not live are
    left out.
    """
    nodes = tuple(m for m in members if m.live)
    owner = {m.address: m for m in nodes}
    told, strangers = {}, {}
    for m in nodes:
        others = [a for a in dict.fromkeys(m.peers or ()) if a != m.address]
        told[m.uid] = tuple(owner[a] for a in others if a in owner)
        if unknown := tuple(a for a in others if a not in owner):
            strangers[m.uid] = unknown
    return Graph(nodes, told, strangers, _groups(nodes, told))


def _groups(nodes: Sequence[Member], told: Mapping[str, Sequence[Member]]) -> tuple[tuple[Member, ...], ...]:
    root = {m.uid: m.uid for m in nodes}

    def find(uid: str) -> str:
        while root[uid] != uid:
            root[uid] = uid = root[root[uid]]
        return uid

    for m in nodes:
        for other in told[m.uid]:
            root[find(m.uid)] = find(other.uid)
    groups: dict[str, list[Member]] = {}
    for m in nodes:
        groups.setdefault(find(m.uid), []).append(m)
    return tuple(map(tuple, sorted(groups.values(), key=len, reverse=True)))

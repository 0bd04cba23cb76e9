"""Members of a ring as they are needed: by number, and generated."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from webhook.ring.pods import Member, Owner
from webhook.rings import Ring

NOW = 1_800_000_000.0
RING = Ring("shop", "default")
_PLAIN = Member(
    namespace="shop",
    name="web",
    uid="",
    ring=RING,
    label="default",
    managed=True,
    injected=True,
    service="web.default",
    leader=False,
    address="",
    created=0.0,
    gone=False,
    running_since=NOW - 3600,
    started=True,
    ready=True,
    node="n1",
    peers=None,
    since=0.0,
    generation=None,
    config_map="",
    config_secret="",
    key_secret="",
    owner=Owner("apps/v1", "ReplicaSet", "web-1", "u-web"),
)


def member(number: int, **fields: object) -> Member:
    """The pod of a number, the older the smaller: pod 3 is web-3 with 10.0.0.3."""
    said = {
        "name": f"web-{number}",
        "uid": f"u{number:05}",
        "address": f"10.0.{number >> 8}.{number & 255}",
        "created": NOW - 7200 + number,
    }
    return replace(_PLAIN, **(said | fields))  # type: ignore[arg-type]


@st.composite
def peered(draw: st.DrawFn) -> list[Member]:
    """A ring in any state: some without address, some going, lists with anybody and nobody in them."""
    size = draw(st.integers(1, 24))
    addresses = [f"10.0.0.{n}" for n in range(size + 3)]
    lists = st.none() | st.lists(st.sampled_from(addresses), max_size=9).map(tuple)
    times = st.sampled_from((0.0, NOW - 5, NOW - 60, NOW - 500))
    members = []
    for number in range(size):
        fields = {
            "address": draw(st.sampled_from(("", f"10.0.0.{number}", f"10.0.0.{number}", f"10.0.0.{number}"))),
            "gone": draw(st.sampled_from((False, False, False, True))),
            "peers": draw(lists),
            "since": draw(times),
            "running_since": draw(st.none() | st.sampled_from((NOW - 1, NOW - 300))),
            "ready": draw(st.booleans()),
        }
        members.append(member(number, **fields))
    return members

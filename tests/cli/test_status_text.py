"""The text and the JSON of a report, whole, with the clock standing still."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.ring_pods import NOW, a_member, labelled_pod, stored
from webhook.cli.statusjson import as_json
from webhook.cli.statustext import Style, age, render
from webhook.ring import service
from webhook.ring.diagnosis import Secrets, build
from webhook.ring.pods import Member, member
from webhook.ring.report import Report, Scope
from webhook.rings import Ring

STYLE = Style(now=NOW.timestamp())
PAGE = Path(__file__).parents[2] / "docs" / "ring-status.md"


def shop(scope: Scope | None = None) -> Report:
    """Two rings of one namespace: one is well, with a rollout under way; much is wrong with the other."""
    drifted = service.desired(Ring("shop", "default"))
    drifted["spec"]["publishNotReadyAddresses"] = False
    secrets: Secrets = {("shop", "habitat-ring-cache-key"): True}
    return build(
        [
            well("cache-0", "10.0.1.1", peers=["10.0.1.2"], generation="0123456789abcdef", age=90_000),
            well("cache-1", "10.0.1.2", peers=["10.0.1.1"], generation="fedcba9876543210", age=65),
            a_member("web-1", "10.0.0.1", peers=["10.0.0.2", "10.0.0.9"], owner="web-6d8f"),
            a_member("web-2", "10.0.0.2", peers=["10.0.0.1"], owner="web-6d8f", ready=False),
            a_member("web-3", "10.0.0.3", peers=["10.0.0.3"], node="node-2"),
            a_member("web-4", running=False, age=3),
            a_member("web-5", "10.0.0.5", peers=["10.0.0.1"], going=True),
            a_member("dns-1", "10.0.0.6", discovery="dns"),
            member(stored(labelled_pod("hand"), "10.0.0.7")),
            a_member("lone", "10.0.0.8", discovery="none"),
        ],
        [drifted, service.desired(Ring("shop", "cache"))],
        secrets,
        scope or Scope("shop"),
    )


def well(name: str, address: str, **facts: Any) -> Member:
    return a_member(name, address, ring="cache", ring_key="managed", config_map="cache", owner="cache", **facts)


WHOLE = """\
ring cache in namespace shop: 2 pods, 2 seeded, 2 ready
├─ Service habitat-ring-cache: present
├─ ring key: managed, Secret habitat-ring-cache-key: present
├─ note ConfigurationRollsOut: 2 versions of the ConfigMap cache (0123456789abcdef: cache-0, fedcba9876543210: cache-1)
│  POD      STATE    READY  SEEDED  AGE  IP        PEERS     CONFIG
├─ cache-0  running  yes    yes     25h  10.0.1.1  10.0.1.2  01234567
└─ cache-1  running  yes    yes     65s  10.0.1.2  10.0.1.1  fedcba98

ring default in namespace shop: 5 pods, 2 seeded, 3 ready
├─ Service habitat-ring-default: drifted
├─ ring key: none
├─ error ServiceDrifted: the Service shop/habitat-ring-default: spec.publishNotReadyAddresses is false, not true: \
pods that wait for a peer or a quorum have no DNS record
│    If something changes it again and again, exclude it there (GitOps, for instance).
├─ error NotInjected: hand: labelled habitat.sh/ring, but not injected
│    Annotate the pod template instead, habitat.sh/ring, and remove the label.
├─ error NoPeer: web-3: no live peer in the list, though 2 other pods live in the ring
│    Until then the Supervisor waits; it does not begin a ring of its own.
├─ error OwnAddress: web-3: the list names the pod itself
│    Delete the pod if its list had no other address: it does not read the next one.
├─ error DeadPeer: 10.0.0.9, which no live pod of the ring has, is named by web-1
│    The cluster may give the address to a pod of another ring, and the two would merge; a ring key prevents that.
│  POD    STATE         READY  SEEDED  AGE  IP        PEERS
├─ dns-1  running       yes    -       5m   10.0.0.6  by DNS
├─ hand   not injected  yes    -       5m   10.0.0.7  -
├─ web-1  running       yes    yes     5m   10.0.0.1  10.0.0.2,10.0.0.9(nobody's)
├─ web-2  running       no     yes     5m   10.0.0.2  10.0.0.1
├─ web-3  running       yes    no      5m   10.0.0.3  10.0.0.3(its own)
├─ web-4  starting      no     -       3s   -         -
└─ web-5  going         -      -       5m   10.0.0.5  -

in no ring: 1 pod
│  POD   STATE    READY  SEEDED  AGE  IP        PEERS
└─ lone  running  yes    -       5m   10.0.0.8  -

2 rings, 10 pods: 5 errors, 1 note
The ring controller mends what is wrong with lists, Services and keys within seconds: does it run, and what does its \
log say?"""


def test_report_is_a_tree_with_aligned_columns() -> None:
    assert render(shop(), STYLE) == WHOLE


def test_wide_has_group_owner_and_node_and_nothing_shortened() -> None:
    text = render(shop(), Style(now=NOW.timestamp(), wide=True))
    lines = text.splitlines()
    assert (
        "│  POD      STATE    READY  SEEDED  AGE  IP        PEERS     CONFIG            GROUP        OWNER             "
        "NODE"
    ) in lines
    assert (
        "├─ cache-0  running  yes    yes     25h  10.0.1.1  10.0.1.2  0123456789abcdef  web.default  ReplicaSet/cache  "
        "node-1"
    ) in lines
    (web_3,) = [line for line in lines if line.startswith("├─ web-3")]
    assert web_3.split()[-3:] == ["web.default", "-", "node-2"]
    (by_hand,) = [line for line in lines if line.startswith("├─ hand")]
    assert by_hand.split()[-3:] == ["-", "-", "node-1"]


def test_narrow_terminal_gets_wrapped_sentences_and_peers_counted() -> None:
    text = render(shop(), Style(now=NOW.timestamp(), width=72))
    assert max(map(len, text.splitlines())) <= 72
    assert "│  POD    STATE         READY  SEEDED  AGE  IP        PEERS" in text
    assert "├─ web-1  running       yes    yes     5m   10.0.0.1  1 of 2" in text
    assert "├─ web-2  running       no     yes     5m   10.0.0.2  1\n" in text
    words = " ".join(re.sub(r"[│├└─]", " ", text).split())
    assert "pods that wait for a peer or a quorum have no DNS record" in words


def test_terminal_that_is_wide_enough_gets_the_addresses() -> None:
    assert "10.0.0.2,10.0.0.9(nobody's)" in render(shop(), Style(now=NOW.timestamp(), width=100))


def test_colour_changes_nothing_but_the_colour() -> None:
    coloured = render(shop(), Style(now=NOW.timestamp(), colour=True))
    assert "\x1b[31merror NoPeer:\x1b[0m" in coloured
    assert "\x1b[33mnote ConfigurationRollsOut:\x1b[0m" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == WHOLE


def test_ring_that_is_well_ends_with_so() -> None:
    members = [a_member("a", "10.0.0.1", peers=["10.0.0.2"]), a_member("b", "10.0.0.2", peers=["10.0.0.1"])]
    text = render(build(members, [service.desired(Ring("shop", "default"))], {}, Scope("shop")), STYLE)
    assert text.splitlines()[-1] == "1 ring, 2 pods: nothing is wrong"


def test_what_could_not_be_looked_at_is_said() -> None:
    guest = a_member("g", "10.0.0.1", ring="shared.infra", ring_key="managed", peers=["10.0.0.2"])
    text = render(build([guest], None, {}, Scope("shop")), STYLE)
    assert text.splitlines()[1:] == [
        "├─ Service habitat-ring-shared: not checked (it is in namespace infra)",
        "├─ ring key: managed, Secret shop/habitat-ring-shared.infra-key: not checked (no right to read Secrets)",
        "├─ note SeenInPart: members in other namespaces are not shown, -A shows them",
        "│    Ask with -A, which takes the right to list pods in all namespaces.",
        "│  POD     STATE    READY  SEEDED   AGE  IP        PEERS",
        "└─ shop/g  running  yes    unknown  5m   10.0.0.1  10.0.0.2(not seen)",
        "",
        "1 ring, 1 pod: 1 note",
    ]
    own = a_member("a", "10.0.0.1", ring_key="mine")
    text = render(build([own], None, {}, Scope("shop")), STYLE)
    assert "Service habitat-ring-default: not checked (no right to list Services)" in text
    assert "ring key: Secret mine: your own, not looked at" in text


def test_nothing_to_show_says_where_to_look() -> None:
    assert render(build([], [], {}, Scope("shop")), STYLE) == (
        "no pod of namespace shop is injected; "
        "-n NAME looks into another namespace, -A into all: habitat-webhook status -A"
    )
    assert render(build([], [], {}, Scope()), STYLE) == "no pod of any namespace is injected"


def test_empty_ring_has_no_table() -> None:
    text = render(build([], [service.desired(Ring("shop", "default"))], {}, Scope("shop")), STYLE)
    assert text.splitlines()[:4] == [
        "ring default in namespace shop: 0 pods, 0 seeded, 0 ready",
        "├─ Service habitat-ring-default: present",
        "├─ ring key: none",
        "└─ note RingEmpty: no pod of this namespace is in this ring",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (190, "3m10s"), (600, "10m"), (10_799, "179m")),
        *((10_800, "3h"), (18_300, "5h5m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (190_800, "2d5h")),
        *((691_200, "8d"), (34_560_000, "400d")),
    ],
)
def test_age_is_written_as_kubectl_writes_it(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_json_holds_everything_that_the_text_shows() -> None:
    said = json.loads(json.dumps(as_json(shop(), NOW.timestamp())))
    assert said.keys() == {"version", "time", "namespace", "ok", "rings", "outside", "findings"}
    assert (said["version"], said["time"], said["namespace"]) == (1, "2026-03-01T12:00:00Z", "shop")
    assert said["ok"] is False
    cache, default = said["rings"]
    assert (cache["namespace"], cache["name"], cache["inPart"]) == ("shop", "cache", False)
    assert cache["service"] == {"name": "habitat-ring-cache", "state": "present", "drift": []}
    assert cache["keys"] == [
        {"namespace": "shop", "secret": "habitat-ring-cache-key", "managed": True, "state": "present"}
    ]
    assert cache["pods"][0] == {
        "namespace": "shop",
        "name": "cache-0",
        "uid": "uid-shop-cache-0",
        "state": "running",
        "ready": True,
        "seeded": "yes",
        "created": "2026-02-28T11:00:00Z",
        "address": "10.0.1.1",
        "peers": [{"address": "10.0.1.2", "pod": "shop/cache-1", "alive": True}],
        "generation": "0123456789abcdef",
        "group": "web.default",
        "owner": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cache"},
        "node": "node-1",
    }
    assert cache["findings"] == [
        {
            "code": "ConfigurationRollsOut",
            "severity": "note",
            "message": "2 versions of the ConfigMap cache (0123456789abcdef: cache-0, fedcba9876543210: cache-1)",
            "advice": "",
            "pods": ["shop/cache-0", "shop/cache-1"],
        }
    ]
    assert [f["code"] for f in default["findings"]] == [
        *("ServiceDrifted", "NotInjected", "NoPeer", "OwnAddress", "DeadPeer")
    ]
    pods = {pod["name"]: pod for pod in default["pods"]}
    assert pods["web-1"]["peers"][1] == {"address": "10.0.0.9", "pod": None, "alive": False}
    seeded = {"dns-1": None, "hand": None, "web-1": "yes", "web-2": "yes", "web-3": "no", "web-4": None, "web-5": None}
    assert {name: pod["seeded"] for name, pod in pods.items()} == seeded
    assert (pods["web-4"]["address"], pods["hand"]["group"], pods["hand"]["owner"]) == (None, None, None)
    assert [pod["name"] for pod in said["outside"]] == ["lone"]


def test_json_does_not_call_an_address_dead_that_it_cannot_judge() -> None:
    guest = a_member("g", "10.0.0.1", ring="shared.infra", peers=["10.0.0.2"])
    said = as_json(build([guest], [], {}, Scope("shop")), NOW.timestamp())
    (ring,) = said["rings"]
    assert ring["inPart"] is True
    assert ring["pods"][0]["peers"] == [{"address": "10.0.0.2", "pod": None, "alive": None}]
    assert said["ok"] is True
    assert as_json(build([], [], {}, Scope()), NOW.timestamp())["namespace"] is None


def test_example_of_the_documentation_is_what_comes_out() -> None:
    told = {"ring_key": "managed", "config_map": "web", "generation": "5d41402abc4b2a76"}
    members = [
        a_member("web-1", "10.244.1.4", peers=["10.244.2.7", "10.244.1.9"], age=259_200, **told),
        a_member("web-2", "10.244.2.7", peers=["10.244.1.4", "10.244.2.8"], age=259_200, **told),
        a_member("web-3", "10.244.2.8", peers=["10.244.1.4", "10.244.2.7"], age=65, **told),
        a_member("web-4", age=3, running=False, ring_key="managed", config_map="web"),
    ]
    secrets: Secrets = {("shop", "habitat-ring-default-key"): True}
    found = build(members, [service.desired(Ring("shop", "default"))], secrets, Scope("shop"))
    assert f"\n```\n{render(found, STYLE)}\n```\n" in PAGE.read_text()


def test_every_field_of_the_json_is_in_the_documentation() -> None:
    described = set(re.findall("`([^`]+)`", PAGE.read_text().partition("## JSON")[2]))
    words = {word for text in described for word in re.findall(r"\w+", text)}

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(names, value.values()))
        return set().union(*map(names, value)) if isinstance(value, list) else set()

    assert names(as_json(shop(), NOW.timestamp())) - words == set()

"""Hypothesis strategies for sets of habitat.sh/* annotations: free of contradictions, and wrong in a known way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

PREFIX = "habitat.sh/"

GOOD: dict[str, tuple[str, ...]] = {
    "group": ("default", "blue", "team_1"),
    "org": ("acme",),
    "topology": ("standalone", "leader"),
    "channel": ("stable", "acceptance.1"),
    "builder-url": ("https://bldr.example.com/v1",),
    "builder-auth-secret": ("builder-token",),
    "bind": ("db:postgresql.default", "db:postgresql.default, cache:redis.blue@acme"),
    "binding-mode": ("strict", "relaxed"),
    "config": ("port = 8080", '[a]\nb = "ü"\nc = "$(PORT) $$"', '{"port": 8080}'),
    "ring": ("default", "payments-2", "payments-2.default"),
    "ring-key": ("managed", "payments-key"),
    "http-port": ("9631", "19631"),
    "ctl-port": ("9632", "19632"),
    "probes": ("none", "readiness", "readiness,startup,liveness"),
    "gateway-auth-secret": ("gateway-token",),
    "health-check-interval": ("1", "30"),
    "shutdown-timeout": ("8",),
    "service-update-period": ("60", "300"),
    "log-format": ("text", "json"),
    "event-stream-site": ("berlin",),
    "event-meta": ("team=shop", "team=shop,tier=1"),
    "license": ("accept-no-persist",),
    "inject": ("true",),
}
"""Names that go together in any number, with values that are right."""

GROUPS: dict[str, tuple[dict[str, str], ...]] = {
    "discovery": (
        {"gossip-port": "19638"},
        {"discovery": "managed"},
        {"discovery": "dns"},
        {"discovery": "external", "peer": "hab.example.com:9638"},
        {"peer": "10.0.0.1,10.0.0.2:99"},
        {"discovery": "none"},
    ),
    "configuration": ({"config-secret": "web-config"}, {"config-map": "web.config"}),
    "files": ({"files-secret": "web-files"},),
    "update": ({"update-strategy": "rolling", "update-condition": "track-channel"}, {"update-strategy": "none"}),
    "events": (
        {
            "event-stream-url": "automate.example.com:4222",
            "event-stream-application": "shop",
            "event-stream-environment": "prod",
            "event-stream-token-secret": "automate",
        },
    ),
}
"""Names that need or exclude each other: at most one set of each group."""

BAD: dict[str, tuple[str, ...]] = {
    "service": ("", "a b", "-web", "web.1", "w" * 64, "../web"),
    "package": ("", "redis", "core/", "/redis", "core/redis/1/2/3", "Core/redis", "core/redis/1/x", "core/re dis"),
    "group": ("", "a.b", "a@b", "a#b", "-a", "config", "health", "a b", "blue\n"),
    "org": ("", "a@b", "a b"),
    "topology": ("", "Leader", "ring", "leader "),
    "channel": ("", "-x", "a b", "a/b"),
    "builder-url": ("", "bldr.example.com", "https://", "ftp://a", "https://a b"),
    "builder-auth-secret": ("", "Token", "a/b", "-a"),
    "bind": ("", ",", "db", "db:redis", "db:redis.default.x", "a:b:c.d", "db:-"),
    "binding-mode": ("", "loose"),
    "config": ("port =", "[a\n", "\0", "a = 1\na = 2", '{"a":}'),
    "config-secret": ("", "A", "a b"),
    "config-map": ("", "A", "a b"),
    "files-secret": ("", "A"),
    "data-claim": ("", "A"),
    "ring": ("", "Payments", "a.b", "a.b.c", "a.", ".default", "a.B", "a" * 51, "a" * 50 + "." + "b" * 13, "-a", "a_b"),
    "ring-key": ("", "My Key"),
    "discovery": ("", "auto", "Managed"),
    "peer": ("", ",", "fd00::1", "[fd00::1]:9638", "a b:c", "10.0.0.1:0", "10.0.0.1:70000"),
    "container": ("", "nobody", "A"),
    "entrypoint": ("", "mine"),
    "gossip-port": ("", "0", "65536", "-1", "96 38", "9638.0", "0x25a6", "09638"),
    "http-port": ("", "0", "99999", "http"),
    "ctl-port": ("", "0", "ctl"),
    "probes": ("", "ready", "none,readiness", "readiness;liveness"),
    "gateway-auth-secret": ("", "A"),
    "license": ("", "yes", "deny", "Accept"),
    "health-check-interval": ("", "0", "-5", "30s", "1.5", "99999999999"),
    "shutdown-timeout": ("", "0", "8s", "4294967296"),
    "service-update-period": ("", "0", "x"),
    "event-stream-application": ("", "a b", "-a"),
    "event-stream-environment": ("", "a b"),
    "event-stream-site": ("", "a b"),
    "event-stream-url": ("", "a b:1"),
    "event-stream-token-secret": ("", "A"),
    "event-meta": ("", "k", "k=", "=v", "k=v=w"),
    "log-format": ("", "xml"),
    "update-strategy": ("", "sometimes"),
    "update-condition": ("", "newest"),
    "inject": ("", "yes", "True", "1"),
}
"""For every annotation, values that must be refused."""

CONTRADICTIONS: tuple[dict[str, str], ...] = (
    {"config-secret": "a", "config-map": "b"},
    {"data-claim": "a", "data-volume": "b"},
    {"discovery": "managed", "peer": "10.0.0.1"},
    {"discovery": "none", "peer": "10.0.0.1"},
    {"discovery": "dns", "peer": "10.0.0.1"},
    {"discovery": "external"},
    {"gossip-port": "9631"},
    {"http-port": "7000", "gossip-port": "7000"},
    {"http-port": "7000", "ctl-port": "7000"},
    {"event-stream-url": "automate.example.com:4222"},
    {"service": "redis", "package": "core/web"},
)
"""Pairs whose members are right and cannot be had together."""


@st.composite
def annotations_for(
    draw: st.DrawFn, pod: dict[str, Any], target: str, ident: str, *, suit_args: bool
) -> dict[str, str]:
    """Annotations without contradiction for a pod whose target container's image was exported for `ident`.

    suit_args: they say nothing of peers where the container's own args do.
    """
    name = ident.split("/")[1]
    chosen: dict[str, str] = {"service": name, "license": "accept-no-persist"}
    if draw(st.integers(0, 3)) == 0:
        chosen |= draw(st.sampled_from([{"package": ident}, {"package": "/".join(ident.split("/")[:2])}]))
    for option in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=8, unique=True)):
        chosen[option] = draw(st.sampled_from(GOOD[option]))
    for group in draw(st.lists(st.sampled_from(sorted(GROUPS)), max_size=3, unique=True)):
        if group == "discovery" and suit_args and _finds_peers_itself(pod, target):
            continue
        chosen |= draw(st.sampled_from(GROUPS[group]))
    alone = chosen.get("discovery") == "none" or (suit_args and _finds_peers_itself(pod, target))
    if alone:
        chosen.pop("topology", None)  # a Supervisor alone never elects a leader (supervisor.md §0)
    if (alone or "peer" in chosen) and chosen.get("ring-key") == "managed":
        del chosen["ring-key"]  # only a managed ring gets a key
    if draw(st.integers(0, 3)) == 0:
        chosen |= _data(draw, pod)
    # A name that is no well-known sidecar's would make the choice ambiguous.
    if len(pod["spec"]["containers"]) > 1 or draw(st.booleans()):
        chosen["container"] = target
    return {PREFIX + option: value for option, value in chosen.items()}


def _data(draw: st.DrawFn, pod: dict[str, Any]) -> dict[str, str]:
    volumes = [volume["name"] for volume in pod["spec"].get("volumes") or [] if _can_hold_data(volume)]
    return {"data-volume": draw(st.sampled_from(volumes))} if volumes else {"data-claim": "web-data"}


def _finds_peers_itself(pod: dict[str, Any], target: str) -> bool:
    words = next(container.get("args") or [] for container in pod["spec"]["containers"] if container["name"] == target)
    return any(word.startswith(("--peer", "--local-gossip", "--listen-gossip")) for word in words)


def _can_hold_data(volume: dict[str, Any]) -> bool:
    return any(volume.get(kind) is not None for kind in ("emptyDir", "persistentVolumeClaim", "ephemeral"))


@st.composite
def wrong_annotations(draw: st.DrawFn) -> tuple[dict[str, str], list[str]]:
    """(annotations, the options that must be named as wrong): one to four bad values beside good ones."""
    wrong = draw(st.lists(st.sampled_from(sorted(BAD)), min_size=1, max_size=4, unique=True))
    chosen = {"service": "web", "license": "accept-no-persist"}
    chosen |= {option: draw(st.sampled_from(BAD[option])) for option in wrong}
    return {PREFIX + option: value for option, value in chosen.items()}, wrong

"""Hypothesis strategies for the args of a container, above all for those of a Supervisor."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

SERVICES = {"web": "core/web", "my-shop": "acme/my-shop", "redis": "core/redis/7.2.4"}
"""Service name -> the ident that its image was exported for."""

FLAGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("--group", ("blue", "default")),
    ("--org", ("acme",)),
    ("-t", ("leader",)),
    ("--topology", ("standalone", "leader")),
    ("-s", ("rolling",)),
    ("--strategy", ("none", "at-once")),
    ("--update-condition", ("track-channel",)),
    ("--channel", ("stable",)),
    ("--url", ("https://bldr.example.com",)),
    ("--bind", ("db:postgresql.default", "cache:redis.blue@acme")),
    ("--binding-mode", ("relaxed",)),
    ("--peer", ("10.0.0.1", "hab.example.com:9638")),
    ("--peer-watch-file", ("/etc/app/peers",)),
    ("--listen-http", ("0.0.0.0:8631",)),
    ("--listen-gossip", ("0.0.0.0:8638",)),
    ("--listen-ctl", ("127.0.0.1:8632",)),
    ("--sys-ip-address", ("10.0.0.9",)),
    ("--health-check-interval", ("5",)),
    ("--shutdown-timeout", ("5",)),
    ("--service-update-period", ("90",)),
    ("--event-meta", ("team=shop",)),
    ("--event-stream-site", ("berlin",)),
    ("--local-gossip-mode", ()),
    ("--permanent-peer", ()),
    ("-I", ()),
    ("-v", ()),
    ("--no-color", ()),
    ("--json-logging", ()),
    ("--http-disable", ()),
    ("-D", ()),
    ("--auto-update", ()),
)
"""(flag, values that it takes, none for a switch): what a user writes."""


@cache
@st.composite
def user_flags(draw: st.DrawFn) -> list[str]:
    """Up to four flags in any spelling: `--flag value`, `--flag=value`, `-f value`, `-fvalue`."""
    words: list[str] = []
    for name, values in draw(st.lists(st.sampled_from(FLAGS), max_size=4, unique_by=lambda flag: flag[0])):
        if not values:
            words.append(name)
            continue
        value = draw(st.sampled_from(values))
        glued = f"{name}={value}" if name.startswith("--") else name + value
        words.extend([name, value] if draw(st.booleans()) else [glued])
    return words


@cache
@st.composite
def supervisor_args(draw: st.DrawFn, ident: str) -> list[str]:
    """All shapes: none, flags first, `run ident …`, `run … ident`, `start ident …`, and now and then nonsense."""
    flags = draw(user_flags())
    shape = draw(st.sampled_from(["none", "none", "flags", "flags", "run", "run", "run last", "start", "odd"]))
    if shape == "none":
        return []
    if shape == "flags":
        return flags
    if shape == "run last":
        return ["run", *flags, ident]
    if shape == "odd":
        return draw(st.sampled_from([["run"], [ident], ["--help"], ["--", *flags], ["sh"], ["--group"], [""]]))
    return [shape, ident, *flags]


@cache
def plain_args() -> st.SearchStrategy[list[str]]:
    """What another container's process takes."""
    return st.lists(st.sampled_from(["--port=$(PORT)", "serve", "-v", "--group", "$$HOME", ""]), max_size=3)

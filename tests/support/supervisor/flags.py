"""The flags of `hab sup run`, written down a second time so that the product's own table has a referee.

From supervisor.md §0 and §1.1–1.3, and the arg definitions of habitat's cli_v4/sup/sup_run.rs and cli_v4/utils.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.support.supervisor import values
from tests.support.supervisor.values import Parser

Arity = Literal["none", "one", "many", "any"]
"""none: a switch. one: exactly one value. many: one or more. any: none or more; the last two swallow what follows."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One argument definition; `conflicts` and `requires` name other flags by their `name`."""

    name: str
    arity: Arity = "one"
    parse: Parser = values.text
    short: str = ""
    env: str = ""
    default: object = None
    repeats: bool = False
    splits: bool = False
    conflicts: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    since: tuple[int, ...] = (0,)
    long: bool = True


def _switch(name: str, short: str = "", **more: object) -> Flag:
    return Flag(name, "none", short=short, default=False, **more)  # type: ignore[arg-type]  # passes keywords on


def _list(name: str, parse: Parser, **more: object) -> Flag:
    return Flag(name, "many", parse, default=(), repeats=True, splits=True, **more)  # type: ignore[arg-type]


_seconds = values.integer(64)
_gossip = ("0.0.0.0", 9638)
_http = ("0.0.0.0", 9631)
_ctl = ("127.0.0.1", 9632)

FLAGS: tuple[Flag, ...] = (
    # the Supervisor's own
    Flag("listen-gossip", parse=values.listen, env="HAB_LISTEN_GOSSIP", default=_gossip),
    _list("peer", values.resolved(9638)),
    Flag("peer-watch-file", parse=values.filled, conflicts=("peer",), since=(0, 36)),
    _switch("local-gossip-mode", conflicts=("listen-gossip", "peer", "peer-watch-file"), since=(0, 81)),
    Flag("listen-http", parse=values.listen, env="HAB_LISTEN_HTTP", default=_http),
    _switch("http-disable", "D", since=(0, 70)),
    Flag("listen-ctl", parse=values.resolved(9632), env="HAB_LISTEN_CTL", default=_ctl, since=(0, 56)),
    Flag("ctl-server-certificate", "any", values.filled),
    Flag("ctl-server-key", "any", values.filled),
    Flag("ctl-client-ca-certificate", "any", values.filled),
    Flag("org"),
    _switch("permanent-peer", "I"),
    Flag("cache-key-path", parse=values.filled, env="HAB_CACHE_KEY_PATH"),
    Flag("ring-key", env="HAB_RING_KEY", since=(0, 70)),
    Flag("ring", short="r", env="HAB_RING", conflicts=("ring-key",)),
    _switch("auto-update", "A"),
    Flag("auto-update-period", parse=_seconds, default=60),
    Flag("service-update-period", parse=_seconds, default=60),
    Flag("service-min-backoff-period", parse=_seconds, default=0, since=(1, 6, 475)),
    Flag("service-max-backoff-period", parse=_seconds, default=0, since=(1, 6, 475)),
    Flag("service-restart-cooldown-period", parse=_seconds, default=300, since=(1, 6, 475)),
    Flag("key", parse=values.filled),
    Flag("certs", parse=values.filled, requires=("key",)),
    Flag("ca-certs", parse=values.filled, requires=("certs", "key"), since=(0, 81)),
    _switch("verbose", "v", long=False),
    _switch("no-color"),
    _switch("json-logging", since=(0, 56)),
    Flag("sys-ip-address", parse=values.address, since=(0, 90)),
    Flag("event-stream-application", parse=values.filled),
    Flag("event-stream-environment", parse=values.filled),
    Flag("event-stream-connect-timeout", parse=_seconds, env="HAB_EVENT_STREAM_CONNECT_TIMEOUT", default=0),
    Flag("event-stream-token", parse=values.filled, env="HAB_AUTOMATE_AUTH_TOKEN"),
    Flag(
        "event-stream-url",
        parse=values.event_address,
        requires=("event-stream-application", "event-stream-environment", "event-stream-token"),
        since=(0, 90),
    ),
    Flag("event-stream-site", parse=values.filled),
    _list("event-meta", values.pair),
    Flag("event-stream-server-certificate", parse=values.filled),
    Flag("keep-latest-packages", parse=_seconds, env="HAB_KEEP_LATEST_PACKAGES", since=(1, 6)),
    _list("config-files", values.toml_file, since=(1, 6, 15)),
    _switch("generate-config", since=(1, 6, 15)),
    # the service's
    Flag("channel"),
    Flag("url", parse=values.url, short="u"),
    Flag("group", default="default"),
    Flag("topology", parse=values.one_of("standalone", "leader"), short="t"),
    Flag("strategy", parse=values.one_of("none", "at-once", "rolling"), short="s", default="none"),
    Flag("update-condition", parse=values.one_of("latest", "track-channel"), default="latest", since=(1, 6)),
    _list("bind", values.bind),
    Flag("binding-mode", parse=values.one_of("strict", "relaxed"), default="strict", since=(0, 56)),
    Flag("health-check-interval", parse=_seconds, default=30, since=(0, 81)),
    Flag("shutdown-timeout", parse=values.integer(32), since=(0, 81)),
    Flag("application", short="a", repeats=True, default=()),
    Flag("environment", short="e", repeats=True, default=()),
    Flag("config-from", parse=values.filled),
    _switch("help", "h"),
)

IDENT = Flag("ident", parse=values.identifier)
"""The single positional argument."""

BY_LONG = {flag.name: flag for flag in FLAGS if flag.long}
BY_SHORT = {flag.short: flag for flag in FLAGS if flag.short}
BY_NAME = {flag.name: flag for flag in FLAGS}

"""Every habitat.sh/* annotation, declared once.

One field of `Options` is one annotation: its kind, what it becomes, and its documentation. The parser (`spec.py`), the
flags that are written (`inject/args.py`), the command `habitat-webhook annotations`, docs/annotations.md, the JSON
schema and the tests over "every annotation" are all derived from `REGISTRY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from webhook import kinds
from webhook.kinds import Kind

PREFIX = "habitat.sh/"
DEFAULT_PREFIX = "default.habitat.sh/"
"""Annotations of a Namespace: `default.habitat.sh/group` is the default of `habitat.sh/group` in it."""

Scope = Literal["pod", "namespace", "policy"]
EVERYWHERE: tuple[Scope, ...] = ("pod", "namespace", "policy")
POD: tuple[Scope, ...] = ("pod", "policy")
"""For values that make sense for one workload only: no namespace default."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The Supervisor's flag that an option becomes (supervisor.md §1).

    name: "--group". repeat: one flag for each value of a list. switch: a flag without value, written when the option is
    this word.
    """

    name: str
    repeat: bool = False
    switch: str | None = None


@dataclass(frozen=True, slots=True)
class SecretEnv:
    """An environment variable that takes its value from one key of the Secret that the option names."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Option:
    """One annotation, as declared; `name` is without the prefix, `field` the attribute of `Options`."""

    name: str
    field: str
    kind: Kind[Any]
    default: Any
    doc: str
    becomes: str
    scope: tuple[Scope, ...]
    since: str
    example: str
    flag: Flag | None
    secret: SecretEnv | None
    group: str

    @property
    def key(self) -> str:
        return PREFIX + self.name


def option(
    kind: Kind[Any],
    doc: str,
    *,
    becomes: str,
    example: str,
    default: Any = None,
    scope: tuple[Scope, ...] = EVERYWHERE,
    since: str = "0.1",
    flag: Flag | None = None,
    secret: SecretEnv | None = None,
    group: str,
) -> Any:
    """Declare one annotation as a dataclass field; returns Any because the field's own annotation is its type."""
    facts = {"kind": kind, "doc": doc, "becomes": becomes, "example": example, "default": default, "scope": scope}
    return field(default=default, metadata=facts | {"since": since, "flag": flag, "secret": secret, "group": group})


@dataclass(frozen=True)
class Options:
    """The values of all annotations, typed; a field that nobody set has its built-in default."""

    inject: bool | None = option(
        kinds.BOOLEAN,
        "Opts a pod in (also in a namespace that carries no label) or out.",
        becomes="the decision",
        example="false",
        scope=("pod",),
        group="Who is injected",
    )
    container: str | None = option(
        kinds.CONTAINER,
        "The container that runs the Supervisor, where the pod has several.",
        becomes="the target container",
        example="redis",
        scope=POD,
        group="Who is injected",
    )
    entrypoint: str = option(
        kinds.choice("habitat", "custom"),
        "custom: the container overrides `command` and promises to pass its args on to the Supervisor.",
        becomes="leave to inject into a container with its own command",
        example="custom",
        default="habitat",
        scope=POD,
        group="Who is injected",
    )
    service: str | None = option(
        kinds.SERVICE,
        "The Habitat package name; inferred from `package`, or from the container's own `run origin/name`.",
        becomes="probe paths, label habitat.sh/service, directories below /hab",
        example="redis",
        scope=POD,
        group="The service",
    )
    package: str | None = option(
        kinds.IDENT,
        "The package to run, where it is not the one the image was exported for.",
        becomes="args: run <identifier>",
        example="core/redis",
        scope=POD,
        group="The service",
    )
    group: str = option(
        kinds.GROUP,
        "The service group.",
        becomes="--group, probe paths, label habitat.sh/group",
        example="production",
        default="default",
        flag=Flag("--group"),
        group="The service",
    )
    org: str | None = option(
        kinds.GROUP,
        "The organisation, appended to the service group as @org.",
        becomes="--org, probe paths",
        example="acme",
        flag=Flag("--org"),
        group="The service",
    )
    topology: str = option(
        kinds.choice("standalone", "leader"),
        "leader: the group elects one; run at least three replicas.",
        becomes="--topology, label habitat.sh/topology",
        example="leader",
        default="standalone",
        flag=Flag("--topology"),
        group="The service",
    )
    license: str | None = option(
        kinds.choice("accept-no-persist", "accept"),
        "Accepts Chef's licence, which nobody does on your behalf; without it a Supervisor exits with 1.",
        becomes="env HAB_LICENSE",
        example="accept-no-persist",
        group="The service",
    )
    bind: tuple[str, ...] = option(
        kinds.list_of(kinds.BIND),
        "Other services of the ring that this one consumes.",
        becomes="--bind, one for each",
        example="database:postgresql.production",
        default=(),
        scope=POD,
        flag=Flag("--bind", repeat=True),
        group="The service",
    )
    binding_mode: str | None = option(
        kinds.choice("strict", "relaxed"),
        "strict: wait until every bind is there before the service starts.",
        becomes="--binding-mode",
        example="relaxed",
        flag=Flag("--binding-mode"),
        group="The service",
    )
    update_strategy: str | None = option(
        kinds.choice("none", "at-once", "rolling"),
        "How the Supervisor follows new releases in Builder; anything but none changes a running image.",
        becomes="--strategy",
        example="none",
        flag=Flag("--strategy"),
        group="Updates",
    )
    update_condition: str | None = option(
        kinds.choice("latest", "track-channel"),
        "What counts as a new release.",
        becomes="--update-condition",
        example="track-channel",
        flag=Flag("--update-condition"),
        group="Updates",
    )
    channel: str | None = option(
        kinds.CHANNEL,
        "The Builder channel.",
        becomes="--channel",
        example="stable",
        flag=Flag("--channel"),
        group="Updates",
    )
    builder_url: str | None = option(
        kinds.URL,
        "The Builder to ask.",
        becomes="--url",
        example="https://bldr.example.com",
        flag=Flag("--url"),
        group="Updates",
    )
    builder_auth_secret: str | None = option(
        kinds.OBJECT,
        "A Secret whose key `token` is the token for Builder.",
        becomes="env HAB_AUTH_TOKEN",
        example="builder-token",
        secret=SecretEnv("HAB_AUTH_TOKEN", "token"),
        group="Updates",
    )
    service_update_period: int | None = option(
        kinds.SECONDS,
        "Seconds between two looks for a new release.",
        becomes="--service-update-period",
        example="300",
        flag=Flag("--service-update-period"),
        group="Updates",
    )
    config: str | None = option(
        kinds.CONFIG,
        "Configuration as TOML text, under 128 KiB, checked at admission; weaker than config-secret and config-map.",
        becomes="env HAB_<PACKAGE>",
        example="maxclients = 100",
        scope=POD,
        group="Configuration and data",
    )
    config_secret: str | None = option(
        kinds.OBJECT,
        "A Secret whose key `user.toml` is the configuration; a change reaches the running service.",
        becomes="directory mount at /hab/user/<service>/config",
        example="redis-config",
        scope=POD,
        group="Configuration and data",
    )
    config_map: str | None = option(
        kinds.OBJECT,
        "A ConfigMap whose key `user.toml` is the configuration; a change reaches the running service.",
        becomes="directory mount at /hab/user/<service>/config",
        example="redis-config",
        scope=POD,
        group="Configuration and data",
    )
    files_secret: str | None = option(
        kinds.OBJECT,
        "A Secret whose keys become files of the service.",
        becomes="init container that copies them to /hab/svc/<service>/files",
        example="redis-files",
        scope=POD,
        group="Configuration and data",
    )
    data_claim: str | None = option(
        kinds.OBJECT,
        "A PersistentVolumeClaim for the service's data.",
        becomes="mount at /hab/svc/<service>/data",
        example="redis-data",
        scope=POD,
        group="Configuration and data",
    )
    data_volume: str | None = option(
        kinds.VOLUME,
        "A volume of the pod (or a StatefulSet's volumeClaimTemplate) for the service's data.",
        becomes="mount at /hab/svc/<service>/data",
        example="data",
        scope=POD,
        group="Configuration and data",
    )
    ring: str = option(
        kinds.RING,
        "The gossip ring that the pod joins: one of its namespace, or name.namespace for a shared one of another.",
        becomes="label habitat.sh/ring, env HABITAT_RING",
        example="payments",
        default="default",
        group="Ring",
    )
    ring_key: str | None = option(
        kinds.RING_KEY,
        "managed: the controller makes one key for the ring; or a Secret whose key `ring-key` is one.",
        becomes="env HAB_RING_KEY",
        example="managed",
        group="Ring",
    )
    discovery: str = option(
        kinds.choice("managed", "dns", "external", "none"),
        "How the Supervisor finds its first peer.",
        becomes="--peer-watch-file, --peer or --local-gossip-mode",
        example="managed",
        default="managed",
        group="Ring",
    )
    peer: tuple[str, ...] = option(
        kinds.list_of(kinds.PEER),
        "Peers outside the cluster's ring, host[:port]; implies discovery external.",
        becomes="--peer, one for each",
        example="hab-bastion.example.com:9638",
        default=(),
        flag=Flag("--peer", repeat=True),
        group="Ring",
    )
    gossip_port: int = option(
        kinds.PORT,
        "The port of the gossip protocol, UDP and TCP.",
        becomes="env HAB_LISTEN_GOSSIP, two container ports",
        example="9638",
        default=9638,
        group="Ports and probes",
    )
    http_port: int = option(
        kinds.PORT,
        "The port of the Supervisor's HTTP gateway.",
        becomes="env HAB_LISTEN_HTTP, a container port, probes",
        example="9631",
        default=9631,
        group="Ports and probes",
    )
    ctl_port: int = option(
        kinds.PORT,
        "The port of the control gateway, on loopback.",
        becomes="env HAB_LISTEN_CTL",
        example="9632",
        default=9632,
        group="Ports and probes",
    )
    probes: tuple[str, ...] = option(
        kinds.PROBES,
        "The probes to write; one that the container has already stays as it is.",
        becomes="readinessProbe, startupProbe, livenessProbe",
        example="readiness,startup",
        default=kinds.PROBE_NAMES,
        group="Ports and probes",
    )
    gateway_auth_secret: str | None = option(
        kinds.OBJECT,
        "A Secret whose key `token` protects the HTTP gateway; the probes become exec probes that send it.",
        becomes="env HAB_SUP_GATEWAY_AUTH_TOKEN",
        example="gateway-token",
        secret=SecretEnv("HAB_SUP_GATEWAY_AUTH_TOKEN", "token"),
        group="Ports and probes",
    )
    health_check_interval: int | None = option(
        kinds.SECONDS,
        "Seconds between two runs of the service's health-check hook.",
        becomes="--health-check-interval",
        example="30",
        flag=Flag("--health-check-interval"),
        group="Ports and probes",
    )
    shutdown_timeout: int | None = option(
        kinds.SECONDS,
        "Seconds the service gets to stop at a restart by the Supervisor; at the pod's end it gets 8.",
        becomes="--shutdown-timeout",
        example="8",
        flag=Flag("--shutdown-timeout"),
        group="Ports and probes",
    )
    log_format: str = option(
        kinds.choice("text", "json"),
        "json: the Supervisor logs one JSON object a line.",
        becomes="--json-logging",
        example="json",
        default="text",
        flag=Flag("--json-logging", switch="json"),
        group="Logs and events",
    )
    event_stream_application: str | None = option(
        kinds.WORD,
        "The application's name in Chef Automate.",
        becomes="--event-stream-application",
        example="shop",
        flag=Flag("--event-stream-application"),
        group="Logs and events",
    )
    event_stream_environment: str | None = option(
        kinds.WORD,
        "The environment's name in Chef Automate.",
        becomes="--event-stream-environment",
        example="production",
        flag=Flag("--event-stream-environment"),
        group="Logs and events",
    )
    event_stream_site: str | None = option(
        kinds.WORD,
        "The site's name in Chef Automate.",
        becomes="--event-stream-site",
        example="frankfurt",
        flag=Flag("--event-stream-site"),
        group="Logs and events",
    )
    event_stream_url: str | None = option(
        kinds.EVENT_URL,
        "The address of the event stream; needs the application, the environment and the token.",
        becomes="--event-stream-url",
        example="automate.example.com:4222",
        flag=Flag("--event-stream-url"),
        group="Logs and events",
    )
    event_stream_token_secret: str | None = option(
        kinds.OBJECT,
        "A Secret whose key `token` is Chef Automate's token.",
        becomes="env HAB_AUTOMATE_AUTH_TOKEN",
        example="automate-token",
        secret=SecretEnv("HAB_AUTOMATE_AUTH_TOKEN", "token"),
        group="Logs and events",
    )
    event_meta: tuple[str, ...] = option(
        kinds.list_of(kinds.META),
        "Key=value pairs that every event carries.",
        becomes="--event-meta, one for each",
        example="team=payments,tier=1",
        default=(),
        flag=Flag("--event-meta", repeat=True),
        group="Logs and events",
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """Options from parsed values by field name; what is absent keeps its default.

        The defaults are class attributes, so only what was set is stored: a tenth of the cost of a full __init__,
        on the path of every pod that is created.
        """
        made = object.__new__(cls)
        made.__dict__.update(values)
        return made


REGISTRY: tuple[Option, ...] = tuple(
    Option(name=f.name.replace("_", "-"), field=f.name, **f.metadata) for f in fields(Options)
)
BY_NAME: Mapping[str, Option] = {o.name: o for o in REGISTRY}
FLAGGED: tuple[tuple[Option, Flag], ...] = tuple((o, o.flag) for o in REGISTRY if o.flag)
SECRETS: tuple[tuple[Option, SecretEnv], ...] = tuple((o, o.secret) for o in REGISTRY if o.secret)

INJECTED = PREFIX + "injected"
PEERS = PREFIX + "peers"
CONFIG_GENERATION = PREFIX + "config-generation"
WRITTEN: Mapping[str, str] = {
    INJECTED: "What was injected: JSON with version, container, a digest of the settings, and the names of the parts.",
    PEERS: "The addresses of the pod's peers, written by the ring controller.",
    CONFIG_GENERATION: "Changed by the ring controller when a mounted configuration has changed.",
}
"""Annotations that the system writes; a user never sets them."""

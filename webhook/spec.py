"""Annotations, policy, namespace defaults and the container's own words -> one SupervisorSpec, or all problems at once.

Precedence (design.md §5): policy force > the container's own args and env > pod > namespace default > policy default
> built-in. The container's own words stand above the annotations because a flag given twice makes the Supervisor exit
with 2 (supervisor.md §0): the user's flag is what runs, so it is what probes and labels must follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import orjson

from webhook.commandline import CommandLine
from webhook.decide import Rules
from webhook.kinds import SERVICE
from webhook.options import BY_NAME, FLAGGED, PREFIX, WRITTEN, Option, Options
from webhook.problems import Problem, caution, one_line, shown

POD = "pod"
ARGS = "args"
ENV = "env"
BUILT_IN = "built-in"

_LISTEN = (
    (BY_NAME["http-port"], "--listen-http", "HAB_LISTEN_HTTP"),
    (BY_NAME["gossip-port"], "--listen-gossip", "HAB_LISTEN_GOSSIP"),
    (BY_NAME["ctl-port"], "--listen-ctl", "HAB_LISTEN_CTL"),
)
_OWN_DISCOVERY = {"--local-gossip-mode": "none", "--peer-watch-file": "external", "--peer": "external"}
_PORT_PAIRS = (("gossip-port", "http-port"), ("ctl-port", "http-port"), ("ctl-port", "gossip-port"))
_UNKNOWN_SHOWN = 5
_STOP_SECONDS = 8
"""What a service gets at the pod's end, hard-coded in the launcher (supervisor.md §11)."""

STRICT_ENV = frozenset(
    {
        "HAB_LISTEN_GOSSIP",
        "HAB_LISTEN_HTTP",
        "HAB_LISTEN_CTL",
        "HAB_RING",
        "HAB_RING_KEY",
        "HAB_CACHE_KEY_PATH",
        "HAB_KEEP_LATEST_PACKAGES",
        "HAB_EVENT_STREAM_CONNECT_TIMEOUT",
        "HAB_AUTOMATE_AUTH_TOKEN",
    }
)
"""Variables that clap reads strictly: set but empty, the Supervisor does not start (supervisor.md §1.3, §1.6)."""

_OWN_ENV = STRICT_ENV | {
    "HAB_LICENSE",
    "HAB_AUTH_TOKEN",
    "HAB_BLDR_URL",
    "HAB_BLDR_CHANNEL",
    "HAB_ORG",
    "HAB_SUP_GATEWAY_AUTH_TOKEN",
    "HAB_CTL_SECRET",
    "HAB_TOKIO_THREAD_COUNT",
}


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """What one pod's Supervisor shall be.

    options: every value, typed. sources: field name -> who said it ("pod", "args", "env", a layer's name); a field that
    is not in it has its built-in default. service: the package name. http_host: the address of the gateway when the
    user bound it to one, "" for all. command: the user's own args as the Supervisor reads them.
    """

    options: Options
    sources: Mapping[str, str]
    service: str
    http_host: str
    command: CommandLine

    @property
    def in_ring(self) -> bool:
        """Whether the pod belongs to the ring that the controller keeps; external and lone Supervisors do not."""
        return self.options.discovery in ("managed", "dns")

    @property
    def group_path(self) -> str:
        """`<service>/<group>[/<org>]`, as the gateway's routes have it (supervisor.md §5)."""
        org = f"/{self.options.org}" if self.options.org else ""
        return f"{self.service}/{self.options.group}{org}"

    def digest(self) -> str:
        """16 hex digits over all settings that were said: the same settings give the same digest."""
        values = orjson.dumps([self.service, self.options.__dict__], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(values).hexdigest()[:16]


@dataclass(slots=True)
class Findings:
    """Everything to tell the user, collected while reading."""

    problems: list[Problem]
    warnings: list[str]

    def problem(self, where: str, what: str, allowed: str) -> None:
        self.problems.append(Problem(one_line(where), what, allowed))

    def warn(self, text: str) -> None:
        self.warnings.append(caution(text))


@dataclass(frozen=True, slots=True)
class Container:
    """What the spec needs to know of the target container.

    field: its path for messages, "spec.containers[redis]". command: its args, read. env: literal values by name, None
    for a value that comes from elsewhere.
    """

    field: str
    command: CommandLine
    env: Mapping[str, str | None]


def resolve(
    annotations: Mapping[str, Any], rules: Rules, container: Container, findings: Findings
) -> SupervisorSpec | None:
    """The spec, or None when `findings` has got a problem."""
    return _Resolution(container, findings).run(annotations, rules)


class _Resolution:
    def __init__(self, container: Container, findings: Findings) -> None:
        self.container = container
        self.findings = findings
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.http_host = ""

    def run(self, annotations: Mapping[str, Any], rules: Rules) -> SupervisorSpec | None:
        for layer in rules.forced:
            self._layer(layer.source, layer.values.items())
        own = [(k[len(PREFIX) :], v) for k, v in annotations.items() if k.startswith(PREFIX) and k not in WRITTEN]
        self._layer(POD, own)
        for layer in rules.defaults:
            self._layer(layer.source, layer.values.items())
        self._own_flags()
        self._own_addresses()
        service = self._service()
        self._discovery()
        options = Options.of(self.values)
        self._contradictions(options)
        self._cautions(options)
        if self.findings.problems or service is None:
            return None
        return SupervisorSpec(options, self.sources, service, self.http_host, self.container.command)

    def _layer(self, source: str, entries: Iterable[tuple[str, Any]]) -> None:
        unknown = []
        for name, text in entries:
            option = BY_NAME.get(name)
            if option is None:
                unknown.append(name)
            elif option.field not in self.values:
                try:
                    self.values[option.field] = option.kind.parse(text if isinstance(text, str) else "")
                    self.sources[option.field] = source
                except ValueError as error:
                    what = str(error) if source == POD else f"{error} (from {source})"
                    self.findings.problem(option.key, what, option.kind.allowed)
        if unknown:
            self._unknown(unknown)

    def _unknown(self, names: list[str]) -> None:
        for name in names[:_UNKNOWN_SHOWN]:
            near = get_close_matches(name[:60], BY_NAME, n=1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            self.findings.warn(f"{PREFIX}{shown(name)[1:-1][:50]} is unknown and has no effect{hint}")
        if len(names) > _UNKNOWN_SHOWN:
            self.findings.warn(f"{len(names) - _UNKNOWN_SHOWN} more unknown {PREFIX} annotations have no effect")

    def _own_flags(self) -> None:
        """The user's flags, laid over the annotations: what runs is what they say."""
        command = self.container.command
        field = f"{self.container.field}.args"
        for text in command.problems:
            self.findings.problem(field, text, "the Supervisor would not start with these args")
        for name in command.unknown:
            self.findings.warn(
                f"{shown(name)} in args is no flag of the Supervisor 2.1: an image that lacks it exits with 2"
            )
        for option, flag in FLAGGED if command.flags else ():
            if flag.name not in command.flags:
                continue
            if flag.switch:
                self._overlay(option, flag.switch)
            elif flag.repeat:
                self._overlay(
                    option, tuple(dict.fromkeys(command.flags[flag.name] + self.values.get(option.field, ())))
                )
            else:
                self._overlay_text(option, command.value(flag.name) or "", field, flag.name)

    def _overlay_text(self, option: Option, text: str, where: str, what: str) -> None:
        try:
            value = option.kind.parse(text)
        except ValueError as error:
            self.findings.problem(where, f"{what}: {error}", option.kind.allowed)
            return
        if self.sources.get(option.field) == POD and self.values[option.field] != value:
            self.findings.warn(f"{what}={text[:30]} in args wins over the annotation {option.key}")
        self._overlay(option, value)

    def _overlay(self, option: Option, value: Any, source: str = ARGS) -> None:
        self.values[option.field] = value
        self.sources[option.field] = source

    def _own_addresses(self) -> None:
        """Ports that the user's flags or literal environment set (flag beats env, supervisor.md §0)."""
        for option, flag, variable in _LISTEN:
            field = option.field
            text, source = self.container.command.value(flag), ARGS
            if text is None:
                text, source = self.container.env.get(variable), ENV
            if text is None:
                if variable in self.container.env:
                    self.findings.warn(f"{variable} comes from elsewhere; probes and ports go by {option.key}")
                continue
            host, colon, port = text.rpartition(":")
            if not colon:
                host, port = text, str(option.default)
            try:
                value = option.kind.parse(port)
            except ValueError:
                where = f"{self.container.field}.{'args' if source == ARGS else 'env'}"
                self.findings.problem(
                    where, f"{flag if source == ARGS else variable}: {shown(text)}", "allowed: IP:PORT"
                )
                continue
            if self.sources.get(field) == POD and self.values[field] != value:
                self.findings.warn(f"the container's own {variable} or {flag} wins over the annotation {option.key}")
            self._overlay(option, value, source)
            if field == "http_port" and host != "0.0.0.0":  # noqa: S104 -- compared, not bound
                self.http_host = host

    def _service(self) -> str | None:
        """The package name: the Supervisor's own args say it best, then the annotations."""
        said: str | None = self.values.get("service")
        package: str | None = self.values.get("package")
        ident = self.container.command.ident
        if package and said and _name(package) != said:
            what = f"{shown(said)}, but habitat.sh/package is {shown(package)}"
            self.findings.problem(PREFIX + "service", what, "the service is the package's name: set one of them")
        if ident is None or _name(ident) is None:
            service = said or _name(package)
            if service is None and not any(
                p.where in (PREFIX + "service", PREFIX + "package") for p in self.findings.problems
            ):
                self.findings.problem(
                    PREFIX + "service",
                    "the package name is not known (the API server cannot look into the image)",
                    f"set {PREFIX}service, or {PREFIX}package",
                )
            return service
        if package and package != ident:
            self.findings.warn(f"args run {shown(ident)}; that wins over the annotation {PREFIX}package")
        elif said and _name(ident) != said:
            self.findings.warn(f"args run {shown(ident)}; that wins over the annotation {PREFIX}service")
        self.values["package"], self.sources["package"] = ident, ARGS
        try:
            return SERVICE.parse(_name(ident) or "")
        except ValueError as error:
            self.findings.problem(f"{self.container.field}.args", f"{shown(ident)}: {error}", SERVICE.allowed)
            return None

    def _discovery(self) -> None:
        """What the user's own flags and a list of peers mean for discovery."""
        command = self.container.command
        source = self.sources.get("discovery", BUILT_IN)
        said = self.values.get("discovery")
        flag = next((flag for flag in _OWN_DISCOVERY if flag in command.flags), None)
        if flag:
            mode = _OWN_DISCOVERY[flag]
            if source == POD and said != mode:
                self.findings.warn(f"{flag} in args wins over the annotation {PREFIX}discovery")
            if self.sources.get("peer") not in (None, ARGS) and "--peer" not in command.flags:
                self.findings.problem(
                    PREFIX + "peer", f"the container's args find peers otherwise ({mode})", "set one of them"
                )
            self.values["discovery"], self.sources["discovery"] = mode, ARGS
        elif self.values.get("peer"):
            if source == POD and said not in (None, "external"):
                what = f"peers are listed, but {PREFIX}discovery is {said}"
                self.findings.problem(PREFIX + "peer", what, "peers need discovery external: set one of them")
            self.values["discovery"], self.sources["discovery"] = "external", self.sources["peer"]
        elif said == "external":
            self.findings.problem(
                PREFIX + "discovery", "external, but no peer is named", f"set {PREFIX}peer: host[:port]"
            )

    def _contradictions(self, options: Options) -> None:
        problem = self.findings.problem
        if options.config_secret and options.config_map:
            problem(PREFIX + "config-map", "config-secret is set too, and both are one directory", "set one of them")
        if options.data_claim and options.data_volume:
            problem(PREFIX + "data-volume", "data-claim is set too, and both are one directory", "set one of them")
        ports = {"gossip-port": options.gossip_port, "http-port": options.http_port, "ctl-port": options.ctl_port}
        for name, twin in _PORT_PAIRS:
            if ports[name] == ports[twin]:
                problem(PREFIX + name, f"{ports[name]} is {PREFIX}{twin} too", "allowed: three different ports")
        if options.event_stream_url:
            self._event_stream(options)
        names = [b.partition(":")[0] for b in options.bind]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            problem(PREFIX + "bind", f"the bind {twice} is given twice, with two providers", "name each bind once")
        ring_otherwise = "--ring" in self.container.command.flags or "HAB_RING" in self.container.env
        if options.ring_key and ring_otherwise:
            problem(
                PREFIX + "ring-key", "the container names a ring key itself (--ring or HAB_RING)", "set one of them"
            )
        if options.discovery == "none" and "HAB_LISTEN_GOSSIP" in self.container.env:
            what = "HAB_LISTEN_GOSSIP and --local-gossip-mode exclude each other"
            problem(f"{self.container.field}.env", what, f"remove the variable, or set {PREFIX}discovery: managed")
        for name, value in self.container.env.items():
            if value == "" and (name in STRICT_ENV or name == "POD_IP"):
                problem(f"{self.container.field}.env", f"{name} is empty", "remove it: the Supervisor exits with 2")
        if options.config and self.findings.problems == []:
            variable = config_variable(self._config_name())
            if variable in _OWN_ENV:
                problem(PREFIX + "config", f"{variable} is one of the Supervisor's own variables", "use config-secret")

    def _config_name(self) -> str:
        return _name(self.values.get("package")) or self.values.get("service") or ""

    def _event_stream(self, options: Options) -> None:
        """`--event-stream-url` requires application, environment and token (supervisor.md §13)."""
        flags, env = self.container.command.flags, self.container.env
        token = options.event_stream_token_secret or "--event-stream-token" in flags or "HAB_AUTOMATE_AUTH_TOKEN" in env
        needed = (
            ("event-stream-application", options.event_stream_application),
            ("event-stream-environment", options.event_stream_environment),
            ("event-stream-token-secret", token),
        )
        for name, value in needed:
            if not value:
                self.findings.problem(PREFIX + name, "it is missing, and event-stream-url needs it", "set it")

    def _cautions(self, options: Options) -> None:
        warn = self.findings.warn
        mistaken = any(p.where == PREFIX + "license" for p in self.findings.problems)
        if options.license is None and not mistaken and "HAB_LICENSE" not in self.container.env:
            warn(f"no licence is accepted: set {PREFIX}license: accept-no-persist, or the Supervisor exits with 1")
        if options.update_strategy in ("at-once", "rolling"):
            warn(f"{PREFIX}update-strategy {options.update_strategy} changes packages inside a running image")
        if (options.shutdown_timeout or 0) > _STOP_SECONDS:
            warn(f"{PREFIX}shutdown-timeout: at the pod's end a service gets {_STOP_SECONDS} s, whatever is said here")
        if options.discovery in ("external", "none") and self.sources.get("ring") == POD:
            warn(f"{PREFIX}ring has no effect with discovery {options.discovery}: the pod joins no managed ring")
        if options.event_stream_url is None:
            idle = [
                n for n in ("application", "environment", "site", "token_secret") if f"event_stream_{n}" in self.values
            ]
            if idle:
                warn(f"{PREFIX}event-stream-{idle[0].replace('_', '-')} has no effect without event-stream-url")


def config_variable(service: str) -> str:
    """The variable that configures a package: `HAB_` and the name, upper case, - as _ (supervisor.md §6)."""
    return "HAB_" + service.upper().replace("-", "_")


def _name(ident: str | None) -> str | None:
    """The package name of an identifier; None for an archive's path, whose package cannot be seen from here."""
    parts = (ident or "").split("/")
    return parts[1] if 2 <= len(parts) <= 4 and parts[0] and parts[1] and not parts[-1].endswith(".hart") else None

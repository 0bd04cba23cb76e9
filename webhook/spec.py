"""Annotations, policy, namespace defaults and the container's own words -> one SupervisorSpec, or all problems at once.

Precedence (design.md §5): policy force > the container's own args and env > pod > namespace default > policy default
> built-in. The container's own words stand above the annotations because a flag given twice makes the Supervisor exit
with 2 (supervisor.md §0): the user's flag is what runs, so it is what probes and labels must follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import orjson

from webhook.commandline import PEERS_FILE, CommandLine, Container
from webhook.consistency import check, config_variable
from webhook.decide import ARGS, BUILT_IN, ENV, POD, Situation
from webhook.demands import ELSEWHERE, Action, Complaint, Demand
from webhook.kinds import SERVICE
from webhook.layers import lay
from webhook.options import BY_NAME, FLAGGED, PREFIX, SECRETS, WRITTEN, Option, Options
from webhook.problems import Findings, shown
from webhook.rings import Ring

_LISTEN = (
    (BY_NAME["http-port"], "--listen-http", "HAB_LISTEN_HTTP"),
    (BY_NAME["gossip-port"], "--listen-gossip", "HAB_LISTEN_GOSSIP"),
    (BY_NAME["ctl-port"], "--listen-ctl", "HAB_LISTEN_CTL"),
)
_OWN_DISCOVERY = {"--local-gossip-mode": "none", "--peer-watch-file": "external", "--peer": "external"}
_SWALLOWED: Mapping[str, Callable[[str], bool]] = {
    "--bind": lambda value: ":" not in value,
    "--event-meta": lambda value: "=" not in value,
    "--peer": lambda value: "/" in value,
}
"""What cannot be a value of a flag that takes several, so that it is a package that the flag swallowed (§1.3)."""

_ELSEWHERE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ring-key", ("HAB_RING_KEY", "HAB_RING", "--ring-key", "--ring")),
    ("event-stream-token-secret", ("--event-stream-token",)),
    *((option.name, (env.name,)) for option, env in SECRETS),
)
"""Variables and flags of the user's own in the place of a Secret that an option names."""

_BUILDER = ("HAB_BLDR_URL", "HAB_DEPOT_URL")

_NEEDED = frozenset({"group", "org", "topology"})
_KEY_ENDS = {"--bind": ":", "--event-meta": "=", "--peer": "\0"}
_RINGS_SHOWN = 5


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

    def digest(self, *surroundings: str) -> str:
        """16 hex digits over all settings that were said, and over what surrounds the pod and is written into it."""
        values = orjson.dumps([self.service, self.options.__dict__, surroundings], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(values).hexdigest()[:16]


def resolve(
    annotations: Mapping[str, Any], situation: Situation, container: Container, findings: Findings
) -> SupervisorSpec | None:
    """The spec, or None when `findings` has got a problem."""
    return _Resolution(situation, container, findings).run(annotations)


class _Resolution:
    def __init__(self, situation: Situation, container: Container, findings: Findings) -> None:
        self.situation = situation
        self.container = container
        self.findings = findings
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.http_host = ""
        self.own: dict[str, str] = {}

    def run(self, annotations: Mapping[str, Any]) -> SupervisorSpec | None:
        rules = self.situation.rules
        for layer in rules.forced:
            self._layer(layer.source, layer.values.items())
        forced = {_named(field): (self.sources[field], value) for field, value in self.values.items()}
        own = [(k[len(PREFIX) :], v) for k, v in annotations.items() if k.startswith(PREFIX) and k not in WRITTEN]
        self._layer(POD, own)
        for layer in rules.defaults:
            self._layer(layer.source, layer.values.items())
        self._own_flags()
        self._own_addresses()
        service = self._service()
        self._discovery()
        self._ring()
        options = Options.of(self.values)
        check(options, service, self.sources, self.container, self.findings)
        if forced or rules.demands:
            self._policy(forced, self._effective(service))
        if self.findings.problems or service is None:
            return None
        return SupervisorSpec(options, self.sources, service, self.http_host, self.container.command)

    def _layer(self, source: str, entries: Iterable[tuple[str, Any]]) -> None:
        lay(source, entries, self.values, self.sources, self.findings)

    def _own_flags(self) -> None:
        """The user's flags, laid over the annotations: what runs is what they say."""
        command = self.container.command
        field = f"{self.container.field}.args"
        for text in command.problems:
            self.findings.problem(field, text, "the Supervisor would not start with these args")
        for name in command.unknown:
            self.findings.warn(
                f"{command.quote(name)} in args is no flag of the Supervisor 2.1: an image that lacks it exits with 2"
            )
        for option, flag in FLAGGED if command.flags else ():
            if flag.name not in command.flags:
                continue
            if flag.switch:
                self._overlay(option, flag.switch)
            elif flag.repeat:
                self._overlay_list(option, flag.name, command.flags[flag.name])
            else:
                self._overlay_text(option, command.value(flag.name) or "", field, flag.name)

    def _overlay_list(self, option: Option, flag: str, own: tuple[str, ...]) -> None:
        """The user's values first; the annotation's behind them where they say nothing else of the same thing."""
        swallowed = next((value for value in own if _SWALLOWED[flag](value)), None)
        if swallowed is not None:
            quoted = self.container.command.quote(swallowed)
            what = f"{flag} has the value {quoted}: it takes all words up to the next flag"
            self.findings.problem(f"{self.container.field}.args", what, f"write {flag}=…, or put the package first")
        annotated = self.values.get(option.field, ())
        more = ()
        if flag != "--peer":
            named = {value.partition(_KEY_ENDS[flag])[0] for value in own}
            more = tuple(value for value in annotated if value.partition(_KEY_ENDS[flag])[0] not in named)
        if set(annotated).difference(more, own):
            self.findings.warn(f"{flag} in args wins over the annotation {option.key}")
        self._overlay(option, own + more)

    def _overlay_text(self, option: Option, text: str, where: str, what: str) -> None:
        """One value; only what probes and labels are made of has to be known and valid here, the rest is the user's."""
        try:
            value = option.kind.parse(text)
        except ValueError:
            if option.field in _NEEDED:
                said = f"{what}: {self.container.command.quote(text)} is not {option.kind.name}"
                self.findings.problem(where, said, option.kind.allowed)
            value = text
        if self.sources.get(option.field) == POD and self.values[option.field] != value:
            self.findings.warn(f"{what} in args wins over the annotation {option.key}")
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
            host, _, port = text.rpartition(":")
            where = f"{self.container.field}.{'args' if source == ARGS else 'env'}"
            try:
                value = option.kind.parse(port)
                if field != "ctl_port" and "$(" not in host:  # the control gateway alone takes names (§1.1)
                    ip_address(host.strip("[]"))
            except ValueError:
                quoted = self.container.command.quote(text) if source == ARGS else "its value"
                what = f"{flag if source == ARGS else variable}: {quoted} is no address with a port"
                self.findings.problem(where, what, "allowed: IP:PORT, the address a number")
                continue
            if self.sources.get(field) == POD and self.values[field] != value:
                self.findings.warn(f"the container's own {variable} or {flag} wins over the annotation {option.key}")
            self._overlay(option, value, source)
            if field == "http_port" and host != "0.0.0.0":  # noqa: S104 -- compared, not bound
                self.http_host = host.strip("[]")

    def _service(self) -> str | None:
        """The package name: the Supervisor's own args say it best, then the annotations."""
        said: str | None = self.values.get("service")
        package: str | None = self.values.get("package")
        ident = self.container.command.ident
        if package and said and _name(package) != said:
            what = f"{shown(said)}, but habitat.sh/package is {shown(package)}"
            self.findings.problem(PREFIX + "service", what, "the service is the package's name: set one of them")
        if ident is not None and _name(ident) is None and not ident.endswith(".hart") and "$(" not in ident:
            what = f"{self.container.command.quote(ident)} is no package identifier"
            self.findings.problem(f"{self.container.field}.args", what, "allowed: origin/name[/version[/release]]")
        if ident is not None and package and package != ident:
            self.findings.warn(
                f"args run {self.container.command.quote(ident)}; that wins over the annotation {PREFIX}package"
            )
        if ident is not None:
            self.values["package"], self.sources["package"] = ident, ARGS
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
        if said and _name(ident) != said and not package:
            self.findings.warn(
                f"args run {self.container.command.quote(ident)}; that wins over the annotation {PREFIX}service"
            )
        try:
            return SERVICE.parse(_name(ident) or "")
        except ValueError:
            what = f"{self.container.command.quote(ident)} does not name a Habitat package"
            self.findings.problem(f"{self.container.field}.args", what, SERVICE.allowed)
            return None

    def _discovery(self) -> None:
        """What the user's own flags and a list of peers mean for discovery."""
        flags = self.container.command.flags
        source = self.sources.get("discovery", BUILT_IN)
        said = self.values.get("discovery")
        flag = next((flag for flag in _OWN_DISCOVERY if flag in flags), None)
        if flag == "--peer-watch-file" and self.container.command.value(flag) == PEERS_FILE:
            flag = None  # ours, in a copy that has lost its record
        if flag:
            mode = _OWN_DISCOVERY[flag]
            if source == POD and said != mode:
                self.findings.warn(f"{flag} in args wins over the annotation {PREFIX}discovery")
            if self.sources.get("peer") not in (None, ARGS):
                self.findings.warn(f"{flag} in args wins over the annotation {PREFIX}peer")
                del self.values["peer"], self.sources["peer"]
            self.values["discovery"], self.sources["discovery"] = mode, ARGS
        elif self.values.get("peer"):
            self._peers(source, said)
        elif said == "external":
            what = "external, but no peer is named"
            self.findings.problem(PREFIX + "discovery", what, f"set {PREFIX}peer: host[:port]")

    def _peers(self, source: str, said: str | None) -> None:
        """A list of peers implies discovery external; said of one pod together with another mode it contradicts it."""
        if said in (None, "external") or source != POD:
            self.values["discovery"], self.sources["discovery"] = "external", self.sources["peer"]
        elif self.sources["peer"] == POD:
            what = f"peers are listed, but {PREFIX}discovery is {said}"
            self.findings.problem(PREFIX + "peer", what, "peers need discovery external: set one of them")
        else:  # the container's own, which `discovery` of the pod overrules beside a peer file of ours
            del self.values["peer"], self.sources["peer"]

    def _ring(self) -> None:
        """Of another namespace's rings only a shared one may be joined. At home a ring has one name, the short one."""
        said: str = self.values.get("ring", "")
        if "." not in said:
            return
        here, shared = self.situation.namespace, self.situation.settings.shared_rings
        ring = Ring.of(said, here)
        self.values["ring"] = ring.label_in(here)
        if ring.namespace == here or (shared is not None and said in shared):
            return
        if shared is None:
            self.findings.warn(f"{PREFIX}ring: the webhook refuses {said} unless its --shared-rings lists it")
            return
        source = self.sources["ring"]
        what = f"{shown(said)} is a ring of namespace {ring.namespace} that is not shared with others"
        known = sorted(shared)[:_RINGS_SHOWN] + ["…"] * (len(shared) > _RINGS_SHOWN)
        self.findings.problem(
            PREFIX + "ring",
            what if source == POD else f"{what} (from {source})",
            f"allowed: a ring of this namespace, such as {ring.name}"
            + (f", or a shared one: {', '.join(known)}" if shared else "")
            + f"; to share it, ask the platform team to list {said} in the webhook's --shared-rings",
        )

    def _effective(self, service: str | None) -> dict[str, Any]:
        """What somebody has said of each option, by its name, the container's own variables heard too.

        Those have no place in `values`: they are the user's, stay as they are, and nothing is made of them.
        """
        said = {_named(field): value for field, value in self.values.items()}
        env, flags = self.container.env, self.container.command.flags
        if service is not None:
            said["service"] = service
            if config_variable(service) in env:
                said["config"], self.own["config"] = ELSEWHERE, ENV
        if env.get("HAB_LICENSE", "") != "":
            said["license"], self.own["license"] = _literal(env["HAB_LICENSE"]), ENV
        builder = next((name for name in _BUILDER if name in env), None)
        if builder and "builder-url" not in said:
            said["builder-url"], self.own["builder-url"] = _literal(env[builder]), ENV
        for name, theirs in _ELSEWHERE:
            own = next((own for own in theirs if own in env or own in flags), None)
            if own:
                said[name], self.own[name] = ELSEWHERE, ARGS if own in flags else ENV
        return said

    def _policy(self, forced: Mapping[str, tuple[str, Any]], said: Mapping[str, Any]) -> None:
        """Nothing of the pod's may overrule what is forced, and every demand has to be met."""
        here = self.situation.namespace
        for name, (rule, value) in forced.items():
            now = said.get(name)
            if now == value or (name == "ring" and Ring.of(value, here).label_in(here) == now):
                continue
            what = f"{name} is otherwise here, but {rule} forces {_listed(value)}"
            self.findings.problem(self._where(name), what, "remove it: nothing of the pod's overrules that", rule=rule)
            self.findings.unmet.append((rule, Action.ENFORCE.value))
        for demand in self.situation.rules.demands:
            for complaint in demand.unmet(said):
                self._complain(demand, complaint)

    def _complain(self, demand: Demand, complaint: Complaint) -> None:
        self.findings.unmet.append((demand.source, demand.action.value))
        where = self._where(complaint.option) if complaint.option else "spec"
        if demand.action is Action.ENFORCE:
            what = " ".join(filter(None, (f"{demand.source}:", complaint.value, complaint.what)))
            advice = "; ".join(filter(None, (complaint.allowed, demand.message))) or "ask who keeps the policy"
            self.findings.problem(where, what, advice, rule=demand.source)
            return
        said = "its value " if complaint.value else ""
        what = f"{demand.source}: {said}{complaint.what}"
        text = "; ".join(filter(None, (f"{where}: {what}", complaint.allowed, demand.message)))
        if demand.action is Action.WARN:
            self.findings.warn(text)
        else:
            self.findings.audit.append(text)

    def _where(self, name: str) -> str:
        """Where the pod says an option: its annotation, or the container's args or env."""
        source = self.own.get(name) or self.sources.get(BY_NAME[name].field)
        return f"{self.container.field}.{source}" if source in (ARGS, ENV) else BY_NAME[name].key


def _named(field: str) -> str:
    """The option's name: `Options` has underscores for dashes."""
    return field.replace("_", "-")


def _literal(value: str | None) -> Any:
    return ELSEWHERE if value is None else value


def _listed(value: Any) -> str:
    return shown(",".join(value) if isinstance(value, tuple) else str(value))


def _name(ident: str | None) -> str | None:
    """The package name of an identifier; None for an archive's path, whose package cannot be seen from here."""
    parts = (ident or "").split("/")
    return parts[1] if 2 <= len(parts) <= 4 and parts[0] and parts[1] and not parts[-1].endswith(".hart") else None

"""Settings that contradict each other, cannot work together, or do less than they seem to (supervisor.md §0, §1)."""

from __future__ import annotations

from collections.abc import Mapping

from webhook.commandline import NEWER_THAN_START, Container
from webhook.decide import ARGS, POD
from webhook.options import FLAGGED, PREFIX, Options
from webhook.problems import Findings

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
_PORT_PAIRS = (("gossip-port", "http-port"), ("ctl-port", "http-port"), ("ctl-port", "gossip-port"))
_ENV_BYTES = 131072
"""MAX_ARG_STRLEN of Linux: a longer variable, with its closing NUL, and no program can be started (execve(2))."""

STOP_SECONDS = 8
"""What a service gets at the pod's end, hard-coded in the launcher (supervisor.md §11)."""


def check(
    options: Options, service: str | None, sources: Mapping[str, str], container: Container, findings: Findings
) -> None:
    """Add to `findings` what speaks against these settings; service: None when it is not known."""
    _contradictions(options, findings)
    _container(options, sources, container, findings)
    if options.event_stream_url:
        _event_stream(options, container, findings)
    if options.config and service:
        _config(options.config, config_variable(service), findings)
    _cautions(options, sources, container, findings)


def config_variable(service: str) -> str:
    """The variable that configures a package: `HAB_` and the name, upper case, - as _ (supervisor.md §6)."""
    return "HAB_" + service.upper().replace("-", "_")


def _config(text: str, variable: str, findings: Findings) -> None:
    if variable in _OWN_ENV:
        what = f"{variable} is one of the Supervisor's own variables"
        findings.problem(PREFIX + "config", what, "use config-secret or config-map")
    size = len(variable) + len("=") + len(text.encode("utf-8", "surrogatepass"))
    if size >= _ENV_BYTES:
        what = f"the text makes a variable of {size} bytes, and Linux takes at most {_ENV_BYTES - 1}"
        findings.problem(PREFIX + "config", what, "use config-secret or config-map")


def _contradictions(options: Options, findings: Findings) -> None:
    """Annotations among themselves."""
    problem = findings.problem
    if options.config_secret and options.config_map:
        problem(PREFIX + "config-map", "config-secret is set too, and both are one directory", "set one of them")
    if options.data_claim and options.data_volume:
        problem(PREFIX + "data-volume", "data-claim is set too, and both are one directory", "set one of them")
    ports = {"gossip-port": options.gossip_port, "http-port": options.http_port, "ctl-port": options.ctl_port}
    for name, twin in _PORT_PAIRS:
        if ports[name] == ports[twin]:
            problem(PREFIX + name, f"{ports[name]} is {PREFIX}{twin} too", "allowed: three different ports")
    if options.ring_key == "managed" and options.discovery in ("external", "none"):
        what = f"managed, but with discovery {options.discovery} the pod is in no ring that gets a key"
        problem(PREFIX + "ring-key", what, "name a Secret, or use discovery managed or dns")
    if options.topology == "leader" and options.discovery == "none":
        what = "leader, but a Supervisor alone never elects one"
        problem(PREFIX + "topology", what, "use another discovery, or topology standalone")
    names = [bind.partition(":")[0] for bind in options.bind]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        problem(PREFIX + "bind", f"the bind {twice} is given twice, with two providers", "name each bind once")


def _container(options: Options, sources: Mapping[str, str], container: Container, findings: Findings) -> None:
    """Annotations against what the container says itself."""
    flags, env, problem = container.command.flags, container.env, findings.problem
    if "HAB_RING_KEY" in env and ("--ring" in flags or "HAB_RING" in env):
        what = "a ring (--ring or HAB_RING) and HAB_RING_KEY exclude each other"
        problem(f"{container.field}.env", what, "remove one of them: the Supervisor exits with 2")
    if options.ring_key and ("--ring" in flags or "HAB_RING" in env):
        what = "the container names a ring key itself (--ring or HAB_RING)"
        problem(PREFIX + "ring-key", what, "set one of them")
    if options.discovery == "none" and sources.get("discovery") != ARGS and "--listen-gossip" in flags:
        what = "none is --local-gossip-mode, which excludes the container's own --listen-gossip"
        problem(PREFIX + "discovery", what, "remove the flag, or set another discovery")
    if options.discovery == "none" and "HAB_LISTEN_GOSSIP" in env:
        what = "HAB_LISTEN_GOSSIP and --local-gossip-mode exclude each other"
        problem(f"{container.field}.env", what, f"remove the variable, or set {PREFIX}discovery: managed")
    for name, value in env.items():
        if value == "" and name in STRICT_ENV:
            problem(f"{container.field}.env", f"{name} is empty", "remove it: the Supervisor exits with 2")
    if container.command.word == "start":
        said = options.__dict__
        for option, flag in FLAGGED:
            if option.field in said and flag.name in NEWER_THAN_START and flag.name not in flags:
                what = f"{flag.name} is newer than the images whose args begin with start"
                problem(option.key, what, "remove the annotation, or write run in the args of a newer image")


def _event_stream(options: Options, container: Container, findings: Findings) -> None:
    """`--event-stream-url` requires application, environment and token (supervisor.md §13)."""
    flags, env = container.command.flags, container.env
    token = options.event_stream_token_secret or "--event-stream-token" in flags
    token = token or "HAB_AUTOMATE_AUTH_TOKEN" in env or container.env_from
    needed = (
        ("event-stream-application", options.event_stream_application),
        ("event-stream-environment", options.event_stream_environment),
        ("event-stream-token-secret", token),
    )
    for name, value in needed:
        if not value:
            findings.problem(PREFIX + name, "it is missing, and event-stream-url needs it", "set it")


def _cautions(options: Options, sources: Mapping[str, str], container: Container, findings: Findings) -> None:
    warn = findings.warn
    mistaken = any(p.where == PREFIX + "license" for p in findings.problems)
    unknown = mistaken or container.env_from
    if options.license is None and not unknown and container.env.get("HAB_LICENSE", "") == "":
        warn(f"no licence is accepted: set {PREFIX}license: accept-no-persist, or the Supervisor exits with 1")
    if options.update_strategy in ("at-once", "rolling"):
        warn(f"{PREFIX}update-strategy changes packages inside a running image")
    if (options.shutdown_timeout or 0) > STOP_SECONDS:
        warn(f"{PREFIX}shutdown-timeout: at the pod's end a service gets {STOP_SECONDS} s, whatever is said here")
    if options.discovery in ("external", "none") and sources.get("ring") == POD:
        warn(f"{PREFIX}ring has no effect with discovery {options.discovery}: the pod joins no managed ring")
    if options.event_stream_url is None:
        names = ("application", "environment", "site", "token_secret")
        idle = next((name for name in names if f"event_stream_{name}" in sources), None)
        if idle:
            warn(f"{PREFIX}event-stream-{idle.replace('_', '-')} has no effect without event-stream-url")

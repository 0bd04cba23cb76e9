"""The Supervisor's command line: its flag table, and a reading of the args that a user wrote.

The table is `supervisor.md §1.1–1.2`; the rules of reading are clap's, as observed (`§0 Command line`, `§1.3`): a flag
that takes several values swallows what follows, `--flag=value` does not; a single-valued flag given twice is exit 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from webhook.problems import shown


class Arity(Enum):
    """How many values follow a flag."""

    NONE = "no value"
    ONE = "one value"
    SEVERAL = "one or more values"
    ANY = "no value or more"


@dataclass(frozen=True, slots=True)
class FlagRule:
    """One flag of `hab sup run`."""

    name: str
    arity: Arity = Arity.ONE
    short: str = ""
    repeat: bool = False


_RULES = (
    FlagRule("--listen-gossip"),
    FlagRule("--peer", Arity.SEVERAL, repeat=True),
    FlagRule("--peer-watch-file"),
    FlagRule("--local-gossip-mode", Arity.NONE),
    FlagRule("--listen-http"),
    FlagRule("--http-disable", Arity.NONE, "-D"),
    FlagRule("--listen-ctl"),
    FlagRule("--ctl-server-certificate", Arity.ANY),
    FlagRule("--ctl-server-key", Arity.ANY),
    FlagRule("--ctl-client-ca-certificate", Arity.ANY),
    FlagRule("--org"),
    FlagRule("--permanent-peer", Arity.NONE, "-I"),
    FlagRule("--cache-key-path"),
    FlagRule("--ring-key"),
    FlagRule("--ring", short="-r"),
    FlagRule("--auto-update", Arity.NONE, "-A"),
    FlagRule("--auto-update-period"),
    FlagRule("--service-update-period"),
    FlagRule("--service-min-backoff-period"),
    FlagRule("--service-max-backoff-period"),
    FlagRule("--service-restart-cooldown-period"),
    FlagRule("--key"),
    FlagRule("--certs"),
    FlagRule("--ca-certs"),
    FlagRule("--verbose", Arity.NONE, "-v"),
    FlagRule("--no-color", Arity.NONE),
    FlagRule("--json-logging", Arity.NONE),
    FlagRule("--sys-ip-address"),
    FlagRule("--event-stream-application"),
    FlagRule("--event-stream-environment"),
    FlagRule("--event-stream-connect-timeout"),
    FlagRule("--event-stream-token"),
    FlagRule("--event-stream-url"),
    FlagRule("--event-stream-site"),
    FlagRule("--event-stream-server-certificate"),
    FlagRule("--event-meta", Arity.SEVERAL, repeat=True),
    FlagRule("--keep-latest-packages"),
    FlagRule("--config-files", Arity.SEVERAL),
    FlagRule("--generate-config", Arity.NONE),
    FlagRule("--channel"),
    FlagRule("--url", short="-u"),
    FlagRule("--group"),
    FlagRule("--topology", short="-t"),
    FlagRule("--strategy", short="-s"),
    FlagRule("--update-condition"),
    FlagRule("--bind", Arity.SEVERAL, repeat=True),
    FlagRule("--binding-mode"),
    FlagRule("--health-check-interval"),
    FlagRule("--shutdown-timeout"),
    FlagRule("--config-from"),
    FlagRule("--password"),
)
FLAGS: Mapping[str, FlagRule] = {r.name: r for r in _RULES} | {r.short: r for r in _RULES if r.short}

NEWER_THAN_START = frozenset(
    {
        "--binding-mode",
        "--ca-certs",
        "--event-meta",
        "--health-check-interval",
        "--http-disable",
        "--json-logging",
        "--keep-latest-packages",
        "--listen-ctl",
        "--local-gossip-mode",
        "--shutdown-timeout",
        "--sys-ip-address",
        "--update-condition",
        *(name for name in FLAGS if name.startswith("--event-stream-")),
    }
)
"""Flags that images of the word `start`, up to 0.55, do not know: there they are fatal (supervisor.md §1.5, §3)."""

PEERS_DIRECTORY = "/habitat"
PEERS_FILE = "/habitat/peers"
"""Where the injected volume holds the pod's peers."""

_ENDS = frozenset({"-h", "--help", "-V", "--version"})
_CONFLICTS = (
    ("--peer", "--peer-watch-file"),
    ("--local-gossip-mode", "--listen-gossip"),
    ("--local-gossip-mode", "--peer"),
    ("--local-gossip-mode", "--peer-watch-file"),
    ("--ring", "--ring-key"),
)
RUN_WORDS = ("run", "start")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A container's args as the Supervisor will read them.

    word: "run" or "start"; "" when the args are flags alone and the image puts its own ident first.
    ident: the package identifier among the args, None when there is none.
    flags: canonical flag name -> its values in order; () for a flag without value.
    flags_end: the index at which a further flag can be put (before a lone "--").
    problems: why the Supervisor (or the image's entrypoint) would not start; empty when it would.
    unknown: flags that the table does not have (newer than 2.1.78, or misspelt).
    hidden: value of each variable that the args refer to -> $(NAME), for messages: a value may be a password.
    """

    word: str
    ident: str | None
    flags: Mapping[str, tuple[str, ...]]
    flags_end: int
    problems: tuple[str, ...]
    unknown: tuple[str, ...]
    hidden: Mapping[str, str]

    def quote(self, text: str) -> str:
        """A piece of the args as a message may show it: with the names of the variables in it, never their values."""
        return shown(_hide(text, self.hidden))

    def value(self, flag: str) -> str | None:
        """The value of a single-valued flag, None when the flag is not there."""
        values = self.flags.get(flag)
        return values[-1] if values else None


EMPTY = CommandLine("", None, {}, 0, (), (), {})


@dataclass(frozen=True, slots=True)
class Container:
    """What the user's target container says itself.

    field: its path for messages, "spec.containers[redis]". command: its args, read. env: literal values by name, None
    for a value that comes from elsewhere. env_from: whether there may be more variables, which nobody knows here.
    """

    field: str
    command: CommandLine
    env: Mapping[str, str | None]
    env_from: bool = False


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` as the kubelet expands it: known names replaced, unknown ones left, `$$` an escaped `$`."""
    if "$" not in text:
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "$" and at + 1 < len(text):
            if text[at + 1] == "$":
                out.append("$")
                at += 2
                continue
            close = text.find(")", at + 2) if text[at + 1] == "(" else -1
            if close > 0:
                name = text[at + 2 : close]
                out.append(env.get(name, text[at : close + 1]))
                at = close + 1
                continue
        out.append(text[at])
        at += 1
    return "".join(out)


def escape(text: str) -> str:
    """The text that `expand` turns into `text`, whatever names are known."""
    return text.replace("$", "$$")


def parse(
    args: Sequence[str], env: Mapping[str, str] | None = None, *, custom: bool = False, word: str = ""
) -> CommandLine:
    """Read a container's args.

    args: as in the pod. env: the container's literal variables, for $(NAME). custom: the container has its own command
    and passes its args on: words before `run` or `start` are its own affair, and an ident counts only behind one of
    them. word: "run" or "start" when that command ends in it.
    """
    if not args:
        return CommandLine(word, None, {}, 0, (), (), {}) if word else EMPTY
    env = env or {}
    hidden = {env[n]: f"$({n})" for a in args if "$(" in a for n in env if f"$({n})" in a and env[n]}
    return _Reader([expand(a, env) for a in args], hidden, custom=custom, word=word).read()


def _hide(text: str, hidden: Mapping[str, str]) -> str:
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, hidden[value])
    return text


class _Reader:
    def __init__(self, args: list[str], hidden: Mapping[str, str], *, custom: bool, word: str) -> None:
        self.args = args
        self.hidden = hidden
        self.given_word = word
        self.custom = custom
        self.flags: dict[str, tuple[str, ...]] = {}
        self.problems: list[str] = []
        self.unknown: list[str] = []
        self.positionals: list[str] = []
        self.at = 0

    def read(self) -> CommandLine:
        word = self._word()
        end = len(self.args)
        while self.at < len(self.args):
            arg = self.args[self.at]
            self.at += 1
            if arg == "--":
                end = self.at - 1
                self.positionals += self.args[self.at :]
                break
            if arg.startswith("--"):
                self._long(arg)
            elif arg.startswith("-") and arg != "-":
                self._short(arg)
            else:
                self.positionals.append(arg)
        self._judge(word)
        ident = self.positionals[0] if self.positionals and word else None
        problems = tuple(_hide(problem, self.hidden) for problem in self.problems)
        return CommandLine(word, ident, self.flags, end, problems, tuple(self.unknown), self.hidden)

    def _word(self) -> str:
        """The first word decides in the image's entrypoint (supervisor.md §3); a custom one may have words before."""
        if self.given_word:
            return self.given_word
        if self.custom:
            for index, arg in enumerate(self.args):
                if arg in RUN_WORDS:
                    self.at = index + 1
                    return arg
                if arg.startswith("-") and arg != "--":
                    break
            return ""
        first = self.args[0]
        if first in RUN_WORDS:
            self.at = 1
            return first
        if not first.startswith("-"):
            self.problems.append(f'"{first}" is not run, start or a flag, so the image would run `hab sup {first}`')
            self.at = 1
        return ""

    def _long(self, arg: str) -> None:
        name, equals, value = arg.partition("=")
        rule = FLAGS.get(name)
        if name in _ENDS:
            self.problems.append(f"{name} prints a text and ends")
        elif rule is None:
            self.unknown.append(name)
            if not equals and self._next_is_value():
                self.at += 1
        else:
            self._use(rule, value if equals else None)

    def _short(self, arg: str) -> None:
        """One letter, or a bundle of them: `-v`, `-vI`, `-tleader`, `-t=leader`, `-t leader`."""
        if arg in _ENDS:
            self.problems.append(f"{arg} prints a text and ends")
            return
        for index, letter in enumerate(arg[1:], start=1):
            rule = FLAGS.get("-" + letter)
            if rule is None:
                self.unknown.append("-" + letter)
                return
            if rule.arity is not Arity.NONE:
                rest = arg[index + 1 :]
                self._use(rule, rest.removeprefix("=") if rest else None)
                return
            self._use(rule, None)

    def _use(self, rule: FlagRule, attached: str | None) -> None:
        values: list[str] = []
        if rule.arity is Arity.NONE:
            if attached is not None:
                self.problems.append(f"{rule.name} takes no value")
        elif attached is not None:
            values.append(attached)
        else:
            several = rule.arity is not Arity.ONE
            while self._next_is_value() and (several or not values):
                values.append(self.args[self.at])
                self.at += 1
            if not values and rule.arity is not Arity.ANY:
                self.problems.append(f"{rule.name} lacks its value")
        if rule.name in self.flags and not rule.repeat:
            self.problems.append(f"{rule.name} is given twice")
        if rule.repeat:  # --peer, --bind and --event-meta also take a list delimited by spaces (supervisor.md §10)
            values = [part for value in values for part in value.split(" ") if part]
        self.flags[rule.name] = self.flags.get(rule.name, ()) + tuple(values)

    def _next_is_value(self) -> bool:
        return self.at < len(self.args) and (not self.args[self.at].startswith("-") or self.args[self.at] == "-")

    def _judge(self, word: str) -> None:
        own_ident = 1 if word or self.custom else 0
        if len(self.positionals) > own_ident and not self.custom:
            extra = self.positionals[own_ident]
            self.problems.append(f'"{extra}" is an argument too many')
        for one, other in _CONFLICTS:
            if one in self.flags and other in self.flags:
                self.problems.append(f"{one} and {other} exclude each other")

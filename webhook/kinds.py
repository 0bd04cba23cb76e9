"""The kinds of value that an annotation can hold: each parses text, says what is allowed, and has a JSON schema.

A kind is stricter than the Supervisor where the Supervisor would fail later and less clearly (`supervisor.md §10`):
a value is refused at admission, never by an exit code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from webhook.problems import shown

T = TypeVar("T")
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How one sort of value is read.

    parse: text -> value; raises ValueError whose text says what is wrong with it.
    allowed: what is allowed, as the second half of an error message.
    schema: JSON Schema (2020-12) of the annotation's text.
    """

    name: str
    parse: Callable[[str], T]
    allowed: str
    schema: Schema


def _text(
    pattern: str, name: str, allowed: str, *, limit: int | None = None, never: frozenset[str] = frozenset()
) -> Kind[str]:
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text) or (limit and len(text) > limit) or text in never:
            raise ValueError(f"{shown(text)} is not {name}")
        return text

    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{pattern})$"}
    if limit:
        schema["maxLength"] = limit
    if never:
        schema["not"] = {"enum": sorted(never)}
    return Kind(name, parse, allowed, schema)


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
"""A Supervisor name (`[A-Za-z0-9_-]+`, supervisor.md §10) that is a Kubernetes label value too."""

SERVICE = _text(
    _LABEL,
    "a Habitat package name",
    "allowed: letters, digits, - and _, beginning and ending with a letter or digit, at most 63",
    limit=63,
)
GROUP = _text(
    _LABEL,
    "a service group name",
    "allowed: letters, digits, - and _, beginning and ending with a letter or digit, at most 63, not config or health",
    limit=63,
    never=frozenset({"config", "health"}),  # ambiguous in the gateway's routes (supervisor.md §5)
)
IDENT = _text(
    r"[a-z0-9][a-z0-9_-]*/" + _LABEL + r"(?:/[A-Za-z0-9][A-Za-z0-9._+~-]*(?:/[0-9]{14})?)?",
    "a package identifier",
    "allowed: origin/name, origin/name/version or origin/name/version/release, the release 14 digits",
    limit=255,
)
CHANNEL = _text(
    r"[A-Za-z0-9_.][A-Za-z0-9_.-]*",
    "a channel name",
    "allowed: letters, digits, _, . and -, not beginning with -",
    limit=255,
)
URL = _text(
    r"https?://[^\s$/?#]+[^\s$]*", "a URL", "allowed: http:// or https:// and a host, no spaces, no $", limit=2048
)
EVENT_URL = _text(
    r"(?:[a-z][a-z0-9+.-]*://)?[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[^\s$]*)?",
    "an address of an event stream",
    "allowed: host[:port], with a scheme such as nats:// or without",
    limit=2048,
)
WORD = _text(
    r"[A-Za-z0-9][!-#%-~]*",
    "one word",
    "allowed: ASCII without white space and $, beginning with a letter or digit",
    limit=255,
)
RING = _text(
    r"[a-z0-9](?:[-a-z0-9]{0,48}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)?",
    "a ring's name",
    "allowed: lower-case letters, digits and -, beginning and ending with a letter or digit, at most 50"
    " (its Service is named habitat-ring-<ring>); or name.namespace for a shared ring of another namespace, at most 63"
    " together (it becomes a label)",
    limit=63,
)
CONTAINER = _text(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    "a container name",
    "allowed: the name of a container of this pod",
    limit=63,
)
VOLUME = _text(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    "a volume name",
    "allowed: the name of a volume of this pod, or of a volumeClaimTemplate",
    limit=63,
)
OBJECT = _text(
    r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?",
    "an object name",
    "allowed: lower-case letters, digits, - and ., beginning and ending with a letter or digit, at most 253",
    limit=253,
)
_PORT_NUMBER = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=[^:]{{1,253}}(?::|$)){_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?"
PEER = _text(
    _HOST + "(?::" + _PORT_NUMBER + ")?",
    "a peer",
    "allowed: an IPv4 address or a host name, with :port or without (the Supervisor knows no IPv6 peer)",
)
BIND = _text(
    r"[A-Za-z0-9_-]+:[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:@[A-Za-z0-9_-]+)?",
    "a bind",
    "allowed: name:service.group or name:service.group@org",
)
META = _text(r"[A-Za-z0-9][^\s=,$]*=[^\s=,$]+", "a key=value pair", "allowed: key=value, one =, no spaces, no $")


def choice(*values: str) -> Kind[str]:
    """One of a few words, case as written."""
    words = frozenset(values)
    allowed = "allowed: " + ", ".join(values)

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{shown(text)} is not known")
        return text

    return Kind(" or ".join(values), parse, allowed, {"type": "string", "enum": list(values)})


def number(low: int, high: int, unit: str) -> Kind[int]:
    """A whole number between two bounds, without sign or leading zero."""
    compiled = re.compile(r"[1-9][0-9]{0,9}")

    def parse(text: str) -> int:
        if not compiled.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"{shown(text)} is not a {unit}")
        return int(text)

    return Kind(
        unit, parse, f"allowed: a whole number from {low} to {high}", {"type": "string", "pattern": "^[1-9][0-9]{0,9}$"}
    )


PORT = number(1, 65535, "port number")
SECONDS = number(1, 4294967295, "number of seconds")


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{shown(text)} is neither true nor false")
    return text == "true"


BOOLEAN = Kind("true or false", _boolean, 'allowed: "true" or "false"', {"type": "string", "enum": ["true", "false"]})

_SHOWN_ITEMS = 3


def list_of(item: Kind[str]) -> Kind[tuple[str, ...]]:
    """Values separated by commas or white space; every bad one is counted, the first three are shown."""

    def parse(text: str) -> tuple[str, ...]:
        values: dict[str, None] = {}
        bad = []
        for word in text.replace(",", " ").split():
            try:
                values[item.parse(word)] = None
            except ValueError as error:
                bad.append(str(error))
        if bad:
            more = f", and {len(bad) - _SHOWN_ITEMS} more" if len(bad) > _SHOWN_ITEMS else ""
            raise ValueError(", ".join(bad[:_SHOWN_ITEMS]) + more)
        if not values:
            raise ValueError("the list is empty")
        return tuple(values)

    allowed = item.allowed + "; several with commas between"
    return Kind(f"list: {item.name}, …", parse, allowed, {"type": "string", "minLength": 1})


PROBE_NAMES = ("readiness", "startup", "liveness")


def _probes(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if words == ("none",):
        return ()
    wrong = [w for w in words if w not in PROBE_NAMES]
    if not words or wrong:
        raise ValueError(f"{shown(wrong[0] if wrong else text)} is not a probe")
    return words


PROBES = Kind(
    "list of probes",
    _probes,
    "allowed: readiness, startup, liveness with commas between, or none alone",
    {"type": "string", "pattern": r"^\s*(?:none|(?:(?:readiness|startup|liveness)[,\s]*)+)\s*$"},
)


def _config(text: str) -> str:
    """TOML first, then a JSON object, as the Supervisor reads HAB_<PKG> (supervisor.md §6)."""
    if not text.strip():
        raise ValueError("the text is empty")
    if "\0" in text:
        raise ValueError("the text has a NUL character")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if not _json_object(text):
            end = f"(at line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))})"
            raise ValueError(f"the TOML is wrong: {str(error).replace('(at end of document)', end)}") from None
    except RecursionError:
        raise ValueError("the TOML is nested too deeply") from None
    return text


def _json_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


CONFIG = Kind(
    "TOML",
    _config,
    "allowed: TOML as in the package's default.toml (or a JSON object)",
    {"type": "string", "minLength": 1},
)


def _ring_key(text: str) -> str:
    try:
        return OBJECT.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor the word managed") from None


RING_KEY = Kind(
    "managed or a Secret's name",
    _ring_key,
    "allowed: managed, or the name of a Secret with the key ring-key",
    OBJECT.schema,
)

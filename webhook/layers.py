"""One layer of values under those of stronger ones: what it adds, what of it is overruled, what of it nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webhook.decide import POD
from webhook.options import BY_NAME, DEFAULT_PREFIX, PREFIX, REGISTRY
from webhook.problems import Findings, nearest, shown

_INSTEAD = {
    "config-secret": "config-map",
    "config-map": "config-secret",
    "data-claim": "data-volume",
    "data-volume": "data-claim",
    "discovery": "peer",
    "peer": "discovery",
}
"""Option -> the one that takes its place: of two layers, the stronger one's is meant."""

_OF_NAMESPACES = tuple(option.name for option in REGISTRY if "namespace" in option.scope)
_UNKNOWN_SHOWN = 5


def lay(
    source: str,
    entries: Iterable[tuple[str, Any]],
    values: dict[str, Any],
    sources: dict[str, str],
    findings: Findings,
) -> None:
    """Add a layer's values, the strongest layer first; entries: option name and text.

    values, sources: by field name, added to. A pod's author hears which annotation is overruled; who wrote a default
    has meant it for those that say nothing.
    """
    stronger, unknown = dict(sources), []
    for name, text in entries:
        option = BY_NAME.get(name)
        if option is None:
            unknown.append(name)
            continue
        winner = stronger.get(option.field) or _instead(name, values, stronger)
        value, mistake = None, ""
        try:
            value = option.kind.parse(text if isinstance(text, str) else "")
        except ValueError as error:
            mistake = str(error)
        if winner is not None:
            if source == POD and value != values.get(option.field):
                findings.warn(f"{option.key} has no effect: {winner} says otherwise")
        elif mistake:
            what = mistake if source == POD else f"{mistake} (from {source})"
            findings.problem(option.key, what, option.kind.allowed)
        else:
            values[option.field], sources[option.field] = value, source
    _warn(source, unknown, findings)


def _instead(name: str, values: Mapping[str, Any], stronger: Mapping[str, str]) -> str | None:
    """Who, in a stronger layer, has said what takes an option's place."""
    other = BY_NAME.get(_INSTEAD.get(name, ""))
    if other is None or (name == "peer" and values.get("discovery") == "external"):
        return None
    return stronger.get(other.field)


def _warn(source: str, unknown: list[str], findings: Findings) -> None:
    prefix, known, where = PREFIX, tuple(BY_NAME), ""
    if source != POD:
        prefix, known, where = DEFAULT_PREFIX, _OF_NAMESPACES, f" of {source}"
    for name in unknown[:_UNKNOWN_SHOWN]:
        near = nearest(name, known)
        hint = f"; did you mean {prefix if source == POD else ''}{near}?" if near else ""
        findings.warn(f"{prefix}{shown(name)[1:-1][:50]}{where} is unknown and has no effect{hint}")
    if len(unknown) > _UNKNOWN_SHOWN:
        findings.warn(f"{len(unknown) - _UNKNOWN_SHOWN} more unknown {prefix} annotations{where} have no effect")

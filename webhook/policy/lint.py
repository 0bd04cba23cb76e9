"""Rules that do less than they seem to: each is allowed, and hardly meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from webhook.decide import EXCLUDED_NAMESPACES, INJECTION_LABEL
from webhook.globs import Globs
from webhook.options import BY_NAME
from webhook.policy.document import Document, Match, Rule
from webhook.policy.shapes import Issue
from webhook.selectors import Requirement, Selector

_COMPARED = 50
"""Earlier rules on one option that a rule is compared with: with all of them, 10,000 rules would take minutes."""

OPT_IN = (
    "inject: true reaches only pods that the API server sends: have the webhook configuration send unannotated ones, "
    "too (policy.optIn of the chart)"
)


def warnings(document: Document) -> Iterator[Issue]:
    """What to tell who wrote it, in the order of the rules."""
    said_before: dict[tuple[str, str], list[Rule]] = {}
    for rule in document.rules:
        for text in (*_never_matches(rule.match), *_says_nothing(rule), *_shadowed(rule, said_before)):
            yield Issue(rule.line, rule.column, f"{rule.source}: {text}")
        if rule.enforced:
            for kind, name in _said(rule):
                earlier = said_before.setdefault((kind, name), [])
                if len(earlier) < _COMPARED:
                    earlier.append(rule)


def _never_matches(match: Match) -> Iterator[str]:
    if match.namespaces is not None:
        yield from _namespaces(match.namespaces)
    for key, selector in (("namespaceSelector", match.namespace_selector), ("podSelector", match.pod_selector)):
        why = contradiction(selector) if selector else None
        if why:
            yield f"it can never match: {key} wants {why}"
    if match.namespace_selector and not match.namespace_selector.matches({INJECTION_LABEL: "enabled"}):
        injection = Selector(tuple(r for r in match.namespace_selector.requirements if r.key == INJECTION_LABEL))
        if not any(injection.matches(labels) for labels in ({INJECTION_LABEL: "enabled"}, {})):
            yield f"it can never match: pods of a namespace with such a label {INJECTION_LABEL} are never injected"
    if match.images is not None:
        yield from _hidden("images", match.images)


def _namespaces(globs: Globs) -> Iterator[str]:
    literals = [glob.literal for glob in globs.wanted if glob.literal is not None]
    excluded = [name for name in literals if name in EXCLUDED_NAMESPACES]
    if globs.wanted and len(excluded) == len(globs.wanted):
        yield f"it can never match: pods of {', '.join(excluded)} are never injected"
    elif excluded:
        yield f"namespaces: {', '.join(excluded)} has no effect: pods there are never injected"
    yield from _hidden("namespaces", globs)


def _hidden(key: str, globs: Globs) -> Iterator[str]:
    """Wanted patterns of which an unwanted one leaves nothing."""
    hidden = [g for g in globs.wanted if any(u == g or u.matches(str(g).replace("*", "\0")) for u in globs.unwanted)]
    if hidden:
        never = "it can never match: " if len(hidden) == len(globs.wanted) else ""
        yield f"{never}{key}: {', '.join(map(str, hidden))} is taken out again by an entry with !"


def contradiction(selector: Selector) -> str | None:
    """Why no labels at all can fulfil it; None when some can."""
    by_key: dict[str, list[Requirement]] = {}
    for requirement in selector.requirements:
        by_key.setdefault(requirement.key, []).append(requirement)
    for key, requirements in by_key.items():
        listed = [value for r in requirements for value in r.values]
        # A value that nobody names stands for all that are not listed.
        candidates: list[dict[str, str]] = [{}, {key: "\0"}, *({key: value} for value in listed)]
        if not any(all(r.holds(labels) for r in requirements) for labels in candidates):
            return " and ".join(map(str, requirements))
    return None


def _says_nothing(rule: Rule) -> Iterator[str]:
    gives = bool(rule.force or rule.defaults)
    demands = bool(rule.require or rule.allow or rule.deny or rule.refuse)
    if not gives and not demands and rule.inject is None:
        yield "it says nothing: write defaults, force, require, allow, deny, refuse or inject"
    if rule.inject is False and rule.enforced and (gives or demands):
        yield "inject: never leaves its pods alone, so nothing else of it has an effect"
    if rule.inject:
        yield OPT_IN
    for name in rule.defaults:
        if name in rule.force:
            yield f"defaults.{name} has no effect: the rule forces it"
    for name in rule.require:
        if name in rule.force or name in rule.defaults:
            yield f"require: {name} is always said, by the rule itself"
    for key, values in (("force", rule.force), ("defaults", rule.defaults)):
        for name, text in values.items():
            parsed = BY_NAME[name].kind.parse(text)
            each = parsed if isinstance(parsed, tuple) else (parsed,)
            if any(
                (name in rule.allow and not rule.allow[name].has(v)) or (name in rule.deny and rule.deny[name].has(v))
                for v in each
            ):
                yield f"{key}.{name}: {text} is not allowed by the rule itself"


def _said(rule: Rule) -> Iterator[tuple[str, str]]:
    yield from (("force", name) for name in rule.force)
    yield from (("defaults", name) for name in rule.defaults)
    if rule.inject is not None:
        yield "inject", ""


def _shadowed(rule: Rule, before: dict[tuple[str, str], list[Rule]]) -> Iterator[str]:
    """Values that an earlier rule about the same pods has said: the first one wins."""
    if not rule.enforced:
        return
    for kind, name in _said(rule):
        winner = next((other for other in before.get((kind, name), ()) if _covers(other.match, rule.match)), None)
        if winner:
            what = f"{kind}.{name}" if name else kind
            yield f"{what} has no effect: rule {winner.name} says it first, for all of its pods"


def _covers(general: Match, special: Match) -> bool:
    """Whether what `special` matches is surely matched by `general`: each criterion is absent, or the same, or names
    that its patterns match.
    """
    same: tuple[Callable[[Match], object], ...] = (
        lambda m: m.namespace_selector,
        lambda m: m.pod_selector,
        lambda m: m.images,
    )
    if any(of(general) is not None and of(general) != of(special) for of in same):
        return False
    wide, narrow = general.namespaces, special.namespaces
    if wide is None or wide == narrow:
        return True
    if narrow is None or not narrow.wanted:
        return False
    return all(glob.literal is not None and wide.matches(glob.literal) for glob in narrow.wanted)

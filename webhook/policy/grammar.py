"""Every key of a policy's file, declared once: the reader, the JSON Schema and the reference are derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook import kinds
from webhook.demands import Action
from webhook.globs import Globs
from webhook.policy.document import API_VERSION, KIND, Document, Match, Rule
from webhook.policy.shapes import Key, Many, Map, Object, Place, Report, Shape, Text, Word, text
from webhook.policy.values import NAME, OptionSet, OptionValue, by_option
from webhook.problems import shown
from webhook.rings import shared_rings
from webhook.selectors import OPERATORS, Requirement, Selector

MOST_RULES = 10_000

_MESSAGE_LIMIT = 200

_NAMESPACES = text(
    "a pattern of namespaces",
    r"!?[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?",
    "allowed: a namespace's name in which * stands for any characters; ! in front, in quotes, for all but these",
    limit=64,
)
_IMAGES = text(
    "a pattern of images",
    r"!?[^\s!]+",
    "allowed: an image as the container has it, in which * stands for any characters; ! in front for all but these",
    limit=512,
)
_SENTENCE = text(
    "a sentence",
    r"[^\x00-\x1f\x7f]+",
    f"allowed: one line of at most {_MESSAGE_LIMIT} characters",
    limit=_MESSAGE_LIMIT,
)
_LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = text(
    "a label's key",
    rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}",
    "allowed: as in Kubernetes, prefix/name or name, the name at most 63 characters",
)
_LABEL_VALUE = Text(
    "a label's value",
    "allowed: as in Kubernetes, at most 63 letters, digits, - _ and .",
    text("a label's value", rf"(?:{_LABEL_NAME})?", "").check,
    {"type": "string", "pattern": f"^(?:{_LABEL_NAME})?$"},
)


def _requirement(values: Mapping[str, Any], place: Place, report: Report) -> Requirement:
    operator, listed = values.get("operator"), values.get("values")
    if operator in ("In", "NotIn") and listed is None and "values" not in place.values:
        report.wrong(place.node, f"{operator} needs values", "write values: [a, b]")
    if operator in ("Exists", "DoesNotExist") and "values" in place.values:
        report.wrong(place.of("values"), f"{operator} takes no values", "leave them out")
    return Requirement(values.get("key") or "", operator or "Exists", tuple(listed or ()))


_EXPRESSION = Object(
    "requirement",
    {
        "key": Key(_LABEL_KEY, "The label.", required=True, example="tier"),
        "operator": Key(Word(OPERATORS), "How the label is compared.", required=True, example="In"),
        "values": Key(Many(_LABEL_VALUE), "For In and NotIn."),
    },
    _requirement,
)


def _label(name: str) -> Shape:
    try:
        _LABEL_KEY.check(name)
    except ValueError as error:
        raise ValueError(str(error), _LABEL_KEY.allowed) from None
    return _LABEL_VALUE


def _selector(values: Mapping[str, Any], place: Place, report: Report) -> Selector:
    if not place.values:
        report.wrong(place.node, "the selector is empty", "write matchLabels or matchExpressions, or leave it out")
    equal = tuple(Requirement(key, "In", (value or "",)) for key, value in (values.get("matchLabels") or {}).items())
    return Selector(equal + tuple(r for r in values.get("matchExpressions") or () if r is not None))


_SELECTOR = Object(
    "label selector",
    {
        "matchLabels": Key(
            Map(
                "a map of labels",
                _label,
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
            ),
            "Labels with the value that each has to have.",
            example="{tier: production}",
        ),
        "matchExpressions": Key(
            Many(_EXPRESSION),
            "Requirements: In, NotIn, Exists, DoesNotExist. NotIn also holds where there is no such label.",
            example="[{key: tier, operator: NotIn, values: [sandbox]}]",
        ),
    },
    _selector,
)


def _match(values: Mapping[str, Any], _place: Place, _report: Report) -> Match:
    def globs(key: str) -> Globs | None:
        listed = values.get(key)
        return None if listed is None else Globs.of(entry for entry in listed if entry)

    return Match(globs("namespaces"), values.get("namespaceSelector"), values.get("podSelector"), globs("images"))


MATCH = Object(
    "match",
    {
        "namespaces": Key(
            Many(_NAMESPACES),
            "Names of namespaces, * for any characters, ! in front for all but these.",
            'prod-*, "!prod-lab"',
        ),
        "namespaceSelector": Key(_SELECTOR, "Labels of the namespace.", "matchLabels: {tier: production}"),
        "podSelector": Key(_SELECTOR, "Labels of the pod, as it is created.", "matchLabels: {app: redis}"),
        "images": Key(
            Many(_IMAGES),
            "Images: at least one container (no init container) has one that matches.",
            "registry.example.com/*",
        ),
    },
    _match,
)

_INJECT = {True: True, "never": False}


def _rule(values: Mapping[str, Any], place: Place, _report: Report) -> Rule:
    def said(key: str) -> dict[str, Any]:
        return {name: value for name, value in (values.get(key) or {}).items() if value is not None}

    node = place.of("name")
    return Rule(
        name=values.get("name") or "",
        match=values.get("match") or Match(),
        action=Action(values.get("action") or "enforce"),
        inject=_INJECT.get(values.get("inject") or ""),
        defaults=said("defaults"),
        force=said("force"),
        require=tuple(filter(None, values.get("require") or ())),
        allow=said("allow"),
        deny=said("deny"),
        refuse=values.get("refuse") or "",
        message=values.get("message") or "",
        line=node.line + 1,
        column=node.column + 1,
    )


RULE = Object(
    "rule",
    {
        "name": Key(
            text(
                "a rule's name",
                r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?",
                "allowed: letters, digits, - _ and ., at most 63",
                limit=63,
            ),
            "What messages, metrics and the audit log call it; each name once.",
            "production",
            required=True,
        ),
        "description": Key(_SENTENCE, "For whoever reads the file.", "What production needs."),
        "match": Key(MATCH, "Which pods it is about: all that is given has to hold. Without it, every pod."),
        "action": Key(
            Word(tuple(action.value for action in Action)),
            "enforce, the default: it holds. warn: it changes and refuses nothing, and warns of what it would. "
            "audit: the same, in the audit log and metrics alone.",
            "warn",
        ),
        "inject": Key(
            Word((True, "never")),
            "true: pods without habitat.sh/service or /package are injected, too. never: no pod is.",
            "true",
        ),
        "defaults": Key(
            by_option("a map of options", OptionValue),
            "Values for options that neither the pod nor its namespace says.",
            "{channel: stable}",
        ),
        "force": Key(
            by_option("a map of options", OptionValue),
            "Values that hold whatever the pod says. A container's flag or variable that says otherwise is refused.",
            "{ring-key: managed}",
        ),
        "require": Key(Many(NAME), "Options that somebody has to say.", "[license, group]"),
        "allow": Key(
            by_option("a map of options", OptionSet),
            "The only values of options: a list of values, * for any characters, or {min, max} for numbers.",
            "{channel: [stable, 'team-*'], shutdown-timeout: {max: 8}}",
        ),
        "deny": Key(
            by_option("a map of options", OptionSet),
            "Values that options must not have; written as in allow.",
            "{update-strategy: [at-once, rolling]}",
        ),
        "refuse": Key(
            _SENTENCE,
            "Every pod that matches and would be injected is refused, with this sentence.",
            "Images come from registry.example.com.",
        ),
        "message": Key(
            _SENTENCE, "Added to what the rule refuses or warns of: what to do, whom to ask.", "Ask the platform team."
        ),
    },
    _rule,
)


def _shared(value: str) -> None:
    shared_rings(value)
    if "," in value or " " in value:
        raise ValueError(f"{shown(value)} is more than one ring")


def _document(values: Mapping[str, Any], place: Place, report: Report) -> Document:
    rules = tuple(rule for rule in values.get("rules") or () if rule is not None)
    first: dict[str, Rule] = {}
    nodes = place.of("rules").items
    for rule, node in zip(rules, nodes, strict=False):
        if rule.name and rule.name in first:
            before = first[rule.name]
            report.wrong(
                node, f"the rule {shown(rule.name)} is there already, on line {before.line}", "rename one of the two"
            )
        first.setdefault(rule.name, rule)
    return Document(
        rules,
        frozenset(filter(None, values.get("sidecars") or ())),
        frozenset(filter(None, values.get("sharedRings") or ())),
    )


DOCUMENT = Object(
    "policy",
    {
        "apiVersion": Key(Word((API_VERSION,)), "The version of this format.", API_VERSION, required=True),
        "kind": Key(Word((KIND,)), "What the file is.", KIND, required=True),
        "sidecars": Key(
            Many(Text("a container's name", kinds.CONTAINER.allowed, kinds.CONTAINER.parse, kinds.CONTAINER.schema)),
            "Names of containers that never run the Supervisor, besides the well-known ones.",
            "[log-shipper]",
        ),
        "sharedRings": Key(
            Many(
                Text(
                    "a ring", "allowed: name.namespace", _shared, {"type": "string", "pattern": r"^[^.\s,]+\.[^.\s,]+$"}
                )
            ),
            "Rings that pods of other namespaces may join, besides those of --shared-rings. The controller has to know "
            "them, too: rings.shared of the chart.",
            "[shared.infra]",
        ),
        "rules": Key(
            Many(RULE, MOST_RULES, empty=True), "The rules, in the order that decides between them.", required=True
        ),
    },
    _document,
)

"""Which rules can be about a pod, without asking each: by how names and images begin, and by labels.

Every rule stands under the tokens of one of its criteria, and a pod has the tokens of its own names and labels: a rule
that shares none with a pod is not about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.decide import mapping, sequence
from webhook.globs import Globs
from webhook.policy.document import Match, Rule
from webhook.selectors import Selector

NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on every namespace, so it is known where the others are not."""

Token = tuple[str, ...]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a pod and its namespace any rule looks at: equal for pods that no rule can tell apart.

    namespace_labels: None when they are not known.
    """

    namespace: str
    namespace_labels: Labels | None
    pod_labels: Labels
    images: tuple[str, ...]

    def meets(self, rule: Rule) -> bool | None:
        """Whether a rule is about it; None when nobody can tell, for want of the namespace's labels."""
        match = rule.match
        if match.namespaces is not None and not match.namespaces.matches(self.namespace):
            return False
        if match.pod_selector is not None and not match.pod_selector.matches(dict(self.pod_labels)):
            return False
        if match.images is not None and not any(map(match.images.matches, self.images)):
            return False
        if match.namespace_selector is None:
            return True
        return self._namespace_meets(match.namespace_selector)

    def _namespace_meets(self, selector: Selector) -> bool | None:
        if self.namespace_labels is not None:
            return selector.matches(dict(self.namespace_labels))
        by_name = Selector(tuple(r for r in selector.requirements if r.key == NAME_LABEL))
        if not by_name.matches({NAME_LABEL: self.namespace}):
            return False
        return None if len(by_name.requirements) < len(selector.requirements) else True

    def because(self, rule: Rule) -> str:
        """Why a rule is not about it, in words; "" when it is."""
        holds, match = self.meets(rule), rule.match
        if holds is None:
            return "the namespace's labels are not known here"
        if holds:
            return ""
        if match.namespaces is not None and not match.namespaces.matches(self.namespace):
            return f"namespaces: {match.namespaces} does not match {self.namespace}"
        if match.pod_selector is not None and (unmet := match.pod_selector.unmet(dict(self.pod_labels))):
            return f"podSelector: the pod does not have {unmet}"
        if match.images is not None and not any(map(match.images.matches, self.images)):
            return f"images: {match.images} matches none of {', '.join(self.images) or 'no images'}"
        known = {NAME_LABEL: self.namespace} | dict(self.namespace_labels or ())
        unmet = match.namespace_selector.unmet(known) if match.namespace_selector else None
        return f"namespaceSelector: the namespace does not have {unmet}"

    def tokens(self, lengths: Mapping[str, Iterable[int]]) -> Iterator[Token]:
        """All that a rule about it can stand under, but for labels that are not known.

        lengths: of the beginnings that any rule names, of namespaces and images: an image may have megabytes.
        """
        yield from (("namespace", self.namespace[:end]) for end in lengths["namespace"])
        yield from (("pod", key, value) for key, value in self.pod_labels)
        yield from (("label", key, value) for key, value in self.namespace_labels or ())
        for image in self.images:
            yield from (("image", image[:end]) for end in lengths["image"])

    @property
    def size(self) -> int:
        """Characters of all that it holds."""
        labels = (*self.pod_labels, *(self.namespace_labels or ()))
        return len(self.namespace) + sum(len(k) + len(v) for k, v in labels) + sum(map(len, self.images))


class Index:
    """The rules of a policy by their tokens, and which labels any of them looks at."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._by_token: dict[Token, list[tuple[int, Rule]]] = {}
        self._by_label: list[tuple[int, Rule]] = []
        self._others: list[tuple[int, Rule]] = []
        for numbered in enumerate(rules):
            tokens = _tokens(numbered[1].match)
            if tokens is None:
                self._others.append(numbered)
                continue
            for token in tokens:
                self._by_token.setdefault(token, []).append(numbered)
            if any(token[0] == "label" for token in tokens):
                self._by_label.append(numbered)
        self._lengths = {
            kind: tuple({len(token[1]) for token in self._by_token if token[0] == kind})
            for kind in ("namespace", "image")
        }
        self._pod_keys = _keys(rule.match.pod_selector for rule in rules)
        self._namespace_keys = _keys(rule.match.namespace_selector for rule in rules)
        self._images = any(rule.match.images is not None for rule in rules)

    def crowd(self) -> int:
        """How many rules can be about one pod, as far as their names and labels tell."""
        return len(self._others) + max(map(len, self._by_token.values()), default=0)

    def candidates(self, subject: Subject) -> list[Rule]:
        """In the order of the file, those that may be about it."""
        found = dict(self._others)
        for token in subject.tokens(self._lengths):
            found.update(self._by_token.get(token, ()))
        if subject.namespace_labels is None:
            found.update(self._by_label)
        return [found[number] for number in sorted(found)]

    def subject(self, pod: Mapping[str, Any], namespace: str, namespace_labels: Mapping[str, str] | None) -> Subject:
        """What the rules look at."""
        labels: Labels | None = None
        if namespace_labels is not None:
            labels = _of({NAME_LABEL: namespace, **namespace_labels}, self._namespace_keys)
        images: tuple[str, ...] = ()
        if self._images:
            containers = sequence(mapping(pod, "spec"), "containers")
            found = (c.get("image") for c in containers if isinstance(c, dict))
            images = tuple(image for image in found if isinstance(image, str))
        return Subject(namespace, labels, _of(mapping(mapping(pod, "metadata"), "labels"), self._pod_keys), images)


def _of(labels: Mapping[str, Any], keys: tuple[str, ...]) -> Labels:
    return tuple((key, labels[key]) for key in keys if isinstance(labels.get(key), str))


def _keys(selectors: Iterable[Selector | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.key for selector in selectors if selector for r in selector.requirements))


def _tokens(match: Match) -> set[Token] | None:
    """Tokens of which a pod has one when the rule is about it, by the criterion that says most; None without one."""
    by_criterion = (
        _beginnings("namespace", match.namespaces),
        _equals("pod", match.pod_selector),
        _equals("label", match.namespace_selector),
        _beginnings("image", match.images),
    )
    return next((tokens for tokens in by_criterion if tokens), None)


def _beginnings(kind: str, globs: Globs | None) -> set[Token]:
    """How the texts begin that match; empty when that is not said."""
    wanted = globs.wanted if globs else ()
    tokens: set[Token] = {(kind, glob.pieces[0]) for glob in wanted}
    return set() if (kind, "") in tokens else tokens


def _equals(kind: str, selector: Selector | None) -> set[Token]:
    """The labels of which one has to be there, by the first requirement that names some."""
    for requirement in selector.requirements if selector else ():
        if requirement.operator == "In":
            return {(kind, requirement.key, value) for value in requirement.values}
    return set()

"""A policy that can be asked: which rules hold for a pod, and what they say together.

All rules that match hold, in the order of the file. Of several that force a value, or give a default, or speak of the
injection itself, the first one wins; what is demanded is demanded by each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from webhook.decide import Layer, Rules, Settings, Situation
from webhook.policy.document import Document, Rule
from webhook.policy.index import Index, Subject
from webhook.policy.reader import PolicyError, read, read_bytes
from webhook.policy.shapes import Issue

MOST_ABOUT_ONE = 1_000
"""Rules that may be about one pod: each costs its decision about a microsecond."""

_CROWD = (
    f"more than {MOST_ABOUT_ONE:,} rules can be about the same pod, so that decisions would take long; have them name "
    "namespaces, labels or images that tell them apart"
)

_KEPT = 32_000_000
"""About how many bytes are remembered."""

_RESULT_BYTES, _RULE_BYTES = 1_000, 100
"""About what one result takes beside the texts of its pod, and each rule in it."""


class Policy:
    """One generation of the policy, immutable. generation: 12 hex digits over the file's content."""

    def __init__(self, document: Document, generation: str, warnings: tuple[Issue, ...] = ()) -> None:
        self.document, self.generation, self.warnings = document, generation, warnings
        self._index = Index(document.rules)
        self._remembered: dict[Subject, Rules] = {}
        self._weight = 0
        self._settings = (Settings(), Settings())

    @classmethod
    def of(cls, content: bytes, source: str = "policy") -> Self:
        """Raises PolicyError."""
        document, warnings = read(content, source)
        policy = cls(document, sha256(content).hexdigest()[:12], warnings)
        if policy._index.crowd() > MOST_ABOUT_ONE:
            raise PolicyError(source, [Issue(1, 1, _CROWD)])
        return policy

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises OSError, PolicyError."""
        return cls.of(read_bytes(path), str(path))

    def settings(self, installed: Settings) -> Settings:
        """What the installation says, with the policy's sidecars and shared rings."""
        before, after = self._settings
        if before is not installed:
            shared = installed.shared_rings
            after = replace(
                installed,
                sidecars=installed.sidecars | self.document.sidecars,
                shared_rings=None if shared is None else shared | self.document.shared_rings,
            )
            self._settings = installed, after
        return after

    def rules(self, pod: Mapping[str, Any], namespace: str, namespace_labels: Mapping[str, str] | None) -> Rules:
        """What the policy says of a pod; never raises.

        namespace_labels: None when they are not known. A rule that they decide is not applied then, and the user is
        warned of it; what is known of any namespace is its name, also as the label kubernetes.io/metadata.name.
        """
        subject = self._index.subject(pod, namespace, namespace_labels)
        found = self._remembered.get(subject)
        if found is None:
            found = self._combined(subject)
            if self._weight > _KEPT:
                self._remembered, self._weight = {}, 0
            self._remembered[subject] = found
            self._weight += _RESULT_BYTES + subject.size + _RULE_BYTES * (len(found.matched) + len(found.notes))
        return found

    def about(self, situation: Situation, pod: Any) -> Situation:
        """A pod's surroundings with what the policy says of it."""
        subject = pod if isinstance(pod, dict) else {}
        rules = self.rules(subject, situation.namespace, situation.namespace_labels)
        return replace(situation, settings=self.settings(situation.settings), rules=rules)

    def verdicts(
        self, pod: Mapping[str, Any], namespace: str, namespace_labels: Mapping[str, str] | None
    ) -> Iterator[tuple[Rule, str]]:
        """Each rule, and why it does not hold for a pod: "" when it does."""
        subject = self._index.subject(pod, namespace, namespace_labels)
        for rule in self.document.rules:
            yield rule, subject.because(rule)

    def _combined(self, subject: Subject) -> Rules:
        matched, unknown = [], []
        for rule in self._index.candidates(subject):
            holds = subject.meets(rule)
            if holds:
                matched.append(rule)
            elif holds is None:
                unknown.append(rule)
        enforced = [rule for rule in matched if rule.enforced]
        inject = next((rule.inject for rule in enforced if rule.inject is not None), None)
        return Rules(
            forced=_layers(enforced, [rule.force for rule in enforced]),
            defaults=_layers(enforced, [rule.defaults for rule in enforced]),
            opt_in=inject is True,
            never=inject is False,
            demands=tuple(demand for rule in matched if (demand := rule.demand())),
            matched=tuple(rule.name for rule in matched),
            generation=self.generation,
            notes=tuple(_NOTE.format(rule.source) for rule in unknown),
        )


_NOTE = "{} is not applied: it goes by the namespace's labels, which are not known here"


def _layers(rules: list[Rule], said: list[Mapping[str, str]]) -> tuple[Layer, ...]:
    """A layer for each rule, without what an earlier one has said."""
    taken: set[str] = set()
    layers = []
    for rule, values in zip(rules, said, strict=True):
        own = {name: text for name, text in values.items() if name not in taken}
        if own:
            layers.append(Layer(rule.source, own))
            taken |= own.keys()
    return tuple(layers)

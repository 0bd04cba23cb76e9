"""One object of a cluster at a time, and what is wrong with it. What is kept is bounded by what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook.admission.entries import Entry
from webhook.admission.explanation import Subject, current, explain
from webhook.admission.matching import Match
from webhook.admission.resources import BY_KIND, POD, Resource
from webhook.admission.surroundings import Surroundings
from webhook.decide import decide, mapping, sequence
from webhook.doctor.findings import Finding, Trouble
from webhook.inject import Reason, record
from webhook.namespaces import Namespace
from webhook.options import BY_NAME, PREFIX, WRITTEN
from webhook.problems import nearest, shown
from webhook.ring.pods import Owner, owner

_ENDED = ("Succeeded", "Failed")
_MAKERS = {resource.kind for resource in BY_KIND.values()} - {POD.kind}
"""Whoever is looked at as a workload: the annotations of its pods are its template's."""

Object = Mapping[str, Any]


class Examiner:
    """Gathers what is wrong with the objects that it is shown.

    entries: of the webhook configurations. namespaces: by their names, as far as they are known. version: of the
    webhook that runs. comparable: whether this program is of that version, and knows what that one does, so that it can
    tell what that one would inject.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        around: Surroundings,
        namespaces: Mapping[str, Namespace],
        version: str,
        *,
        comparable: bool,
    ) -> None:
        self._entries = [entry for entry in entries if entry.mutating]
        self._around, self._namespaces = around, namespaces
        self._version = version
        self._comparable = comparable
        self._found: dict[tuple[Any, ...], Finding] = {}

    @property
    def findings(self) -> list[Finding]:
        """All so far: errors first, then by their sort and place."""
        order = list(Trouble)
        return sorted(
            self._found.values(),
            key=lambda f: (f.trouble.severity.value, order.index(f.trouble), f.namespace, f.about, f.what),
        )

    def pod(self, raw: Object) -> None:
        """A pod as the API lists it."""
        metadata = mapping(raw, "metadata")
        if metadata.get("deletionTimestamp") or mapping(raw, "status").get("phase") in _ENDED:
            return
        namespace = str(metadata.get("namespace") or "")
        maker = owner(metadata)
        if maker.kind not in _MAKERS:
            self._annotations(namespace, f"Pod/{metadata.get('name')}", raw)
        found = self._trouble(raw, namespace)
        if found:
            self._add(
                Finding(found[0], namespace, f"{maker.kind}/{maker.name}", found[1], maker), str(metadata["name"])
            )

    def workload(self, resource: Resource, raw: Object, template: Object | None, misplaced: Mapping[str, str]) -> None:
        """A workload as the API lists it. misplaced: annotations above its template, and where they are."""
        metadata = mapping(raw, "metadata")
        if any(r.get("controller") and r.get("kind") in _MAKERS for r in sequence(metadata, "ownerReferences")):
            return
        namespace, about = str(metadata.get("namespace") or ""), f"{resource.kind}/{metadata.get('name')}"
        self._annotations(namespace, about, template or {})
        for name, where in misplaced.items():
            what = f"{name} does nothing in {where}"
            self._add(Finding(Trouble.MISPLACED_ANNOTATION, namespace, about, what))

    def namespace(self, about: Namespace) -> None:
        """Its defaults."""
        for what in about.without_effect():
            self._add(Finding(Trouble.UNKNOWN_ANNOTATION, "", f"Namespace/{about.name}", what))

    def endpoints(self, entry: Entry, ready: int | None) -> None:
        """How many ready endpoints the Service of an entry has; None where there is no such Service."""
        about = f"{entry.configuration}/{entry.name}"
        if ready:
            return
        what = (
            f"Service {entry.service} has no ready endpoint" if ready == 0 else f"there is no Service {entry.service}"
        )
        self._add(Finding(Trouble.WEBHOOK_DOWN, "", about, what))

    def _add(self, finding: Finding, pod: str = "") -> None:
        key = (finding.trouble, finding.namespace, finding.about, finding.what)
        kept = self._found.setdefault(key, finding)
        if pod:
            kept.add(pod)

    def _annotations(self, namespace: str, about: str, pod: Object) -> None:
        for key in mapping(mapping(pod, "metadata"), "annotations"):
            name = key[len(PREFIX) :]
            if key.startswith(PREFIX) and key not in WRITTEN and name not in BY_NAME:
                near = nearest(name, BY_NAME)
                hint = f"; did you mean {PREFIX}{near}?" if near else ""
                what = f"{shown(key)[1:-1]} is unknown and has no effect{hint}"
                self._add(Finding(Trouble.UNKNOWN_ANNOTATION, namespace, about, what))

    def _trouble(self, raw: Object, namespace: str) -> tuple[Trouble, str] | None:
        pod = {"apiVersion": "v1", "kind": "Pod", **raw}
        about = self._namespaces.get(namespace)
        made = record.read(mapping(mapping(raw, "metadata"), "annotations"))
        if made is None:
            return self._uninjected(pod, namespace)
        if self._comparable:
            live = current(pod, self._around.seen(namespace, about, pod))
            if live.refused:
                return Trouble.REFUSED_TODAY, "what they ask for is refused today"
            if live.differs:
                return Trouble.STALE, "the settings or the parts of the injection are others now"
        if self._version and made.version != self._version:
            return Trouble.OTHER_VERSION, f"injected by version {made.version}, version {self._version} runs"
        return None

    def _uninjected(self, pod: dict[str, Any], namespace: str) -> tuple[Trouble, str] | None:
        about = self._namespaces.get(namespace)
        if decide(pod, self._around.seen(namespace, about, pod)) is not None:
            return None
        subject = Subject("", POD, pod, pod, namespace, stored=True)
        made = explain(subject, self._entries, self._around, about)
        if all(v.match is Match.NOT_SENT for v in made.verdicts):
            return None
        if made.outcome.problems:
            return Trouble.REFUSED_TODAY, "they are not injected, and what they ask for is refused today"
        if made.outcome.reason is Reason.INJECTED:
            return Trouble.SLIPPED_THROUGH, "not injected"
        return None


def ready_endpoints(slices: Iterator[Object]) -> int:
    """How many endpoints of EndpointSlices are ready."""
    return sum(
        mapping(endpoint, "conditions").get("ready") is not False
        for each in slices
        for endpoint in sequence(each, "endpoints")
    )


def restartable(maker: Owner) -> bool:
    """Whether `kubectl rollout restart` knows this kind."""
    return (maker.api_version.partition("/")[0], maker.kind) in {
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
    }

"""What will surprise the author of a workload: each warning is declared once, with the function that finds it.

A Deployment's pods are created by its controller, so what the webhook says of a pod reaches nobody who sits at a
terminal (`admission.md §0.4`). These sentences do, by `kubectl apply`. What the engine itself warns about (a licence
that nobody accepted, an unknown annotation, args that win over an annotation) is said besides, in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.consistency import STOP_SECONDS
from webhook.decide import INJECTION_LABEL, Reason, Situation, mapping
from webhook.inject import Outcome
from webhook.options import BY_NAME, PREFIX, WRITTEN
from webhook.problems import WARNING_LIMIT, nearest, one_line
from webhook.workloads import Found

QUORUM = 3
"""Live members that an election needs at least (supervisor.md §8)."""

_ANNOTATION_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload, its namespace, and what the engine makes of its pod template."""

    found: Found
    situation: Situation
    outcome: Outcome

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(self.found.value, "spec")

    @property
    def template(self) -> Mapping[str, Any]:
        return self.found.template  # type: ignore[no-any-return]  # read_workload has seen that it is an object

    @property
    def injected(self) -> bool:
        return self.outcome.spec is not None

    @property
    def annotations(self) -> list[str]:
        """Names without the prefix of the template's habitat.sh/ annotations that people write."""
        said = mapping(mapping(self.template, "metadata"), "annotations")
        return [name[len(PREFIX) :] for name in said if name.startswith(PREFIX) and name not in WRITTEN]

    @property
    def replicas(self) -> int | None:
        """How many pods; None for kinds that do not say."""
        if self.found.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
            return None
        said = self.spec.get("replicas", 1)
        return said if isinstance(said, int) else 1

    @property
    def leads(self) -> bool:
        """Whether its pods elect a leader."""
        return self.outcome.spec is not None and self.outcome.spec.options.topology == "leader"


@dataclass(frozen=True, slots=True)
class Caution:
    """One kind of warning.

    code: stable, the heading of its place in docs/at-apply.md, and a label of a metric. sentence: with {names} that
    `find` fills in. more: what the page says besides. find: the values for each time that it has to be said.
    """

    code: str
    sentence: str
    more: str
    find: Callable[[Subject], Iterable[dict[str, Any]]]

    def said(self, subject: Subject) -> Iterator[str]:
        for values in self.find(subject):
            text = one_line(self.sentence.format(**values))
            yield text if len(text) <= WARNING_LIMIT else text[: WARNING_LIMIT - 1] + "…"


def _namespace(subject: Subject) -> Iterator[dict[str, Any]]:
    if subject.outcome.reason in (Reason.NAMESPACE_NOT_ENABLED, Reason.NAMESPACE_DISABLED):
        yield {"namespace": subject.situation.namespace, "label": f"{INJECTION_LABEL}=enabled"}


def _misplaced(subject: Subject) -> Iterator[dict[str, Any]]:
    there = subject.annotations
    for name in subject.found.misplaced_annotations():
        short = name[len(PREFIX) :]
        known = short in BY_NAME or nearest(short, BY_NAME)
        if known and name not in WRITTEN and short not in there:
            yield {"name": name[:_ANNOTATION_SHOWN], "kind": subject.found.kind}


def _unasked(subject: Subject) -> Iterator[dict[str, Any]]:
    if subject.outcome.reason is Reason.NOT_ANNOTATED and subject.annotations:
        near = next((n for n in subject.annotations if nearest(n, ("service", "package"))), "")
        hint = f"; is {PREFIX}{near[:20]} meant?" if near else ""
        yield {"hint": hint}


def _too_few(subject: Subject) -> Iterator[dict[str, Any]]:
    count = subject.replicas
    if subject.leads and count is not None and 0 < count < QUORUM:
        yield {"count": count, "replicas": "replica" if count == 1 else "replicas", "quorum": QUORUM}


def _quorum(subject: Subject) -> Iterator[dict[str, Any]]:
    count = subject.replicas
    if not subject.leads or count is None or count < QUORUM:
        return
    down = _down_at_once(subject, count)
    if count - down < count // 2 + 1:
        yield {"down": down, "count": count}


def _down_at_once(subject: Subject, count: int) -> int:
    """How many pods an update ends before others are there, as the workload's own settings have it."""
    if subject.found.kind == "Deployment":
        strategy = mapping(subject.spec, "strategy")
        if strategy.get("type") == "Recreate":
            return 0  # all of them begin anew, with an election of their own (supervisor.md §8)
        return _share(mapping(strategy, "rollingUpdate").get("maxUnavailable", "25%"), count)
    if subject.found.kind == "StatefulSet":
        strategy = mapping(subject.spec, "updateStrategy")
        if strategy.get("type") == "OnDelete":
            return 0
        return max(1, _share(mapping(strategy, "rollingUpdate").get("maxUnavailable", 1), count))
    return 0


def _share(said: Any, count: int) -> int:
    """A number of pods, or a share of them rounded down, as Deployments do with maxUnavailable."""
    if isinstance(said, str) and said.endswith("%") and said[:-1].isdigit():
        return count * int(said[:-1]) // 100
    return said if isinstance(said, int) else 0


def _job(subject: Subject) -> Iterator[dict[str, Any]]:
    if subject.injected and subject.found.kind in ("Job", "CronJob"):
        yield {"kind": subject.found.kind}


def _grace(subject: Subject) -> Iterator[dict[str, Any]]:
    seconds = mapping(subject.template, "spec").get("terminationGracePeriodSeconds", 30)
    if subject.injected and isinstance(seconds, int) and seconds <= STOP_SECONDS:
        yield {"seconds": seconds, "stop": STOP_SECONDS}


CAUTIONS: tuple[Caution, ...] = (
    Caution(
        "NamespaceNotEnabled",
        "namespace {namespace} is not labelled {label}: these pods are not injected",
        'Label the namespace, or put `habitat.sh/inject: "true"` on the pod template. '
        "[Which pods are injected?](who-is-injected.md)",
        _namespace,
    ),
    Caution(
        "MisplacedAnnotation",
        "{name} does nothing on the {kind} itself: move it to the pod template",
        "Settings of pods stand at `spec.template.metadata.annotations`; of a CronJob at "
        "`spec.jobTemplate.spec.template.metadata.annotations`.",
        _misplaced,
    ),
    Caution(
        "NotAnnotated",
        f"without {PREFIX}service or /package these pods are not injected{{hint}}",
        "Say `habitat.sh/service` (or `habitat.sh/package`) on the pod template: the name of the package that "
        "the image runs.",
        _unasked,
    ),
    Caution(
        "LeaderTooFew",
        "topology leader with {count} {replicas}: an election needs {quorum} live members, and waits until then",
        "Three or more, an odd number best. Ignore it when other workloads bring members of the same service group.",
        _too_few,
    ),
    Caution(
        "LeaderLosesQuorum",
        "topology leader: an update ends {down} of {count} pods at once, and the rest is no majority to elect",
        "Set `maxUnavailable: 1` in the strategy's `rollingUpdate`; or of a Deployment the type `Recreate`, with which "
        "all members begin anew.",
        _quorum,
    ),
    Caution(
        "JobNeverCompletes",
        "this {kind} never completes: a Supervisor does not exit when its service has ended",
        'Run what ends by itself without a Supervisor: `habitat.sh/inject: "false"`, or no annotation at all.',
        _job,
    ),
    Caution(
        "GraceTooShort",
        "terminationGracePeriodSeconds {seconds}: a Supervisor gives its service {stop} s to stop; allow more",
        "When the time is over the kubelet kills everything, and the service's stop hook may not have ended. The "
        "default of 30 is right for most.",
        _grace,
    ),
)


def said(subject: Subject) -> list[tuple[str, str]]:
    """(code, sentence) of each warning, in the order of CAUTIONS."""
    return [(caution.code, text) for caution in CAUTIONS for text in caution.said(subject)]

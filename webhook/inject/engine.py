"""One pod through all steps: decide, find the target, read its own words, resolve, write the operations, check them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.commandline import parse
from webhook.decide import Reason, Situation, decide, mapping, sequence
from webhook.inject import args, env, files, filesystem, membership, ports, probes, record, volumes
from webhook.inject.patch import Operation, Patch, Pod, rehearse
from webhook.inject.record import Record
from webhook.inject.target import Target, find, keeps_entrypoint, runs_supervisor
from webhook.inject.warn import surroundings
from webhook.options import INJECTED, PEERS, PREFIX
from webhook.problems import Problem
from webhook.shape import problems_of
from webhook.spec import Container, Findings, SupervisorSpec, resolve


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a pod.

    operations: empty unless reason is Injected; they have been rehearsed on a copy with success. warnings: at most
    eight, of at most 120 characters. problems: non-empty exactly when reason is Invalid. container: the target's name,
    "" without. spec: the settings, None when the pod is left alone.
    """

    reason: Reason
    operations: list[Operation]
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    container: str = ""
    spec: SupervisorSpec | None = None
    docs_url: str = ""

    def message(self) -> str:
        """The whole text that the user reads when the pod is denied; every problem, each with its link."""
        count = len(self.problems)
        head = f"this pod cannot run under the Habitat Supervisor, {count} problem{'s'[: count > 1]}:"
        return "\n".join([head, *(f"- {p.where}: {self.explained(p)}" for p in self.problems)])

    def explained(self, problem: Problem) -> str:
        """One problem without its place: what is wrong, what is allowed, where to read on."""
        annotation = problem.where.startswith(PREFIX)
        page = f"annotations.md#{problem.where[len(PREFIX) :]}" if annotation else "troubleshooting.md#invalid"
        return f"{problem.what}; {problem.allowed} ({self.docs_url}/{page})"


def inject(pod: Pod, situation: Situation | None = None) -> Outcome:
    """The operations that make a pod run under the Supervisor, or the reason why there are none.

    Never changes `pod`. Raises only for our own mistakes (a patch that does not apply), never for the user's.
    """
    situation = situation or Situation()
    reason = decide(pod, situation)
    if reason is not None:
        return Outcome(reason, [])
    try:
        return _Injection(pod, situation).run()
    except Exception:
        # Every read of the pod trusts what the API server's decoder guarantees. Who sends something else is told so.
        problems = tuple(problems_of(pod, ""))
        if not problems:
            raise
        return Outcome(Reason.INVALID, [], problems=problems, docs_url=situation.settings.docs_url)


class _Injection:
    def __init__(self, pod: Pod, situation: Situation) -> None:
        self.pod = pod
        self.situation = situation
        self.metadata = mapping(pod, "metadata")
        self.annotations = mapping(self.metadata, "annotations")
        self.spec = mapping(pod, "spec")
        self.findings = Findings([], [])
        self.patch = Patch()
        self.before = record.read(self.annotations)
        self.custom = self._said("entrypoint") == "custom"
        self.present: list[str] = []
        self.said: dict[str, str | None] = {}
        self.users: list[str] = []
        self.wanted: list[str] = []

    def run(self) -> Outcome:
        before = self.before.container if self.before else ""
        sidecars = self.situation.settings.sidecars
        target = find(self.spec, self._said("container"), self.annotations, before, sidecars)
        if isinstance(target, Problem):
            self.findings.problems.append(target)
            self._read(Target("", "", "spec", {}))  # the annotations' own mistakes are said in the same message
            return self._invalid("")
        if not self.custom and not keeps_entrypoint(target.container):
            if runs_supervisor(target.container):
                return Outcome(Reason.HAND_WRITTEN_SUPERVISOR, [], container=target.name)
            what = "the container has its own command, so the image's entrypoint does not start the Supervisor"
            allowed = f"remove it, or say {PREFIX}entrypoint: custom when it passes its args on to the Supervisor"
            self.findings.problem(f"{target.field}.command", what, allowed)
        spec = self._read(target)
        if spec is None:
            return self._invalid(target.name)
        self._write(spec, target)
        return self._finish(spec, target)

    def _said(self, name: str) -> Any:
        """The text of an option that is needed before the others are resolved, by the same precedence; None without."""
        rules, key = self.situation.rules, PREFIX + name
        for layer in rules.forced:
            if name in layer.values:
                return layer.values[name]
        if key in self.annotations:
            return self.annotations[key]
        return next((layer.values[name] for layer in rules.defaults if name in layer.values), None)

    def _read(self, target: Target) -> SupervisorSpec | None:
        """The user's own words, without what an earlier injection added, and the spec that follows."""
        self.present = [str(a) for a in sequence(target.container, "args")]
        self.users = list(self.present)
        recorded: tuple[str, ...] = ()
        if self.before is not None and self.before.container == target.name:
            recorded = self.before.env
            for text in reversed(self.before.args):
                if text in self.users:
                    del self.users[len(self.users) - 1 - self.users[::-1].index(text)]
        self.said = _literals(target.container, recorded)
        known = {name: value for name, value in self.said.items() if value is not None}
        command = parse(self.users, known, custom=self.custom)
        container = Container(target.field, command, self.said)
        return resolve(self.annotations, self.situation.rules, container, self.findings)

    def _write(self, spec: SupervisorSpec, target: Target) -> None:
        settings, container, patch = self.situation.settings, target.container, self.patch
        if self.pod.get("metadata") is None:
            patch.add("/metadata", {})
            patch.created.append("metadata")
        before = self.before if self.before is not None and self.before.container == target.name else None
        again = self.before is not None
        who = filesystem.identity(self.spec, container)
        storage = volumes.Storage(volumes.users_mounts(container))
        files.prepare(spec, self.pod, self.situation.claim_templates, storage, self.findings)
        membership.prepare(spec, storage)
        home = filesystem.prepare(who, spec.service, storage)
        filesystem.judge(who, storage, self.said.get("HOME"), target.field, self.findings)

        ring_service = membership.ring_service(spec, self.situation.namespace, settings.cluster_domain)
        ours = args.flags(spec, membership.dns_peer(spec, ring_service))
        wanted = args.compose(spec, self.users, ours)
        added_args: list[str] = []
        if isinstance(wanted, Problem):
            self.findings.problems.append(wanted)
        else:
            self.wanted = wanted
            added_args = args.write(patch, target.path, container, wanted)
        variables = env.variables(spec, ring_service, home)
        recorded = before.env if before else ()
        added_env = env.write(patch, target.path, dict(container), variables, recorded, self.findings)
        ports.write(patch, target.path, target.field, dict(container), spec, self.findings)
        probes.write(patch, target.path, container, spec, before.created if before else (), self.findings)
        volumes.write(patch, target.path, target.field, self.spec, container, storage, self.findings, again=again)
        self._fs_group(spec, who)
        membership.write_labels(patch, self.metadata, membership.labels(spec), self.findings, again=again)
        files.write_copier(patch, self.pod, target, who, spec, self.findings, again=again)
        surroundings(self.spec, self.findings)
        added = Record("", "", "", tuple(added_args), tuple(added_env), self._mounts(storage))
        self._record(spec, target, before or Record("", "", ""), added)

    def _mounts(self, storage: volumes.Storage) -> tuple[str, ...]:
        """Mounts of ours on a volume of the user's, which no name tells apart."""
        ours = (path for path, m in storage.mounts.items() if not m["name"].startswith(volumes.PREFIX))
        return tuple(path for path in ours if path not in storage.users)

    def _fs_group(self, spec: SupervisorSpec, who: filesystem.Identity) -> None:
        data = bool(spec.options.data_claim or spec.options.data_volume)
        group = filesystem.fs_group(who, self.spec, data=data)
        if group is not None:
            if self.spec.get("securityContext") is not None:
                self.patch.created.append("fsGroup")
            self.patch.update(self.spec, "/spec", "securityContext", {"fsGroup": group})

    def _record(self, spec: SupervisorSpec, target: Target, old: Record, added: Record) -> None:
        """Write the record when anything is written, or when the one that came with the pod is not true of it."""
        members: dict[str, Any] = {}
        if self.annotations.get(PEERS):
            members[PEERS] = ""
            self.findings.warn(f"{PEERS} came with the pod (a copy of a live one?) and is emptied: old peers mislead")
        made = Record(
            self.situation.settings.version,
            target.name,
            spec.digest(),
            _union((a for a in old.args if a in self.wanted), added.args),
            _union(old.env, added.env),
            _union(old.mounts, added.mounts),
            _union(old.created, self.patch.created),
        )
        if self.patch.operations or old != made:
            members[INJECTED] = made.text()
        self.patch.update(self.metadata, "/metadata", "annotations", members)

    def _finish(self, spec: SupervisorSpec, target: Target) -> Outcome:
        if self.findings.problems:
            return self._invalid(target.name)
        if not self.patch.operations:
            return Outcome(Reason.ALREADY_CURRENT, [], self._warnings(), container=target.name, spec=spec)
        rehearse(self.pod, self.patch.operations)
        return Outcome(Reason.INJECTED, self.patch.operations, self._warnings(), container=target.name, spec=spec)

    def _invalid(self, container: str) -> Outcome:
        problems = tuple(dict.fromkeys(self.findings.problems))
        url = self.situation.settings.docs_url
        return Outcome(Reason.INVALID, [], self._warnings(), problems, container, docs_url=url)

    def _warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.findings.warnings))


def _literals(container: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, str | None]:
    """The container's variables by name: their value, None where it comes from elsewhere."""
    found: dict[str, str | None] = {}
    for variable in sequence(container, "env"):
        if isinstance(variable, dict) and isinstance(variable.get("name"), str) and variable["name"] not in without:
            value = variable.get("value", "")
            elsewhere = variable.get("valueFrom") is not None or not isinstance(value, str) or "$(" in value
            found[variable["name"]] = None if elsewhere else value
    return found


def _union(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*old, *new]))

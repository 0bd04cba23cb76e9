"""One pod through all steps: decide, find the target, read its own words, resolve, write the operations, check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webhook.commandline import RUN_WORDS, Container, parse
from webhook.decide import Reason, Rules, Situation, decide, mapping, sequence
from webhook.demands import Action
from webhook.inject import args, env, files, filesystem, membership, ports, probes, record, volumes
from webhook.inject.again import complete, settle
from webhook.inject.patch import Operation, Patch, Pod, rehearse
from webhook.inject.record import Record
from webhook.inject.target import Target, find, keeps_entrypoint, runs_supervisor
from webhook.inject.uninject import uninject
from webhook.inject.warn import surroundings
from webhook.options import INJECTED, PEERS, PREFIX
from webhook.problems import Findings, Problem, Unmet, caution
from webhook.rings import Ring
from webhook.shape import problems_of
from webhook.spec import SupervisorSpec, resolve


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a pod.

    operations: empty unless reason is Injected; they have been rehearsed on a copy with success. warnings: at most
    eight, of at most 120 characters. problems: non-empty exactly when reason is Invalid or PolicyDenied. container: the
    target's name, "" without. spec: the settings, None when the pod is left alone. audit: what a policy wants to have
    recorded, not said. unmet: the policy's rules that the pod does not meet.
    """

    reason: Reason
    operations: list[Operation]
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    container: str = ""
    spec: SupervisorSpec | None = None
    docs_url: str = ""
    audit: tuple[str, ...] = ()
    unmet: tuple[Unmet, ...] = ()

    def message(self) -> str:
        """The whole text that the user reads when the pod is denied; every problem, each with its link."""
        count = len(self.problems)
        head = f"this pod cannot run under the Habitat Supervisor, {count} problem{'s'[: count > 1]}:"
        return "\n".join([head, *(f"- {p.where}: {self.explained(p)}" for p in self.problems)])

    def explained(self, problem: Problem) -> str:
        """One problem without its place: what is wrong, what is allowed, where to read on."""
        if problem.rule:
            page = "policy.md#a-rule-refused-my-pod"
        elif problem.where.startswith(PREFIX):
            page = f"annotations.md#{problem.where[len(PREFIX) :]}"
        else:
            page = "troubleshooting.md#invalid"
        return f"{problem.what}; {problem.allowed} ({self.docs_url}/{page})"


def inject(pod: Pod, situation: Situation | None = None) -> Outcome:
    """The operations that make a pod run under the Supervisor, or the reason why there are none.

    Never changes `pod`. Raises only for our own mistakes (a patch that does not apply), never for the user's.
    """
    situation = situation or Situation()
    reason = decide(pod, situation)
    if reason is not None:
        return _left_alone(reason, situation.rules)
    try:
        return _inject(pod, situation)
    except Exception:
        # Every read of the pod trusts what the API server's decoder guarantees. Who sends something else is told so.
        problems = tuple(problems_of(pod, ""))
        if not problems:
            raise
        return Outcome(Reason.INVALID, [], problems=problems, docs_url=situation.settings.docs_url)


def _left_alone(reason: Reason, rules: Rules) -> Outcome:
    """A pod that is not injected, and what a rule that is not enforced yet would say to that."""
    if reason is not Reason.NOT_ANNOTATED:
        return Outcome(reason, [])
    findings = Findings([], [])
    for demand in rules.demands:
        if demand.opt_in:
            findings.unmet.append((demand.source, demand.action.value))
            text = f"{demand.source}: the pod would be injected"
            if demand.action is Action.WARN:
                findings.warn(text)
            else:
                findings.audit.append(text)
    return _outcome(reason, [], findings)


def _outcome(reason: Reason, operations: list[Operation], findings: Findings, **more: Any) -> Outcome:
    """With everything that was found, each thing once."""
    return Outcome(
        reason,
        operations,
        tuple(dict.fromkeys(findings.warnings)),
        audit=tuple(dict.fromkeys(findings.audit)),
        unmet=tuple(dict.fromkeys(findings.unmet)),
        **more,
    )


def _inject(pod: Pod, situation: Situation) -> Outcome:
    annotations = mapping(mapping(pod, "metadata"), "annotations")
    before = record.read(annotations)
    stray = {PEERS: ""} if annotations.get(PEERS) else {}
    if before is None and not stray:
        outcome = _Injection(pod, situation).run()
        rehearse(pod, outcome.operations)
        return outcome
    bare = uninject(pod)
    outcome = _Injection(bare, situation, before=before.container if before else "").run()
    if outcome.reason is not Reason.INJECTED:
        return outcome
    wanted = rehearse(bare, outcome.operations)
    fresh = record.read(wanted["metadata"]["annotations"])
    if before and fresh and before.digest == fresh.digest and complete(pod, wanted):
        members = stray
        operations = []
    else:
        members = stray | {INJECTED: wanted["metadata"]["annotations"][INJECTED]}
        operations = settle(pod, wanted)
    patch = Patch()
    patch.update(mapping(pod, "metadata"), "/metadata", "annotations", members)
    operations += patch.operations
    rehearse(pod, operations)
    warnings = outcome.warnings
    if stray:
        caught = f"{PEERS} came with the pod (a copy of a live one?) and is emptied: old peers mislead"
        warnings = (*warnings, caution(caught))
    reason = Reason.INJECTED if operations else Reason.ALREADY_CURRENT
    return replace(outcome, reason=reason, operations=operations, warnings=warnings)


class _Injection:
    """One fresh injection: of the pod as it came, or of its bare form when it has been injected before."""

    def __init__(self, pod: Pod, situation: Situation, *, before: str = "") -> None:
        self.pod = pod
        self.situation = situation
        self.before = before
        self.metadata = mapping(pod, "metadata")
        self.annotations = mapping(self.metadata, "annotations")
        self.spec = mapping(pod, "spec")
        self.findings = Findings([], [caution(note) for note in situation.rules.notes])
        self.patch = Patch()
        self.custom = self._said("entrypoint") == "custom"

    def run(self) -> Outcome:
        sidecars = self.situation.settings.sidecars
        target = find(self.spec, self._said("container"), self.annotations, self.before, sidecars)
        if isinstance(target, Problem):
            self.findings.problems.append(target)
            self._read(Target("", "", "spec", {}))  # the annotations' own mistakes are said in the same message
            return self._invalid("")
        if not self.custom and not keeps_entrypoint(target.container):
            if runs_supervisor(target.container):
                reason = Reason.HAND_WRITTEN_SUPERVISOR
                return Outcome(reason, [], (caution(reason.advice),), container=target.name)
            what = "the container has its own command, so the image's entrypoint does not start the Supervisor"
            allowed = f"remove it, or say {PREFIX}entrypoint: custom when it passes its args on to the Supervisor"
            self.findings.problem(f"{target.field}.command", what, allowed)
        spec = self._read(target)
        if spec is None:
            return self._invalid(target.name)
        self._write(spec, target)
        if self.findings.problems:
            return self._invalid(target.name)
        operations = self.patch.operations
        return _outcome(Reason.INJECTED, operations, self.findings, container=target.name, spec=spec)

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
        """The user's own words, and the spec that follows from them and the annotations."""
        said = _literals(target.container)
        known = {name: value for name, value in said.items() if value is not None}
        command = sequence(target.container, "command")
        word = command[-1] if self.custom and command and command[-1] in RUN_WORDS else ""
        line = parse(sequence(target.container, "args"), known, custom=self.custom, word=word)
        container = Container(target.field, line, said, env_from=bool(target.container.get("envFrom")))
        return resolve(self.annotations, self.situation, container, self.findings)

    def _write(self, spec: SupervisorSpec, target: Target) -> None:
        settings, container, patch, findings = self.situation.settings, target.container, self.patch, self.findings
        if self.pod.get("metadata") is None:
            patch.add("/metadata", {})
            patch.created.append("metadata")
        who = filesystem.identity(self.spec, container)
        storage = volumes.Storage(volumes.users_mounts(container))
        files.prepare(spec, self.pod, self.situation.claim_templates, storage, findings)
        membership.prepare(spec, storage)
        home = filesystem.prepare(who, spec.service, storage)
        filesystem.judge(who, spec, target, self.spec, home, findings)

        ring = Ring.of(spec.options.ring, self.situation.namespace)
        ring_service = ring.service_dns(settings.cluster_domain)
        key_secret = ring.key_secret_in(self.situation.namespace)
        address = env.knows_address(container, findings)
        ours = args.flags(spec, membership.dns_peer(spec, ring_service), address=address)
        wanted = args.compose(spec, sequence(container, "args"), ours)
        if isinstance(wanted, Problem):
            findings.problems.append(wanted)
        else:
            args.write(patch, target.path, container, wanted)
        env.write(patch, target.path, container, env.variables(spec, ring_service, key_secret, home), findings)
        ports.write(patch, target.path, target.field, container, spec, findings)
        probes.write(patch, target.path, container, spec, findings)
        volumes.write(patch, target.path, target.field, self.spec, container, storage, findings)
        self._fs_group(spec, who)
        membership.write_labels(patch, self.metadata, membership.labels(spec), findings)
        files.write_copier(patch, self.pod, target, who, spec, findings)
        surroundings(self.spec, findings)
        made = Record(settings.version, target.name, spec.digest(ring_service), patch.added, patch.created)
        patch.update(self.metadata, "/metadata", "annotations", {INJECTED: made.text()})

    def _fs_group(self, spec: SupervisorSpec, who: filesystem.Identity) -> None:
        data = bool(spec.options.data_claim or spec.options.data_volume)
        group = filesystem.fs_group(who, self.spec, data=data)
        if group is not None:
            if self.spec.get("securityContext") is not None:
                self.patch.created.append("fsGroup")
            self.patch.update(self.spec, "/spec", "securityContext", {"fsGroup": group})

    def _invalid(self, container: str) -> Outcome:
        problems = tuple(dict.fromkeys(self.findings.problems))
        url = self.situation.settings.docs_url
        reason = Reason.POLICY_DENIED if all(problem.rule for problem in problems) else Reason.INVALID
        return _outcome(reason, [], self.findings, problems=problems, container=container, docs_url=url)


def _literals(container: Mapping[str, Any]) -> dict[str, str | None]:
    """The container's variables by name: their value, None where it comes from elsewhere."""
    found: dict[str, str | None] = {}
    for variable in sequence(container, "env"):
        value = variable.get("value", "")
        elsewhere = variable.get("valueFrom") is not None or not isinstance(value, str) or "$(" in value
        found[variable["name"]] = None if elsewhere else value
    return found

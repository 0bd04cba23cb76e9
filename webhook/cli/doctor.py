"""`habitat-webhook doctor`: what is wrong with the pods and workloads of a cluster, and --fix."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook import __version__
from webhook.admission.entries import Entry
from webhook.admission.resources import POD, RESOURCES, Resource
from webhook.cli.cluster import Cluster
from webhook.cli.cluster import Place as RingPlace
from webhook.cli.connection import connection_options, namespace_value
from webhook.cli.errors import Failure
from webhook.cli.group import PROGRAM, Command
from webhook.cli.installation import Installation, connected, installation, said
from webhook.cli.jsonstream import dump_json
from webhook.cli.report import say
from webhook.doctor.examine import Examiner, ready_endpoints
from webhook.doctor.findings import Finding
from webhook.doctor.fix import Target, restart, targets
from webhook.kube.errors import ApiError
from webhook.namespaces import Namespace
from webhook.ring.findings import Finding as RingFinding
from webhook.ring.findings import Severity
from webhook.workloads import Found

if TYPE_CHECKING:
    from webhook.kube.client import Client

VERSION = 1
"""Of the JSON. Raised when something that is there changes its meaning or goes; not when something is added."""

EXIT_WRONG = 1
_COLOURS = {Severity.ERROR: "red", Severity.NOTE: "yellow"}
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
_EPILOG = f"""\b
Examples:
  {PROGRAM} doctor
  {PROGRAM} doctor -n shop -o json
  {PROGRAM} doctor --fix

\b
Exit status:
  0  nothing is wrong, or --fix has restarted all that was
  1  something is
  2  wrong usage, or the cluster cannot be asked
"""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found. unseen: what may not be looked at."""

    pods: int = 0
    workloads: int = 0
    unseen: list[str] = field(default_factory=list)
    findings: Sequence[Finding] = ()
    rings: Sequence[RingFinding] = ()
    restarted: list[Target] = field(default_factory=list)
    left: list[Target] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many errors nobody has done anything about."""
        errors = [f for f in self.findings if f.trouble.severity is Severity.ERROR]
        if self.restarted or self.left:
            errors = [f for f in errors if not f.trouble.restart]
        return len(errors) + len(self.rings) + sum(target.error for target in self.left)


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "-n", "--namespace", default="", callback=namespace_value, metavar="NAME", help="Look into this namespace alone."
)
@click.option("--fix", is_flag=True, help="Restart the Deployments, StatefulSets and DaemonSets whose pods need it.")
@click.option("-y", "--yes", is_flag=True, help="With --fix: do not ask.")
@connection_options[0]
@connection_options[1]
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(namespace: str, kubeconfig: Path | None, context: str, output: str, *, fix: bool, yes: bool) -> None:
    """Find what is wrong with pods and workloads, all over the cluster.

    Pods that ask for an injection and have none, pods that were injected otherwise than they would be today,
    annotations that nobody reads, rings with islands, webhook entries that nobody answers. Changes nothing without
    --fix, which restarts workloads as kubectl rollout restart does; on a terminal it asks before. docs/doctor.md.
    """
    if yes and not fix:
        raise click.UsageError("--yes goes with --fix")
    with connected(kubeconfig, context) as client:
        report = _examined(client, installation(client), namespace)
        if output == "text":
            _show(report)
        if fix:
            _fix(client, report, ask=output == "text" and not yes and sys.stdin.isatty())
            if output == "text":
                _show_fixed(report)
    if output == "json":
        click.echo(dump_json(_json(report)))
    if report.wrong:
        click.get_current_context().exit(EXIT_WRONG)


def _examined(client: Client, found: Installation, namespace: str) -> Report:
    report = Report()
    if found.version and found.version != __version__:
        report.unseen.append(
            f"whether injections are stale: the cluster's webhook is version {found.version}, this is {__version__}"
        )
    report.unseen += found.notes
    namespaces = _namespaces(client, namespace, report)
    version = found.version or __version__
    comparable = version == __version__ and found.exact
    examiner = Examiner(found.entries, found.around, namespaces, version, comparable=comparable)
    for each_namespace in namespaces.values():
        examiner.namespace(each_namespace)
    for raw in _each(client, POD, namespace, report):
        examiner.pod(raw)
        report.pods += 1
    for resource in RESOURCES:
        if resource is not POD:
            for raw in _each(client, resource, namespace, report):
                each = Found(raw, (), resource.api_version, resource.kind)
                examiner.workload(resource, raw, each.template, each.misplaced_annotations())
                report.workloads += 1
    for entry in found.entries:
        _endpoints(client, entry, examiner, report)
    report.findings = examiner.findings
    report.rings = _rings(client, namespace, found)
    return report


def _namespaces(client: Client, namespace: str, report: Report) -> dict[str, Namespace]:
    """All by their names; without those that may not be looked at."""
    try:
        if namespace:
            return {namespace: Namespace.of(client.get(f"/api/v1/namespaces/{namespace}", metadata_only=True))}
        return {
            raw["metadata"]["name"]: Namespace.of(raw)
            for page, _ in client.list("/api/v1/namespaces", metadata_only=True)
            for raw in page
        }
    except ApiError as error:
        if error.status == 404:
            raise Failure(f"there is no namespace {namespace}") from None
        with said(client, "get namespaces"):
            _unseen(error, "the labels of namespaces", report)
        return {}


def _each(client: Client, resource: Resource, namespace: str, report: Report) -> Iterator[dict[str, Any]]:
    """Every object of a kind, a page in memory at a time."""
    with said(client, f"list {resource.plural}"):
        try:
            for page, _ in client.list(resource.collection(namespace)):
                yield from page
        except ApiError as error:
            _unseen(error, resource.plural, report)


def _unseen(error: ApiError, what: str, report: Report) -> None:
    """What may not be looked at is said, and is no failure."""
    if error.status != 403:
        raise error
    report.unseen.append(f"{what}: {error.message}")


def _endpoints(client: Client, entry: Entry, examiner: Examiner, report: Report) -> None:
    namespace, slash, name = entry.service.partition("/")
    if entry.service.startswith("https:") or not slash:
        return  # a URL: nothing in the cluster says who is behind it
    with said(client, f"look at Service {entry.service}"):
        try:
            slices = client.list(_SLICES.format(namespace), labels=f"kubernetes.io/service-name={name}")
            ready = ready_endpoints(raw for page, _ in slices for raw in page)
            if not ready and not _there(client, f"/api/v1/namespaces/{namespace}/services/{name}"):
                examiner.endpoints(entry, None)
                return
        except ApiError as error:
            _unseen(error, f"who answers {entry.name}", report)
            return
    examiner.endpoints(entry, ready)


def _there(client: Client, path: str) -> bool:
    try:
        client.get(path, metadata_only=True)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _rings(client: Client, namespace: str, found: Installation) -> list[RingFinding]:
    shared = found.around.settings.shared_rings
    place = RingPlace(kubeconfig=None, context="", namespace=namespace, all_namespaces=not namespace, shared=shared)
    cluster = Cluster(client, place)
    report = cluster.report(cluster.look())
    return [finding for finding in report.every_finding if finding.code.severity is Severity.ERROR]


def _fix(client: Client, report: Report, *, ask: bool) -> None:
    with said(client, "restart workloads"):
        wanted = targets(client, report.findings)
        able = [target for target in wanted if not target.why_not]
        report.left = [target for target in wanted if target.why_not]
        if able and ask:
            say("\n".join(f"  {target.label}" for target in able), err=True)
            if not click.confirm(f"Restart {'these' if len(able) > 1 else 'this'} {len(able)}?", err=True):
                report.left += [replace(t, why_not="you said no") for t in able]
                return
    for target in able:
        try:
            restart(client, target)
            report.restarted.append(target)
        except ApiError as error:  # of one; what was done before is to be said
            report.left.append(replace(target, why_not=str(error)))


def _show(report: Report) -> None:
    for finding in report.findings:
        _say_finding(finding.trouble.severity, finding.trouble.code, finding.message, finding.trouble.advice)
    for ring in report.rings:
        _say_finding(ring.code.severity, ring.code.code, ring.message, ring.code.advice)
    for what in report.unseen:
        say(f"{click.style('not looked at:', fg='yellow')} {what}", err=False)
    errors = len(report.rings) + sum(f.trouble.severity is Severity.ERROR for f in report.findings)
    notes = len(report.findings) + len(report.rings) - errors
    verdict = ", ".join(_number(n, thing) for n, thing in ((errors, "error"), (notes, "note")) if n)
    looked = f"{_number(report.pods, 'pod')}, {_number(report.workloads, 'workload')}"
    say(f"{looked}: {verdict or 'nothing is wrong'}", err=False)


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s'[: count != 1]}"


def _say_finding(severity: Severity, code: str, message: str, advice: str) -> None:
    say(f"{click.style(severity.value, fg=_COLOURS[severity])} {click.style(code, bold=True)}: {message}", err=False)
    if advice:
        say(f"  {advice}", err=False)


def _show_fixed(report: Report) -> None:
    for target in report.restarted:
        say(f"restarted {target.label}", err=False)
    for target in report.left:
        say(f"not restarted: {target.label}: {target.why_not}", err=False)
    if not report.restarted and not report.left:
        say("nothing to restart", err=False)


def _json(report: Report) -> dict[str, Any]:
    return {
        "version": VERSION,
        "ok": not report.wrong,
        "pods": report.pods,
        "workloads": report.workloads,
        "notLookedAt": report.unseen,
        "findings": [_finding(f) for f in report.findings],
        "rings": [
            {"code": f.code.code, "message": f.message, "advice": f.code.advice, "pods": list(f.pods)}
            for f in report.rings
        ],
        "restarted": [_target(t) for t in report.restarted],
        "notRestarted": [_target(t) | {"why": t.why_not} for t in report.left],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.trouble.code,
        "severity": finding.trouble.severity.value,
        "namespace": finding.namespace or None,
        "object": finding.about,
        "message": finding.what,
        "advice": finding.trouble.advice,
        "pods": finding.pods,
        "count": finding.count or None,
    }


def _target(target: Target) -> dict[str, str]:
    return {"namespace": target.namespace, "kind": target.owner.kind, "name": target.owner.name}

"""`habitat-webhook inject`: what the webhook would make of manifests, without a cluster."""

from __future__ import annotations

from collections.abc import Mapping

import click

from webhook.cli.documents import STANDARD_INPUT
from webhook.cli.group import Command
from webhook.cli.policyoptions import policy_options
from webhook.cli.report import Entry, Status
from webhook.cli.transform import Change, Request, input_options, run
from webhook.decide import decide
from webhook.inject import Outcome, Reason, Settings, Situation, apply
from webhook.inject import inject as inject_pod
from webhook.policy.policy import Policy
from webhook.rings import shared_rings
from webhook.shape import problems_of
from webhook.workloads import Found

_EPILOG = f"""\b
Examples:
  habitat-webhook inject -f deployment.yaml | kubectl apply -f -
  helm template . | habitat-webhook inject -n shop -f - > injected.yaml
  habitat-webhook inject -f manifests/ -o report

\b
Exit status:
  0  done; the manifests are on standard output
  1  an object cannot be injected as it is written; nothing is on {STANDARD_INPUT.replace("input", "output")}
  2  wrong usage, or input that cannot be read
"""

_ASSUMED = Situation().namespace
_NAMESPACE_ASSUMED = f"no namespace is named, so {_ASSUMED} is assumed; give -n NAME when it is another"


def shared_rings_value(_context: click.Context, _option: click.Parameter, text: str | None) -> frozenset[str] | None:
    """The option's value, None when it is not given: what the installation shares is not known then."""
    try:
        return None if text is None else shared_rings(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=Command, epilog=_EPILOG)
@input_options
@click.option(
    "--cluster-domain",
    default=Settings().cluster_domain,
    show_default=True,
    metavar="DOMAIN",
    help="DNS domain of the cluster, as the webhook is configured.",
)
@click.option(
    "--shared-rings",
    "shared",
    default=None,
    callback=shared_rings_value,
    metavar="LIST",
    help="Rings that pods of other namespaces may join, as the webhook is configured: name.namespace of each, with "
    'commas between, "" for none. Without this option any is taken, with a warning.',
)
@policy_options()
def inject(
    files: tuple[str, ...],
    namespace: str,
    output: str | None,
    cluster_domain: str,
    shared: frozenset[str] | None,
    policy: Policy | None,
    namespace_labels: Mapping[str, str] | None,
    *,
    recursive: bool,
) -> None:
    """Make annotated workloads run under the Habitat Supervisor.

    Reads Deployments, StatefulSets, DaemonSets, ReplicaSets, ReplicationControllers, Jobs, CronJobs, PodTemplates,
    Pods and Lists of them, in YAML or JSON. A workload is changed when its pod template carries the annotation
    habitat.sh/service or habitat.sh/package; everything else passes through exactly as it came. The pods come out as
    the webhook would make them, which then leaves them alone.

    The manifests go to standard output, a report on every object to standard error.
    """
    settings = Settings(cluster_domain=cluster_domain, shared_rings=shared)

    def change(found: Found, named: str) -> Change:
        claims = found.claim_templates
        situation = Situation(
            namespace=named or _ASSUMED, namespace_labels=namespace_labels, claim_templates=claims, settings=settings
        )
        if policy:
            situation = policy.about(situation, found.template)
        if decide(found.template, situation) is None and (problems := problems_of(found.template, _place(found))):
            return Change(_invalid(found, tuple(map(str, problems)), _misplaced(found)))
        return _changed(found, inject_pod(found.template, situation), "" if named else _NAMESPACE_ASSUMED)

    run(Request(files, recursive, namespace, output or ""), change, "injected")


def _changed(found: Found, outcome: Outcome, note: str) -> Change:
    entry = _entry(found, outcome, note)
    if outcome.reason is not Reason.INJECTED:
        return Change(entry)
    return Change(entry, apply(found.template, outcome.operations), tuple(outcome.operations))


def _entry(found: Found, outcome: Outcome, note: str) -> Entry:
    warnings = (*_misplaced(found), *outcome.warnings)
    reason = outcome.reason
    if outcome.problems:
        return _invalid(found, _problems(outcome), warnings)
    if reason is Reason.INJECTED:
        count = len(outcome.operations)
        headline = f"injected into container {outcome.container}: {count} operation{'s'[: count != 1]}"
        return Entry(found.label, Status.CHANGED, headline, warnings, note=note)
    headline = " ".join(filter(None, (f"skipped: {reason.code}:", reason.sentence, reason.advice)))
    return Entry(found.label, Status.SKIPPED, headline, warnings)


def _invalid(found: Found, problems: tuple[str, ...], warnings: tuple[str, ...]) -> Entry:
    count = len(problems)
    headline = f"cannot be injected, {count} problem{'s'[: count != 1]}:"
    return Entry(found.label, Status.INVALID, headline, warnings, problems)


def _problems(outcome: Outcome) -> tuple[str, ...]:
    """The problems with their links, as the user would read them in the API server's answer."""
    return tuple(outcome.message().split("\n- ")[1:])


def _misplaced(found: Found) -> tuple[str, ...]:
    return tuple(
        f"{name} does nothing in {where} of the {found.kind}: move it to {_place(found)}.metadata.annotations"
        for name, where in found.misplaced_annotations().items()
    )


def _place(found: Found) -> str:
    """Where the pod template is: "spec.template", "" for a Pod."""
    return ".".join(map(str, found.template_path or ()))

"""`habitat-webhook policy explain`: which rules hold for workloads, which do not and why, and who said each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from webhook.cli.documents import read_documents
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json
from webhook.cli.policyoptions import policy_options
from webhook.cli.report import say
from webhook.decide import Situation
from webhook.policy.judgement import Judgement, judge
from webhook.policy.policy import Policy
from webhook.workloads import Found, objects

_EPILOG = f"""\b
Examples:
  {PROGRAM} policy explain -f deployment.yaml --policy policy.yaml
  {PROGRAM} policy explain -f - -n shop --policy policy.yaml --namespace-labels habitat.sh/injection=enabled,tier=web

\b
Exit status:
  0  done, whatever becomes of the workloads
  1  a workload would be refused
  2  wrong usage, or input that cannot be read
"""

EXIT_DENIED = 1
_COLOURS = {"inject": "green", "skip": "yellow", "deny": "red"}


@click.command(cls=Command, epilog=_EPILOG)
@click.option("-f", "--filename", "files", multiple=True, required=True, metavar="FILE", help="As of inject.")
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories of a directory, too.")
@click.option("-n", "--namespace", default="default", show_default=True, metavar="NAME", help="Where none is named.")
@policy_options(required=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(
    files: tuple[str, ...],
    namespace: str,
    policy: Policy,
    namespace_labels: Mapping[str, str] | None,
    output: str,
    *,
    recursive: bool,
) -> None:
    """Say which rules of a policy hold for workloads, which do not and why, and who said each value."""
    judged = []
    for document in read_documents(files, recursive=recursive):
        for found in [] if document.empty else objects(document.value):
            if isinstance(found.template, dict):
                there = found.namespace or namespace
                situation = Situation(
                    namespace=there, namespace_labels=namespace_labels, claim_templates=found.claim_templates
                )
                judged.append((found, there, judge(policy, found.template, situation)))
    if output == "json":
        click.echo(dump_json([_named(found, there) | one.facts() for found, there, one in judged]))
    else:
        say("\n\n".join("\n".join(_lines(found, there, one)) for found, there, one in judged), err=False)
    if any(one.decision == "deny" for _, _, one in judged):
        click.get_current_context().exit(EXIT_DENIED)


def _named(found: Found, namespace: str) -> dict[str, Any]:
    return {"kind": found.kind, "name": found.name, "namespace": namespace}


def _lines(found: Found, namespace: str, one: Judgement) -> Iterator[str]:
    reason = one.outcome.reason
    head = click.style(f"{found.label} in {namespace}", bold=True)
    yield f"{head}: {click.style(reason.code, fg=_COLOURS[one.decision])}: {reason.sentence}"
    yield "  rules:" if one.verdicts else "  rules: the policy has none"
    width = max((len(name) for name, _ in one.verdicts), default=0)
    for name, why in one.verdicts:
        mark = click.style("holds", fg="green") if not why else f"does not hold: {why}"
        yield f"    {name.ljust(width)}  {mark}"
    if one.values:
        yield "  values:"
        widths = [max(len(text) for text in column) for column in zip(*_cells(one), strict=True)]
        for name, value, source in _cells(one):
            yield f"    {name.ljust(widths[0])}  {value.ljust(widths[1])}  {source}"
    for kind, colour, texts in (
        ("error", "red", one.problems),
        ("warning", "yellow", one.outcome.warnings),
        ("audit", "cyan", one.outcome.audit),
    ):
        for text in texts:
            yield f"  {click.style(kind + ':', fg=colour)} {text}"


def _cells(one: Judgement) -> list[tuple[str, str, str]]:
    return [(name, value, source) for name, (value, source) in one.values.items()]

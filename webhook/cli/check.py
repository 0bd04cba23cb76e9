"""`habitat-webhook check`: whether the installation works, seen from the user's side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from webhook.check.line import Level
from webhook.check.run import Result, as_json, carry_out, worst
from webhook.check.seen import Seen
from webhook.cli.connection import connection_options, namespace_value
from webhook.cli.group import PROGRAM, Command
from webhook.cli.installation import connected, said
from webhook.cli.jsonstream import dump_json
from webhook.cli.report import say
from webhook.decide import DOCS_URL

if TYPE_CHECKING:
    from webhook.kube.client import Client

EXIT_FAILED = 1
_POLL_SECONDS = 1.0
_SIGNS = {Level.OK: ("ok  ", "green"), Level.WARN: ("warn", "yellow"), Level.FAIL: ("FAIL", "red")}
_EPILOG = f"""\b
Examples:
  {PROGRAM} check
  {PROGRAM} check --wait 120
  {PROGRAM} check --try-in shop -o json

\b
Exit status:
  0  it works; there may be warnings
  1  something does not
  2  wrong usage, or the cluster cannot be asked
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option(
    "-n",
    "--namespace",
    default="",
    callback=namespace_value,
    metavar="NAME",
    help="The namespace of the installation.  [default: where its Deployment is]",
)
@click.option(
    "--try-in",
    default="",
    callback=namespace_value,
    metavar="NAME",
    help="The namespace in which a pod is created for trial.  [default: one that is enabled]",
)
@click.option(
    "--wait", type=click.IntRange(0, 3600), default=0, metavar="SECONDS", help="Wait until it works, at most so long."
)
@connection_options[0]
@connection_options[1]
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(namespace: str, try_in: str, wait: int, kubeconfig: Path | None, context: str, output: str) -> None:
    """Check whether the installation works, from the API server's call to the certificate's last day.

    A pod is created for trial with dryRun, which goes the whole way through the webhook and is never stored. Everything
    else is read. What you may not look at is said, and is no failure. docs/check.md explains every line.
    """
    with connected(kubeconfig, context) as client:
        results = _checked(client, namespace, try_in, wait)
    if output == "json":
        click.echo(dump_json(as_json(results, DOCS_URL)))
    else:
        say("\n".join(line for result in results for line in _lines(result)), err=False)
        say(_total(results), err=False)
    if worst(results) is Level.FAIL:
        click.get_current_context().exit(EXIT_FAILED)


def _checked(client: Client, namespace: str, try_in: str, wait: int) -> list[Result]:
    end = time.monotonic() + wait
    while True:
        with said(client, "check the installation"):
            results = carry_out(Seen(client, namespace, try_in))
        if worst(results) is not Level.FAIL or time.monotonic() >= end:
            return results
        time.sleep(_POLL_SECONDS)


def _lines(result: Result) -> list[str]:
    sign, colour = _SIGNS[result.line.level]
    lines = [f"{click.style(sign, fg=colour)}  {result.check.name:<15} {result.line.message}"]
    if result.hint:
        lines += [f"      {result.hint}", f"      {DOCS_URL}/{result.check.page}"]
    return lines


def _total(results: list[Result]) -> str:
    counts = {level: sum(r.line.level is level for r in results) for level in Level}
    if counts[Level.FAIL]:
        return f"it does not work: {counts[Level.FAIL]} of {len(results)} checks failed"
    warnings = f", with {counts[Level.WARN]} warning{'s'[: counts[Level.WARN] != 1]}" if counts[Level.WARN] else ""
    proven = any(r.check.name == "call" and r.line.level is Level.OK for r in results)
    return f"it works{warnings}" if proven else f"nothing failed{warnings}, but it is not proven that it works"

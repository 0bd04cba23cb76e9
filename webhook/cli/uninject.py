"""`habitat-webhook uninject`: the manifests as they were before the injection."""

from __future__ import annotations

import click
import jsonpatch

from webhook.cli.group import Command
from webhook.cli.report import Entry, Status
from webhook.cli.transform import Change, Request, input_options, run
from webhook.inject import uninject as uninject_pod
from webhook.options import INJECTED
from webhook.workloads import Found, descend

_EPILOG = """\b
Examples:
  habitat-webhook uninject -f injected.yaml > deployment.yaml
  kubectl get deployment redis -o yaml | habitat-webhook uninject -f -

\b
Exit status:
  0  done; the manifests are on standard output
  1  an object has no pod template; nothing is on standard output
  2  wrong usage, or input that cannot be read
"""


@click.command(cls=Command, epilog=_EPILOG)
@input_options
def uninject(files: tuple[str, ...], namespace: str, output: str | None, *, recursive: bool) -> None:
    """Take out of workloads what an injection has put in.

    Reads what `inject` has written, or objects from the cluster, and gives back the original: everything of yours
    stays, also what you have added since. An object that was not injected passes through exactly as it came.
    """
    run(Request(files, recursive, namespace, output or ""), _change, "uninjected")


def _change(found: Found, _namespace: str) -> Change:
    template = found.template
    bare = uninject_pod(template)
    if bare is template:
        return Change(Entry(found.label, Status.SKIPPED, _why_not(template)))
    operations = tuple(jsonpatch.make_patch(template, bare).patch)
    return Change(Entry(found.label, Status.CHANGED, "uninjected"), bare, operations)


def _why_not(template: object) -> str:
    record = descend(template, ("metadata", "annotations", INJECTED))
    if record is None:
        return "skipped: NotInjected: it carries no annotation habitat.sh/injected."
    return (
        "skipped: UnknownRecord: its annotation habitat.sh/injected is not one that this version has written. "
        "Restore the annotation, or take out by hand what is named habitat-*."
    )

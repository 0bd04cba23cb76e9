"""The command line `habitat-webhook`, and `kubectl habitat`: kubectl runs any `kubectl-habitat` on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from webhook import __version__
from webhook.cli.group import PROGRAM, LazyGroup

_PLUGIN = "kubectl-habitat"

_COMMANDS = {
    "inject": ("webhook.cli.inject:inject", "Make annotated workloads run under the Habitat Supervisor."),
    "uninject": ("webhook.cli.uninject:uninject", "Take out of workloads what an injection has put in."),
    "convert": ("webhook.cli.convert:convert", "Make plain workloads of the archived operator's Habitat objects."),
    "annotations": (
        "webhook.cli.annotations:explain_annotations",
        "Explain every annotation, or give their JSON schema.",
    ),
    "explain": ("webhook.cli.explain:explain", "Say why a workload's pods are injected, or are not."),
    "check": ("webhook.cli.check:check", "Check whether the installation in a cluster works."),
    "doctor": ("webhook.cli.doctor:doctor", "Find what is wrong with pods and workloads, all over the cluster."),
    "policy": ("webhook.cli.policy:policy", "Check, explain and test a cluster-wide policy, without a cluster."),
    "status": ("webhook.cli.status:status", "Show rings, their pods and peers, and what is wrong with them."),
    "ring": ("webhook.cli.ring:ring", "Draw a ring's peer graph."),
    "serve": ("webhook.cli.serve:serve", "Answer the API server's admission reviews."),
    "controller": (
        "webhook.cli.controller:controller",
        "Keep rings and certificates, by the rights of a ServiceAccount.",
    ),
    "certs": ("webhook.cli.certs:certs", "Look at the webhook's certificates, renew them, make some for development."),
    "completion": ("webhook.cli.completion:completion", "Print the script that completes commands in a shell."),
    "version": ("webhook.cli.version:version", "Say which version this is."),
}

_EPILOG = """\b
Example:
  habitat-webhook inject -f deployment.yaml | kubectl apply -f -

Each command explains itself: habitat-webhook inject --help
"""


@click.group(
    cls=LazyGroup,
    table=_COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Plain Kubernetes workloads under the Chef Habitat Supervisor.

    Annotate the pod template of a Deployment with habitat.sh/service, and its pods run as members of a Habitat ring.
    """


def program_name(started_as: str) -> str:
    """The name to show in help and errors: `kubectl habitat` when kubectl has started its plugin."""
    name = Path(started_as).name.removesuffix(".exe").removesuffix(".py").replace("_", "-")
    return "kubectl habitat" if name == _PLUGIN else PROGRAM


def main() -> None:
    """Run the command line; the console scripts' entry point."""
    cli.main(prog_name=program_name(sys.argv[0]))

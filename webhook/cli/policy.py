"""`habitat-webhook policy`: look at a cluster-wide policy without a cluster."""

from __future__ import annotations

import click

from webhook.cli.group import PROGRAM, LazyGroup

_COMMANDS = {
    "check": ("webhook.cli.policycheck:check", "Say every mistake of a policy, with line and column."),
    "explain": (
        "webhook.cli.policyexplain:explain",
        "Say which rules hold, and where each value comes from.",
    ),
    "test": ("webhook.cli.policytest:run_tests", "Run the cases that keep a policy under test."),
    "reference": ("webhook.cli.policydocs:reference", "Explain every key of a policy, or give its JSON schema."),
}

_EPILOG = f"""\b
Examples:
  {PROGRAM} policy check policy.yaml
  {PROGRAM} policy explain -f deployment.yaml --policy policy.yaml --namespace-labels tier=production
  {PROGRAM} policy test policies/
"""


@click.group("policy", cls=LazyGroup, table=_COMMANDS, epilog=_EPILOG)
def policy() -> None:
    """Look at a cluster-wide policy without a cluster."""

"""`habitat-webhook version`."""

from __future__ import annotations

import platform

import click

from webhook import __version__
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json

_EPILOG = """\b
Example:
  habitat-webhook version -o json
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def version(output: str) -> None:
    """Say which version this is."""
    if output == "json":
        click.echo(dump_json({"version": __version__, "python": platform.python_version()}))
    else:
        click.echo(f"{PROGRAM} {__version__}")

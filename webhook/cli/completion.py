"""`habitat-webhook completion`: a shell's script; and `kubectl_complete-habitat`, which kubectl asks for its plugin."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from webhook.cli.group import PROGRAM, Command

_VARIABLE = "_HABITAT_WEBHOOK_COMPLETE"
_FILES, _NOTHING_ELSE = 0, 4
"""What kubectl does besides: complete names of files, or not (cobra's ShellCompDirective)."""

_EPILOG = f"""\b
Examples:
  {PROGRAM} completion bash > /etc/bash_completion.d/{PROGRAM}
  {PROGRAM} completion zsh > "${{fpath[1]}}/_{PROGRAM}"
  {PROGRAM} completion fish > ~/.config/fish/completions/{PROGRAM}.fish

\b
`kubectl habitat` is completed by kubectl itself, as soon as kubectl_complete-habitat is on the path; the installation
brings it.
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell."""
    made = get_completion_class(shell)
    if made is None:  # pragma: no cover - the choices are click's own
        raise click.UsageError(f"click knows no {shell}")
    click.echo(made(_program(), {}, PROGRAM, _VARIABLE).source())


def for_kubectl() -> None:
    """The console script `kubectl_complete-habitat`: completions a line each, and at last what kubectl does besides."""
    *before, incomplete = sys.argv[1:] or [""]
    found = ShellComplete(_program(), {}, "kubectl habitat", _VARIABLE).get_completions(before, incomplete)
    for item in found:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    files = not found or any(item.type in ("file", "dir") for item in found)
    click.echo(f":{_FILES if files else _NOTHING_ELSE}")


def _program() -> click.Command:
    from webhook.cli.main import cli

    return cli

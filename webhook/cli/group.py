"""Commands that are imported when they are run, and help that shows the name the program was started by."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from webhook.cli.errors import Failure
from webhook.unreadable import Unreadable

PROGRAM = "habitat-webhook"


class Command(click.Command):
    """A command whose help says `kubectl habitat` where it was started as kubectl's plugin."""

    def get_help(self, ctx: click.Context) -> str:
        return _by_name(super().get_help(ctx), ctx)


class LazyGroup(click.Group):
    """A group whose commands are modules of their own, imported when one is run.

    So `inject` and `version` start without Flask, gunicorn and the Kubernetes client. The sentence in the table is the
    command's line in the group's help, which therefore imports nothing either.
    """

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **options: Any) -> None:
        """`table`: command name -> ("package.module:attribute", sentence)."""
        super().__init__(**options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self.table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; input that cannot be read ends it with status 2 and says where."""
        try:
            return super().invoke(ctx)
        except Unreadable as error:
            raise Failure(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in self.table.items()])

    def get_help(self, ctx: click.Context) -> str:
        return _by_name(super().get_help(ctx), ctx)


def _by_name(text: str, ctx: click.Context) -> str:
    return text.replace(PROGRAM + " ", f"{ctx.find_root().info_name} ")

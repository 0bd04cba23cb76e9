"""What ends a command with status 2: something that it cannot do as it was asked."""

from __future__ import annotations

import click


class Failure(click.ClickException):
    """A command that cannot do what it was asked; its message says what to do."""

    exit_code = 2

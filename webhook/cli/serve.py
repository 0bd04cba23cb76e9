"""`habitat-webhook serve`: answer the API server's AdmissionReviews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from webhook.server.settings import LOG_LEVELS, ServeSettings, SettingError, flag, variable

F = TypeVar("F", bound=Callable[..., Any])


def _settings(command: F) -> F:
    """One click option for each field of ServeSettings."""
    for setting in reversed(fields(ServeSettings)):
        kind: Any = type(setting.default)
        if setting.name == "log_level":
            kind = click.Choice(LOG_LEVELS)
        elif kind is Path:
            kind = click.Path(path_type=Path)
        command = click.option(
            flag(setting.name),
            envvar=variable(setting.name),
            type=kind,
            default=setting.default,
            show_default=True,
            show_envvar=True,
            help=setting.metadata["doc"],
        )(command)
    return command


@click.command()
@_settings
def serve(**values: Any) -> None:
    """Answer AdmissionReviews on /mutate, over TLS, until SIGTERM.

    /livez, /readyz and /metrics are on a port of their own, in plain HTTP. The log is one JSON object a line on stdout;
    the line "serving" names both ports.
    """
    settings = ServeSettings(**values)
    try:
        settings.validate()
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    from webhook.server.run import Server

    Server(settings).run()

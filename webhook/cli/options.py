"""The command line of a long-running command: an option for each field of its settings (`webhook/settings.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from webhook.settings import SettingError, flag, variable

F = TypeVar("F", bound=Callable[..., Any])


class Validated(Protocol):
    """Settings that know whether they can work together."""

    def validate(self) -> None:
        """Raise SettingError for the first setting that cannot work."""


S = TypeVar("S", bound=Validated)


def settings_options(settings: type[Any]) -> Callable[[F], F]:
    """A decorator: one click option for each field of a settings dataclass, in its order, with its variable."""

    def decorate(command: F) -> F:
        for setting in reversed(fields(settings)):
            kind: Any = type(setting.default)
            if setting.metadata["choices"]:
                kind = click.Choice(setting.metadata["choices"])
            elif kind is Path:
                kind = click.Path(path_type=Path)
            command = click.option(
                flag(setting.name),
                envvar=variable(setting.name),
                type=kind,
                is_flag=kind is bool,
                default=setting.default,
                show_default=True,
                show_envvar=True,
                help=setting.metadata["doc"],
            )(command)
        return command

    return decorate


def settings_of(settings: type[S], values: dict[str, Any]) -> S:
    """The settings that the options gave, validated; one that cannot work is wrong usage."""
    made = settings(**values)
    try:
        made.validate()
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    return made

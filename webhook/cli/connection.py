"""Options of every command that looks into a cluster with the user's own rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from webhook.settings import SettingError, check_namespace

connection_options: tuple[Callable[..., Any], ...] = (
    click.option(
        "--kubeconfig",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        metavar="FILE",
        help="The kubeconfig to use.  [default: $KUBECONFIG, or ~/.kube/config]",
    ),
    click.option("--context", default="", metavar="NAME", help="The kubeconfig's context to use."),
)


def namespace_value(_context: click.Context, option: click.Parameter, name: str) -> str:
    """For `callback`: the name of a namespace; "" only for an option that may be left out."""
    try:
        if name or option.default:
            check_namespace(name, "the namespace")
    except SettingError as error:
        raise click.BadParameter(str(error)) from None
    return name

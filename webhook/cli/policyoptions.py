"""Policies and namespaces on the command line, for `inject` and the `policy` commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from webhook.cli.errors import Failure
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError

F = TypeVar("F", bound=Callable[..., Any])


def loaded(path: Path) -> Policy:
    """Raises Failure, which ends the command with status 2: every mistake, a line each."""
    try:
        return Policy.load(path)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    except PolicyError as error:
        raise Failure(f"the policy cannot be used:\n{error}") from error


def _policy(_context: click.Context, _option: click.Parameter, path: Path | None) -> Policy | None:
    return None if path is None else loaded(path)


def _labels(_context: click.Context, _option: click.Parameter, text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    found = {}
    for word in text.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{word!r} is no label; write key=value, with commas between")
        found[key] = value
    return found


def policy_options(*, required: bool = False) -> Callable[[F], F]:
    """A decorator: --policy FILE as a `Policy`, --namespace-labels LIST as a mapping; each None when not given."""

    def decorate(command: F) -> F:
        command = click.option(
            "--namespace-labels",
            default=None,
            callback=_labels,
            metavar="LIST",
            help='Labels of the namespace, key=value with commas between, "" for none. Without this option they are '
            "not known: rules that go by them are not applied, with a warning.",
        )(command)
        return click.option(
            "--policy",
            default=None,
            required=required,
            type=click.Path(path_type=Path),
            callback=_policy,
            metavar="FILE",
            help="The cluster-wide policy, as the webhook has it.",
        )(command)

    return decorate

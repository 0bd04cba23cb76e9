"""`habitat-webhook policy check`: every mistake of a policy, with line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from webhook.cli.errors import Failure
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json
from webhook.cli.report import say
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError
from webhook.policy.shapes import Issue

_EPILOG = f"""\b
Examples:
  {PROGRAM} policy check policy.yaml
  {PROGRAM} policy check -o json policy.yaml | jq '.[].issues'

\b
Exit status:
  0  every file can be used; there may be warnings
  1  one cannot, or there are warnings with --strict
  2  wrong usage, or a file that is not there
"""

EXIT_WRONG = 1


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--strict", is_flag=True, help="Warnings are mistakes.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(files: tuple[Path, ...], output: str, *, strict: bool) -> None:
    """Say every mistake of a policy with line and column, and warn of rules that do less than they seem to.

    Reads the file exactly as the webhook does.
    """
    checked = [_checked(path) for path in files]
    if output == "json":
        click.echo(dump_json(checked))
    else:
        for one in checked:
            say("\n".join(_lines(one)), err=False)
    if any(one["issues"] or (strict and one["warnings"]) for one in checked):
        click.get_current_context().exit(EXIT_WRONG)


def _checked(path: Path) -> dict[str, Any]:
    try:
        policy = Policy.load(path)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    except PolicyError as error:
        return {"file": str(path), "issues": _facts(error.issues), "left_out": error.left_out, "warnings": []}
    warnings = _facts(policy.warnings)
    return {"file": str(path), "issues": [], "warnings": warnings, "rules": len(policy.document.rules)}


def _facts(issues: tuple[Issue, ...]) -> list[dict[str, Any]]:
    return [{"line": issue.line, "column": issue.column, "text": issue.text} for issue in issues]


def _lines(one: dict[str, Any]) -> list[str]:
    lines = []
    for kind, colour, found in (("error", "red", one["issues"]), ("warning", "yellow", one["warnings"])):
        for issue in found:
            place = f"{one['file']}:{issue['line']}:{issue['column']}"
            lines.append(f"{place}: {click.style(kind, fg=colour)}: {issue['text']}")
    if one["issues"]:
        count = len(one["issues"]) + one["left_out"]
        more = f"; {one['left_out']} of them are not shown" if one["left_out"] else ""
        return [*lines, f"{one['file']}: {count} mistake{'s'[: count != 1]}{more}: the webhook would refuse it"]
    return [*lines, f"{one['file']}: can be used, {one['rules']} rule{'s'[: one['rules'] != 1]}"]

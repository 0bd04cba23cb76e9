"""`habitat-webhook policy test`: run the cases that keep a policy under test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from webhook.cli.documents import read_documents
from webhook.cli.errors import Failure
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json
from webhook.cli.policyoptions import loaded
from webhook.cli.report import say
from webhook.decide import Situation
from webhook.policy.cases import KIND, SUITE, Case, Suite
from webhook.policy.judgement import judge
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError, read_bytes, read_object
from webhook.workloads import Found, objects

_EPILOG = f"""\b
Examples:
  {PROGRAM} policy test deploy/examples/policies/tests
  {PROGRAM} policy test -o json policies/ | jq '.[] | select(.differences != [])'

\b
Exit status:
  0  every case came out as expected
  1  one did not
  2  wrong usage, no case at all, or a file that cannot be read
"""

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class _Result:
    """differences: (what, expected, found) of each thing that came out otherwise."""

    file: Path
    case: Case
    differences: tuple[tuple[str, str, str], ...]

    def facts(self) -> dict[str, Any]:
        names = ("what", "expected", "found")
        found = [dict(zip(names, difference, strict=True)) for difference in self.differences]
        return {"file": str(self.file), "line": self.case.line, "case": self.case.name, "differences": found}


@click.command("test", cls=Command, epilog=_EPILOG)
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def run_tests(places: tuple[Path, ...], output: str) -> None:
    """Run the cases of every file of kind PolicyTest in a directory and below, by the engine of the webhook.

    docs/policy.md shows how a case is written.
    """
    results = [result for place in places for file in _files(place) for result in _run(file)]
    if not results:
        raise Failure(f"there is no case: no .yaml file of kind {KIND} in {', '.join(map(str, places))}")
    failed = [result for result in results if result.differences]
    if output == "json":
        click.echo(dump_json([result.facts() for result in results]))
    else:
        lines = [line for result in results for line in _lines(result)]
        say("\n".join([*lines, f"{len(results)} cases, {len(failed)} not as expected"]), err=False)
    if failed:
        click.get_current_context().exit(EXIT_FAILED)


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(file for pattern in ("*.yaml", "*.yml") for file in place.rglob(pattern) if _is_suite(file))
    return [place]


def _is_suite(file: Path) -> bool:
    """Whether a file is of our kind: policies and manifests may lie beside the cases."""
    try:
        found = next(iter(yaml.safe_load_all(file.read_text())), None)
    except (yaml.YAMLError, UnicodeDecodeError):
        return KIND in file.read_text(errors="replace")  # then it is read, and its mistake is said
    return isinstance(found, dict) and found.get("kind") == KIND


def _run(file: Path) -> Iterator[_Result]:
    try:
        suite: Suite = read_object(read_bytes(file), str(file), SUITE)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from error
    except PolicyError as error:
        raise Failure(str(error)) from error
    policy = loaded(file.parent / suite.policy)
    for case in suite.cases:
        yield _Result(file, case, tuple(_differences(file, case, policy)))


def _differences(file: Path, case: Case, policy: Policy) -> Iterator[tuple[str, str, str]]:
    found = _workload(file, case)
    situation = Situation(
        namespace=case.namespace, namespace_labels=case.namespace_labels, claim_templates=found.claim_templates
    )
    yield from case.expected.differences(judge(policy, found.template, situation))


def _workload(file: Path, case: Case) -> Found:
    if case.file:
        documents = read_documents([str(file.parent / case.file)], recursive=False)
        values = [document.value for document in documents if not document.empty]
    else:
        values = [case.workload]
    found = [one for value in values for one in objects(value) if isinstance(one.template, dict)]
    if len(found) != 1:
        where = f"{file}:{case.line}: case {case.name!r}"
        raise Failure(f"{where} has {len(found)} workloads; give it one object with a pod template")
    return found[0]


def _lines(result: _Result) -> Iterator[str]:
    if not result.differences:
        yield f"{click.style('ok', fg='green')}    {result.case.name}"
        return
    yield f"{click.style('FAIL', fg='red')}  {result.case.name}  ({result.file}:{result.case.line})"
    for what, expected, found in result.differences:
        yield f"      {what}"
        yield click.style(f"        - {_indented(expected)}", fg="red")
        yield click.style(f"        + {_indented(found)}", fg="green")


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ")

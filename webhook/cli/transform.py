"""What `inject` and `uninject` share: manifests in, each workload's pod template changed, manifests and report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from webhook.cli.documents import Document, Format, read_documents, usual_format, write_documents
from webhook.cli.jsonstream import dump_json
from webhook.cli.report import Entry, Status, render, say
from webhook.workloads import Found, Path, objects, pointer, replaced

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_INVALID = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked of the command; output "" keeps the format of the input."""

    files: Sequence[str]
    recursive: bool
    namespace: str
    output: str


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one workload: its part of the report, its new template, and the operations relative to that."""

    entry: Entry
    template: Any = None
    operations: tuple[dict[str, Any], ...] = ()


Transformation = Callable[[Found, str], Change]
"""(workload with a template, its namespace or "" when nothing names one) -> change."""


@dataclass(slots=True)
class _Result:
    document: Document
    value: Any
    entries: list[Entry]
    patches: list[dict[str, Any]]


_OUTPUTS = {
    "yaml": "",
    "json": "yaml or json: the manifests (default: as they came).",
    "patch": "patch: a JSON object for each changed object, with its JSON Patch.",
    "report": "report: the report alone, on standard output.",
}


def input_options(command: Command) -> Command:
    """The options of a command that reads manifests and writes them again, with one patch for each."""
    return manifest_options(*_OUTPUTS)(command)


def manifest_options(*outputs: str) -> Callable[[Command], Command]:
    """The options of a command that reads manifests and writes some; `outputs`: what it can write, of _OUTPUTS."""
    decorators = (
        click.option(
            "-f",
            "--filename",
            "files",
            multiple=True,
            required=True,
            metavar="FILE",
            help="A manifest, a directory of manifests, or - for standard input; may be given several times.",
        ),
        click.option("-R", "--recursive", is_flag=True, help="Look into the directories of a directory, too."),
        click.option(
            "-n", "--namespace", default="", metavar="NAME", help="The namespace of objects that name none themselves."
        ),
        click.option(
            "-o",
            "--output",
            type=click.Choice(outputs),
            default=None,
            help=" ".join(filter(None, map(_OUTPUTS.__getitem__, outputs))),
        ),
    )

    def decorated(command: Command) -> Command:
        for decorate in reversed(decorators):
            command = decorate(command)
        return command

    return decorated


def run(request: Request, transformation: Transformation, verb: str) -> None:
    """Read, change, write; ends the process with 1 and no output when an object cannot be changed as it is written."""
    documents = read_documents(request.files, recursive=request.recursive)
    results = [_transformed(document, transformation, request.namespace) for document in documents]
    conclude([entry for result in results for entry in result.entries], request.output, verb)
    if request.output != "report":
        click.echo(_output(request.output, results).encode(), nl=False)


def conclude(entries: Sequence[Entry], output: str, verb: str) -> None:
    """Say the report; ends the process with 1 when it has an object with problems."""
    say(render(entries, verb), err=output != "report")
    if any(entry.status is Status.INVALID for entry in entries):
        if output != "report":
            click.echo(_nothing_written(entries), err=True)
        click.get_current_context().exit(EXIT_INVALID)


def _nothing_written(entries: Sequence[Entry]) -> str:
    problems = sum(len(entry.problems) for entry in entries)
    return f"nothing is written to standard output: mend the {problems} error{'s'[: problems != 1]} above first"


def _output(output: str, results: Sequence[_Result]) -> str:
    if output == "patch":
        return "".join(dump_json(patch) + "\n" for result in results for patch in result.patches)
    form = chosen_format(output, [result.document for result in results])
    return write_documents(((result.document, result.value) for result in results), form)


def chosen_format(output: str, documents: Sequence[Document]) -> Format:
    """The user's choice; without one that of the input."""
    if output in ("yaml", "json"):
        return "json" if output == "json" else "yaml"
    return usual_format(documents)


def _transformed(document: Document, transformation: Transformation, namespace: str) -> _Result:
    result = _Result(document, document.value, [], [])
    if document.empty:
        return result
    for found in objects(document.value):
        change = _change(found, document, transformation, namespace)
        result.entries.append(change.entry)
        if change.entry.status is not Status.CHANGED or found.template_path is None:
            continue
        path = found.template_path
        result.value = replaced(result.value, (*found.path, *path), change.template)
        result.patches.append(_patch(found, path, change.operations, namespace))
    return result


def _change(found: Found, document: Document, transformation: Transformation, namespace: str) -> Change:
    path = found.template_path
    if not found.kind:
        return Change(not_an_object(document))
    if path is None:
        headline = f"skipped: NotAWorkload: {_article(found.kind)} {found.kind} makes no pods."
        return Change(Entry(found.label, Status.SKIPPED, headline))
    if not isinstance(found.template, dict):
        where = ".".join(map(str, path))
        problem = f"{where}: there is no pod template; write one, or leave the object out ({document.place})"
        return Change(Entry(found.label, Status.INVALID, "error", problems=(problem,)))
    return transformation(found, found.namespace or namespace)


def not_an_object(document: Document) -> Entry:
    headline = "skipped: NotAnObject: it has no kind, so it is not a Kubernetes object."
    return Entry(document.place, Status.SKIPPED, headline)


def _article(kind: str) -> str:
    return "an" if kind[0] in "AEIO" else "a"


def _patch(found: Found, path: Path, operations: Sequence[dict[str, Any]], namespace: str) -> dict[str, Any]:
    """One object's JSON Patch, its paths from the object's own root, so that `kubectl patch --type=json` takes it."""
    named = {"apiVersion": found.api_version, "kind": found.kind, "name": found.name}
    if found.namespace or namespace:
        named["namespace"] = found.namespace or namespace
    return {**named, "patch": [_below(operation, pointer(path)) for operation in operations]}


def _below(operation: dict[str, Any], prefix: str) -> dict[str, Any]:
    moved = {**operation, "path": prefix + operation["path"]}
    if "from" in operation:
        moved["from"] = prefix + operation["from"]
    return moved

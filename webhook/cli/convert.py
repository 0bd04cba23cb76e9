"""`habitat-webhook convert`: plain workloads from the Habitat objects of the archived operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from webhook.cli.documents import Document, read_documents, write_documents
from webhook.cli.group import Command
from webhook.cli.report import Entry, Status
from webhook.cli.transform import chosen_format, conclude, manifest_options, not_an_object
from webhook.convert import GROUP, KIND, Conversion, Fate, foreign, lost_selectors, owner
from webhook.convert import convert as convert_habitat
from webhook.decide import DOCS_URL
from webhook.options import BY_NAME
from webhook.workloads import Found, Path, objects

_EPILOG = """\b
Examples:
  habitat-webhook convert -f habitat.yaml > workloads.yaml
  kubectl get habitats -n shop -o yaml | habitat-webhook convert -f - --license accept-no-persist
  habitat-webhook convert -f manifests/ -o report

\b
Exit status:
  0  done; the manifests are on standard output
  1  a Habitat cannot be converted as it is written; nothing is on standard output
  2  wrong usage, or input that cannot be read
"""

_LICENCE = BY_NAME["license"]
_NOTE = (
    "pods run under the Supervisor only in a namespace that is labelled habitat.sh/injection=enabled; "
    f"what has to go before you apply this, and in which order: {DOCS_URL}/migrate-from-the-operator.md"
)

Key = tuple[str, str]
"""Namespace, "" when nothing names one, and name."""


@dataclass(frozen=True, slots=True)
class _Result:
    """One document: its entries, and what stands now in the place of its objects, by their path in it.

    made: nothing for what is left out; an object that is not here passes through.
    """

    document: Document
    entries: list[Entry]
    made: Mapping[Path, Sequence[dict[str, Any]]]

    def documents(self) -> Iterator[tuple[Document, Any]]:
        if not self.made:
            yield self.document, self.document.value
            return
        for value in _rebuilt(self.document.value, (), self.made):
            yield self.document.made(value), value


@click.command(cls=Command, epilog=_EPILOG)
@manifest_options("yaml", "json", "report")
@click.option(
    "--license",
    "licence",
    type=click.Choice(_LICENCE.kind.schema["enum"]),
    default=None,
    help="Your word that you accept Chef's licence, written as habitat.sh/license. Nobody accepts it for you.",
)
def convert(
    files: tuple[str, ...], namespace: str, output: str | None, licence: str | None, *, recursive: bool
) -> None:
    """Make plain workloads of the archived operator's Habitat objects.

    Reads Habitat objects (v1beta1, and v1beta2 with its spec.v1beta2), alone, in files of several documents and in
    Lists, in YAML or JSON. Each becomes a Deployment with annotations; with persistentStorage a StatefulSet and a
    headless Service. Everything else passes through as it came, Secrets too: the annotations name the same ones. The
    comments of a Habitat stay behind.

    The manifests go to standard output, a report on every field of every Habitat to standard error.
    """
    documents = read_documents(files, recursive=recursive)
    secrets = _secrets(documents, namespace)
    results = [_result(document, namespace, licence, secrets) for document in documents]
    conclude([entry for result in results for entry in result.entries], output or "", "converted")
    if output != "report":
        form = chosen_format(output or "", documents)
        text = write_documents((pair for result in results for pair in result.documents()), form)
        click.echo(text.encode(), nl=False)


def _secrets(documents: Sequence[Document], namespace: str) -> dict[str, dict[str, frozenset[str]]]:
    """The keys of the input's Secrets, by namespace and name; never a value of one."""
    known: dict[str, dict[str, frozenset[str]]] = {}
    for document in documents:
        for found in objects(document.value):
            if (found.api_version, found.kind) == ("v1", "Secret"):
                parts = (found.value.get(part) for part in ("data", "stringData"))
                keys = frozenset(str(key) for part in parts if isinstance(part, dict) for key in part)
                known.setdefault(found.namespace or namespace, {})[found.name] = keys
    return known


def _result(
    document: Document, namespace: str, licence: str | None, secrets: Mapping[str, Mapping[str, frozenset[str]]]
) -> _Result:
    made: dict[Path, Sequence[dict[str, Any]]] = {}
    result = _Result(document, [], made)
    for found in () if document.empty else objects(document.value):
        if habitat := owner(found.value):
            headline = f"left out: the operator made it of {KIND}/{habitat}, and it goes with that one."
            result.entries.append(Entry(found.label, Status.SKIPPED, headline))
            made[found.path] = ()
            continue
        if not _is_habitat(found):
            result.entries.append(_passed(found, document))
            continue
        where = found.namespace or namespace
        conversion = convert_habitat(
            _whole(found), namespace=where or "default", licence=licence, secrets=secrets.get(where, {})
        )
        result.entries.append(_entry(found, conversion))
        made[found.path] = conversion.objects
    return result


def _whole(found: Found) -> dict[str, Any]:
    """The object with what only its typed list says of it."""
    said = {"apiVersion": found.api_version, "kind": found.kind}
    return {**{name: text for name, text in said.items() if text}, **found.value}


def _is_habitat(found: Found) -> bool:
    """The operator's kind; one without an apiVersion, as some tutorials had it, is meant to be one too."""
    return found.kind == KIND and found.api_version.partition("/")[0] in (GROUP, "")


def _entry(found: Found, conversion: Conversion) -> Entry:
    count = len(conversion.problems)
    if count:
        headline = f"cannot be converted, {count} problem{'s'[: count != 1]}:"
        return Entry(found.label, Status.INVALID, headline, conversion.warnings, conversion.problems)
    fates = Counter(row.fate for row in conversion.rows)
    workload = conversion.workload
    counts = ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate)
    headline = f"converted to {workload['kind']}/{workload['metadata']['name']}; fields: {counts}"
    details = tuple((row.fate.value, f"{row.path}: {row.text}") for row in conversion.rows)
    return Entry(found.label, Status.CHANGED, headline, conversion.warnings, note=_NOTE, details=details)


def _passed(found: Found, document: Document) -> Entry:
    group = found.api_version.partition("/")[0]
    if not found.kind and group == GROUP:
        problem = f"kind: there is none; write kind: {KIND} ({document.place})"
        return Entry(document.place, Status.INVALID, "error", problems=(problem,))
    if not found.kind:
        return not_an_object(document)
    warnings = lost_selectors(found.value)
    if group == GROUP:
        warnings.append(f"no API server knows it any more: {foreign(found.kind)}; take it out")
    return Entry(found.label, Status.SKIPPED, "skipped: NotAHabitat: it passes through as it came.", tuple(warnings))


def _rebuilt(value: Any, path: Path, made: Mapping[Path, Sequence[dict[str, Any]]]) -> list[Any]:
    """What stands in the place of a document, or of an item of a List; a HabitatList becomes a plain List."""
    if path in made:
        return list(made[path])
    if not any(inner[: len(path)] == path for inner in made):
        return [value]
    items = [new for index, item in enumerate(value["items"]) for new in _rebuilt(item, (*path, "items", index), made)]
    return [{**value, "apiVersion": "v1", "kind": "List", "items": items}]

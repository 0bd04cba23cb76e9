"""chart/README.md from chart/values.yaml and chart/values.schema.json: every value, its default, and what is allowed.

The comment right above a value is its text; a value without one is an error. `make docs` writes the file, `make lint`
says when it is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "chart"
INTRODUCTION = """\
# The chart of habitat-webhook

<!-- Written by `make docs` from values.yaml and values.schema.json. -->

```console
$ helm install habitat-webhook deploy/chart --namespace habitat-webhook --create-namespace --set image.repository=…
```

[docs/install.md](../../docs/install.md) says what to decide before,
[docs/upgrade-uninstall.md](../../docs/upgrade-uninstall.md) what comes after. A value that is not in this table is
refused.
"""


class ValuesError(ValueError):
    """values.yaml and values.schema.json do not go together; the text names the value."""


@dataclass(frozen=True, slots=True)
class Value:
    """path: such as ("image", "tag"). text: its documentation. default: as in values.yaml. schema: None of a group."""

    path: tuple[str, ...]
    text: str
    default: Any
    schema: dict[str, Any] | None

    @property
    def name(self) -> str:
        return ".".join(self.path)


def values(source: str, schema: dict[str, Any]) -> Iterator[Value]:
    """Every group and value in the order of values.yaml. Raises ValuesError.

    A group is a mapping whose names the schema lists itself; one that it only refers to ($ref) is a value of
    Kubernetes' own form.
    """
    yield from _below((), yaml.compose(source), schema, source.splitlines())


def _below(path: tuple[str, ...], node: Any, schema: dict[str, Any], lines: list[str]) -> Iterator[Value]:
    known = schema["properties"]
    keys = [key.value for key, _ in node.value]
    missing = sorted(set(known) - set(keys) - ({"global"} if not path else set()))
    if missing:
        raise ValuesError(f"values.yaml has no {'.'.join((*path, missing[0]))}, which values.schema.json allows")
    for key, child in node.value:
        here = (*path, key.value)
        if key.value not in known:
            raise ValuesError(f"values.schema.json does not allow {'.'.join(here)}, which values.yaml has")
        of = known[key.value]
        text = _comment(lines, key.start_mark.line, key.start_mark.column)
        if not text:
            raise ValuesError(f"{'.'.join(here)} has no comment right above it in values.yaml")
        default = yaml.safe_load(yaml.serialize(child))
        if "properties" in of:
            yield Value(here, text, default, None)
            yield from _below(here, child, of, lines)
        else:
            yield Value(here, text, default, of)


def _comment(lines: list[str], line: int, column: int) -> str:
    """The comment that ends right above a line, at the same indentation, as one paragraph."""
    found: list[str] = []
    prefix = " " * column + "#"
    while line > 0 and lines[line - 1].startswith(prefix):
        line -= 1
        found.insert(0, lines[line][len(prefix) :].strip())
    return " ".join(found)


def allowed(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "$ref" in schema:
        return allowed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return ", ".join(f"`{word}`" if word else "empty" for word in schema["enum"])
    kinds: list[str] = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {"object": "map", "array": "list", "boolean": "`true`, `false`", "integer": "number", "null": "`null`"}
    text = ", ".join(words.get(kind, kind) for kind in kinds)
    if "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    return f"{text}, {schema['minimum']} or more" if "minimum" in schema else text


def table(source: str, schema: dict[str, Any]) -> str:
    """The whole README. Raises ValuesError."""
    groups: dict[str, list[str]] = {}
    others: list[str] = []
    for value in values(source, schema):
        if value.schema is None and len(value.path) == 1:
            groups[value.path[0]] = [f"\n## {value.name}\n\n{value.text}\n\n{_HEAD}"]
        rows = groups.get(value.path[0], others)
        if value.schema is not None:
            default = json.dumps(value.default, ensure_ascii=False)
            cells = (f"`{value.name}`", f"`{default}`", allowed(value.schema, schema["definitions"]), value.text)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    sections = ["".join(rows) for rows in groups.values()]
    return INTRODUCTION + "".join(sections) + f"\n## Everything else\n\n{_HEAD}" + "".join(others)


_HEAD = "| value | default | allowed | what it is |\n|---|---|---|---|\n"


def main() -> int:
    try:
        source, schema = (CHART / "values.yaml").read_text(), json.loads((CHART / "values.schema.json").read_text())
        sys.stdout.write(table(source, schema))
    except ValuesError as error:
        print(f"deploy/values_table.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

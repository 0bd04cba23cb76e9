"""Manifests in and out: files, directories and standard input as documents, and documents as one stream again.

What is not changed leaves exactly as it came, comments, quoting and all.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from webhook.cli.jsonstream import dump_json, is_json_object, may_be_json, read_json
from webhook.cli.yamledit import rewrite, same
from webhook.cli.yamlwrite import block_lines
from webhook.unreadable import Unreadable
from webhook.yamlnodes import Part, read_stream, value_of

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STANDARD_INPUT = "standard input"

Format = Literal["yaml", "json"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document of the input and its value; `part` is its YAML text, None for one that came as JSON text."""

    source: str
    number: int
    value: Any
    text: str
    part: Part | None

    @property
    def place(self) -> str:
        return f"{self.source}, document {self.number}"

    @property
    def empty(self) -> bool:
        return self.value is None

    def made(self, value: Any) -> Document:
        """A new document in the place of this one, with nothing of its text."""
        return Document(self.source, self.number, value, dump_json(value), None)

    def as_yaml(self, value: Any) -> str:
        """The document with another value, as YAML; its own text where that can stay."""
        if self.part is None:
            return "\n".join(block_lines(value, 0)) + "\n"
        return rewrite(self.part, self.value, value)

    def as_json(self, value: Any) -> str:
        """The document with another value, as JSON; its own text when it came as JSON and nothing has changed."""
        return self.text if self.part is None and same(self.value, value) else dump_json(value)


def read_documents(names: Sequence[str], *, recursive: bool = False) -> list[Document]:
    """The documents of files, of the manifests in directories, and of standard input ("-"), in order.

    Raises Unreadable for what does not exist, is not text, is neither YAML nor JSON, or holds no object at all.
    """
    if names.count("-") > 1:
        raise Unreadable(STANDARD_INPUT, "named twice, but it can be read once only", advice="give one -f -")
    documents = [document for name in names for document in _read(name, recursive=recursive)]
    if all(document.empty for document in documents):
        raise Unreadable(", ".join(map(_shown, names)), "no Kubernetes object in it", advice="is it the right file?")
    return documents


def _shown(name: str) -> str:
    return STANDARD_INPUT if name == "-" else name


def _read(name: str, *, recursive: bool) -> Iterator[Document]:
    if name == "-":
        yield from _parse(_decode(sys.stdin.buffer.read(), STANDARD_INPUT), STANDARD_INPUT)
        return
    if name.startswith(("http://", "https://")):
        raise Unreadable(name, "nothing is downloaded", advice=f"pipe it in: curl -fsSL {name} | … -f -")
    path = Path(name)
    for file in _manifests(path, recursive=recursive) if path.is_dir() else [path]:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Unreadable(str(file), error.strerror or str(error)) from error
        yield from _parse(_decode(content, str(file)), str(file))


def _manifests(directory: Path, *, recursive: bool) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(directory):
        found += [Path(parent, name) for name in files if Path(name).suffix in SUFFIXES]
        if not recursive:
            folders.clear()
    if not found:
        advice = "" if recursive else "give -R to look into its directories too"
        raise Unreadable(str(directory), f"the directory has no {', '.join(sorted(SUFFIXES))} file", advice=advice)
    return sorted(found)


def _decode(content: bytes, source: str) -> str:
    """Text from UTF-8 or, with a byte order mark, UTF-16: what `>` writes on Windows."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n"), len(before) - (before.rfind(b"\n") + 1)
        what = f"byte 0x{content[error.start]:02X} is not UTF-8"
        raise Unreadable(source, what, line=line, column=column, advice="save the file as UTF-8") from error


def _parse(text: str, source: str) -> Iterator[Document]:
    if may_be_json(text):
        try:
            values = read_json(text, source)
        except json.JSONDecodeError as error:
            if source.endswith(".json") or (is_json_object(text) and not _is_yaml(text, source)):
                line, column = error.lineno - 1, error.colno - 1
                raise Unreadable(source, f"not JSON: {error.msg}", line=line, column=column) from error
        else:
            for number, (value, own_text) in enumerate(values, start=1):
                yield Document(source, number, value, own_text, None)
            return
    for number, part in enumerate(read_stream(text, source), start=1):
        value = value_of(part.root, source) if part.root else None
        yield Document(source, number, value, part.text, part)


def _is_yaml(text: str, source: str) -> bool:
    """Whether a text that begins with a brace is YAML in flow style after all."""
    try:
        read_stream(text, source)
    except Unreadable:
        return False
    return True


def usual_format(documents: Iterable[Document]) -> Format:
    """JSON when all of the input was, else YAML."""
    return "json" if all(document.part is None for document in documents) else "yaml"


def write_documents(changed: Iterable[tuple[Document, Any]], form: Format) -> str:
    """The documents with their new values as one stream; kubectl reads JSON documents one after the other too."""
    if form == "json":
        texts = (document.as_json(value) for document, value in changed if not document.empty)
        return "".join(text.rstrip() + "\n" for text in texts)
    stream, unclosed = "", False
    for document, value in changed:
        text = document.as_yaml(value)
        stream += (_separator(stream, document, unclosed=unclosed) if stream else "") + text
        part = document.part
        if part is None or part.root is not None:
            unclosed = part is None or not part.closed
    return stream


def _separator(stream: str, document: Document, *, unclosed: bool) -> str:
    """What has to stand before a document that may not have followed the text before it; unclosed: no `...` there."""
    line_break = "" if stream.endswith("\n") else "\n"
    part = document.part
    if part is not None and part.root is None:
        return line_break
    if part is None or not part.explicit:
        return line_break + "---\n"
    return line_break + ("...\n" if part.directives and unclosed else "")

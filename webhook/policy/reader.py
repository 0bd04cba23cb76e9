"""A policy's text -> its document, or every mistake in it with line and column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webhook.policy.document import Document
from webhook.policy.grammar import DOCUMENT
from webhook.policy.lint import warnings
from webhook.policy.shapes import Issue, Object, Report
from webhook.unreadable import Unreadable
from webhook.yamlnodes import read_stream

MOST_BYTES = 1024 * 1024
"""What a ConfigMap can hold (kubernetes/api core/v1 types.go, MaxSecretSize is the same)."""

MOST_NODES = 250_000
"""Values in one file: 25 for each of the most rules. What they take of memory while they are read is bounded by it."""


_NO_YAML = "this is not YAML: indent with spaces, and quote a text that begins with ! & * [ or {"


class PolicyError(ValueError):
    """A file that is no policy; its text has a line for each mistake. left_out: mistakes not among `issues`."""

    def __init__(self, source: str, issues: Sequence[Issue], left_out: int = 0) -> None:
        self.source, self.issues, self.left_out = source, tuple(issues), left_out
        lines = [f"{source}:{issue}" for issue in issues]
        if left_out:
            lines.append(f"{source}: and {left_out} more mistakes")
        super().__init__("\n".join(lines))


def read_bytes(path: Path) -> bytes:
    """The content of a file that is not too large to be a policy. Raises OSError, PolicyError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        what = f"the file is larger than {MOST_BYTES} bytes, which is what a ConfigMap can hold; make it smaller"
        raise PolicyError(str(path), [Issue(1, 1, what)])
    return content


def read(content: bytes, source: str) -> tuple[Document, tuple[Issue, ...]]:
    """The document, and warnings about rules that do less than they seem to. Raises PolicyError."""
    document: Document = read_object(content, source, DOCUMENT)
    return document, tuple(warnings(document))


def read_object(content: bytes, source: str, shape: Object) -> Any:
    """What a shape makes of the only document of a YAML text. Raises PolicyError."""
    if len(content) > MOST_BYTES:
        raise PolicyError(source, [Issue(1, 1, f"the text has {len(content)} bytes; allowed: {MOST_BYTES}")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        issue = Issue(
            before.count(b"\n") + 1,
            len(before) - before.rfind(b"\n"),
            f"byte 0x{content[error.start]:02X} is not UTF-8; save the file as UTF-8",
        )
        raise PolicyError(source, [issue]) from None
    try:
        parts = [part for part in read_stream(text, source, most_nodes=MOST_NODES) if part.root is not None]
    except Unreadable as error:
        what = f"{error.what}; {error.advice or _NO_YAML}"
        raise PolicyError(source, [Issue((error.line or 0) + 1, (error.column or 0) + 1, what)]) from None
    if len(parts) != 1 or parts[0].root is None:
        what = (
            f"the file has {len(parts)} documents; write one {shape.name}"
            if parts
            else f"the file is empty; write a {shape.name}"
        )
        line = parts[1].line + 1 if parts else 1
        raise PolicyError(source, [Issue(line, 1, what)])
    report = Report()
    made = shape.read(parts[0].root, report)
    if report.issues:
        issues = sorted(report.issues, key=lambda issue: (issue.line, issue.column))
        raise PolicyError(source, issues, report.left_out)
    return made

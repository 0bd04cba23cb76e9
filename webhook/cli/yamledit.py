"""Changes the value of a YAML document by changing as little of its text as possible: comments and quoting stay.

The tree says where each node stands; the difference between the old value and the new one becomes a list of edits of
the text. The result is read again and compared, so a layout that this module does not know (an anchor whose node
changes, a document in flow style) costs the comments of that document, never its meaning: it is then written anew.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from webhook.cli.yamlwrite import block_lines, entry_lines, item_lines
from webhook.unreadable import Unreadable
from webhook.yamlnodes import Node, Part, key_of, read_stream, value_of


def rewrite(part: Part, old: Any, new: Any) -> str:
    """The text of `part` with the value `new` in place of `old`.

    Raises AssertionError, a bug of ours, when even the document written anew does not read back as `new`.
    """
    if same(old, new):
        return part.text
    text = _edited(part, old, new)
    if text is None:
        text = _anew(part, new)
        if not same(_read(text), new):
            raise AssertionError("the YAML writer made a document that does not read back as its value")
    return text


def same(one: Any, other: Any) -> bool:
    """Equality as JSON sees it: 1 and 1.0 are the same number, 1 and true are not the same value."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _read(text: str) -> Any:
    parts = read_stream(text, "our own output")
    if len(parts) != 1 or parts[0].root is None:
        return None
    return value_of(parts[0].root, "our own output")


def _anew(part: Part, new: Any) -> str:
    """The whole document from its value, below the comments that stood before its first node."""
    head = part.text[: part.root.start - part.offset] if part.root else ""
    head = head[: head.rfind("\n") + 1] or ("---\n" if part.explicit else "")
    return head + "\n".join(block_lines(new, 0)) + "\n" + ("...\n" if part.closed else "")


def _edited(part: Part, old: Any, new: Any) -> str | None:
    if part.root is None:
        return None
    text = part.text if part.text.endswith("\n") else part.text + "\n"
    editor = _Editor(text, part.offset, _sequence_step(part.root))
    try:
        editor.change(part.root, old, new)
        edited = editor.result()
        return edited if same(_read(edited), new) else None
    except (_UnknownLayoutError, Unreadable):
        return None


class _UnknownLayoutError(Exception):
    """The text is laid out in a way that piecewise editing does not know."""


@dataclass(slots=True)
class _Editor:
    """Collects edits of one document; positions are offsets into its own text, nodes count from the stream's begin."""

    text: str
    offset: int
    step: int
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def result(self) -> str:
        pieces, position = [], 0
        for start, end, replacement in sorted(self.edits, key=lambda edit: edit[0]):
            if start < position:
                raise _UnknownLayoutError
            pieces += [self.text[position:start], replacement]
            position = end
        return "".join(pieces) + self.text[position:]

    def change(self, node: Node, old: Any, new: Any) -> None:
        if same(old, new):
            return
        pliable = node.block and not node.opaque
        if pliable and node.kind == "mapping" and isinstance(new, dict) and old and new:
            self._change_mapping(node, old, new)
        elif pliable and node.kind == "sequence" and isinstance(new, list) and old and new:
            self._change_sequence(node, old, new)
        else:
            raise _UnknownLayoutError

    def _change_mapping(self, node: Node, old: dict[str, Any], new: dict[str, Any]) -> None:
        last: Node | None = None
        for key_node, value_node in node.pairs:
            last = value_node
            if key_node.merge or key_node.kind != "scalar":
                continue
            key = key_of(key_node, "")
            if key not in new:
                self._remove(self._line_of(key_node, node), self._after(value_node))
            elif not same(old[key], new[key]):
                self._change_value(node, key_node, value_node, old[key], new[key])
        added = [key for key in new if key not in old]
        if added and last is not None:
            lines = [line for key in added for line in entry_lines(key, new[key], node.column, self.step)]
            self._insert(self._after(last), lines)

    def _change_value(self, parent: Node, key_node: Node, value_node: Node, old: Any, new: Any) -> None:
        try:
            self.change(value_node, old, new)
        except _UnknownLayoutError:
            after_colon = self._colon(key_node) + 1
            end = value_node.end - self.offset
            if value_node.block:
                end = self._trimmed(after_colon, self._after(value_node))
                if self.text[after_colon : value_node.start - self.offset].strip():
                    raise  # a comment stands between the key and its value
            first, *rest = entry_lines("k", new, parent.column, self.step)
            replacement = first.lstrip(" ").removeprefix("k:")
            self.edits.append((after_colon, end, self._newline().join([replacement, *rest])))

    def _change_sequence(self, node: Node, old: list[Any], new: list[Any]) -> None:
        matcher = difflib.SequenceMatcher(None, _identities(old), _identities(new), autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    self.change(node.items[i], old[i], new[j])
                continue
            if i2 > i1:
                self._remove(self._dash_line(node, i1), self._after(node.items[i2 - 1]))
            if j2 > j1:
                lines = [line for value in new[j1:j2] for line in item_lines(value, node.column, self.step)]
                at = self._after(node.items[i2 - 1]) if i2 else self._dash_line(node, 0)
                self._insert(at, lines)

    def _insert(self, at: int, lines: list[str]) -> None:
        newline = self._newline()
        self.edits.append((at, at, newline.join(lines) + newline))

    def _remove(self, start: int, end: int) -> None:
        self.edits.append((start, end, ""))

    def _after(self, node: Node) -> int:
        """Where the line after a node begins; for a collection, after its last leaf, so before comments that follow."""
        leaf = node
        while leaf.block and leaf.kind in ("mapping", "sequence"):
            leaf = leaf.pairs[-1][1] if leaf.kind == "mapping" else leaf.items[-1]
        end = leaf.end - self.offset
        if leaf.kind == "scalar" and leaf.block:
            return self._line_end(end - 1) + 1
        return self._line_end(end) + 1

    def _line_of(self, key_node: Node, mapping: Node) -> int:
        """The beginning of an entry's line, when nothing but spaces stands before its key."""
        start = key_node.start - self.offset
        line = self.text.rfind("\n", 0, start) + 1
        if self.text[line:start].strip(" ") or key_node.column != mapping.column:
            raise _UnknownLayoutError
        return line

    def _dash_line(self, node: Node, index: int) -> int:
        if index == 0:
            dash = node.start - self.offset
        else:
            dash = self.text.rfind("-", 0, node.items[index].start - self.offset)
        line = self.text.rfind("\n", 0, dash) + 1
        if dash < 0 or self.text[line:dash].strip(" ") or dash - line != node.column:
            raise _UnknownLayoutError
        return line

    def _colon(self, key_node: Node) -> int:
        colon = key_node.end - self.offset
        if not self.text.startswith(":", colon):
            raise _UnknownLayoutError
        return colon

    def _line_end(self, index: int) -> int:
        return self.text.index("\n", index)

    def _trimmed(self, start: int, end: int) -> int:
        return start + len(self.text[start:end].rstrip("\r\n "))

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


def _sequence_step(node: Node) -> int:
    """How far the document indents sequences below their keys: as its first one does, else not at all."""
    for key_node, value_node in node.pairs:
        if value_node.kind == "sequence" and value_node.block and value_node.column >= key_node.column:
            return value_node.column - key_node.column
        if step := _sequence_step(value_node):
            return step
    return next(filter(None, map(_sequence_step, node.items)), 0)


def _identities(items: list[Any]) -> list[str]:
    """What makes two items of a list the same one: the name that Kubernetes merges by, else the whole value."""
    return [_identity(item) for item in items]


def _identity(item: Any) -> str:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return f"name {item['name']}"
    return repr(item)

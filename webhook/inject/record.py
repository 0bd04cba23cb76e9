"""The annotation habitat.sh/injected: what was put into the pod, so that it can be told from what is the user's.

The record decides nothing about who is injected, since a template copied from a live pod carries one. It is read by
`uninject`, and to inject afresh over an earlier injection (`again.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from webhook.options import INJECTED

NULL = "=null"
_TEXTS = ("version", "container", "digest")


@dataclass(frozen=True, slots=True)
class Record:
    """version: of the webhook. container: the target's name. digest: `SupervisorSpec.digest`. added: by collection the
    names of its new members: the text of an arg, the path of a mount, else the name. created: fields that were absent
    before ("env", "readinessProbe", "fsGroup"…), with `NULL` behind the name of one that was null.
    """

    version: str
    container: str
    digest: str
    added: Mapping[str, list[str]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The annotation's value: one line of JSON, the same record always the same text."""
        said = {name: getattr(self, name) for name in _TEXTS}
        return orjson.dumps(said | {"added": self.added, "created": self.created}).decode()


def read(annotations: Mapping[str, Any]) -> Record | None:
    """The record of an earlier injection, None when there is none or it is not one of ours."""
    text = annotations.get(INJECTED)
    if not isinstance(text, str):
        return None
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in _TEXTS):
        return None
    added: Any = said.get("added")
    created: Any = said.get("created")
    if not isinstance(added, dict) or not all(map(_texts, (created, *added.values()))):
        return None
    return Record(said["version"], said["container"], said["digest"], added, created)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)

"""The annotation habitat.sh/injected: what was put into the pod, so that it can be told from what is the user's.

Parts whose names begin with habitat- or hab- need no mention. What has no name of its own is listed: args, variables
and probes, and the collections that did not exist before. The record decides nothing about who is injected (a template
copied from a live pod carries one); it is read to inject afresh over an earlier injection, and by `uninject`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from webhook.options import INJECTED

NULL = "=null"
_TEXTS = ("version", "container", "digest")
_LISTS = ("args", "env", "mounts", "created")


@dataclass(frozen=True, slots=True)
class Record:
    """version: of the webhook. container: the target's name. digest: `SupervisorSpec.digest`. args, env, probes,
    mounts: the parts that were added, by text, name or path. created: collections that were absent before ("env",
    "labels", "fsGroup"…), with `NULL` behind the name of one that was null.
    """

    version: str
    container: str
    digest: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    created: tuple[str, ...] = ()

    def text(self) -> str:
        """The annotation's value: one line of JSON, the same record always the same text."""
        return orjson.dumps({name: value for name in (*_TEXTS, *_LISTS) if (value := getattr(self, name))}).decode()


def read(annotations: Mapping[str, Any]) -> Record | None:
    """The record of an earlier injection, None when there is none or it is not one of ours."""
    text = annotations.get(INJECTED)
    if not isinstance(text, str):
        return None
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(said, dict) or not all(isinstance(said.get(k), str) for k in _TEXTS):
        return None
    lists = {}
    for name in _LISTS:
        values = said.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            return None
        lists[name] = tuple(values)
    return Record(said["version"], said["container"], said["digest"], **lists)

"""What deploy/ ships, as documents: no Helm is needed for it, since what it renders is kept and checked for staleness.

deploy/install.yaml is the chart with its default values; tests/deploy/renders has it with others
(tests/deploy/chart.py).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
INSTALL = DEPLOY / "install.yaml"
RENDERS = Path(__file__).resolve().parents[1] / "deploy" / "renders"

Document = dict[str, Any]


def install() -> list[Document]:
    """The documents of deploy/install.yaml; a copy that may be changed."""
    return _documents(INSTALL)


def rendered(case: str) -> list[Document]:
    """The documents of a golden render, such as "rings"; a copy that may be changed."""
    return _documents(RENDERS / f"{case}.yaml")


def named(documents: Iterable[Document], kind: str, name: str) -> Document:
    """The one of this kind and name; LookupError lists what there is."""
    there = {(d["kind"], d["metadata"]["name"]): d for d in documents}
    if (kind, name) not in there:
        raise LookupError(f"no {kind} {name}; there is: {', '.join(f'{k} {n}' for k, n in there)}")
    return there[kind, name]


def as_text(documents: Iterable[Document]) -> str:
    """For `kubectl apply -f -`."""
    return "---\n".join(yaml.safe_dump(d) for d in documents)


def _documents(path: Path) -> list[Document]:
    # Through JSON, since documents that YAML anchors share would be changed together.
    found: list[Document] = json.loads(_read(path))
    return found


@functools.cache
def _read(path: Path) -> str:
    return json.dumps([d for d in yaml.safe_load_all(path.read_text()) if d is not None])

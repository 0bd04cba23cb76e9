"""The goldens of `habitat-webhook convert`: one folder a case, found by themselves.

in.yaml       Habitat objects and what stands beside them: every shape that the operator's examples had, and mistakes
out.yaml      standard output of `habitat-webhook convert -f in.yaml`; absent when nothing is written
report.txt    of `-o report`

`pytest tests/convert --update` rewrites the last two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.running import run, values
from tests.support import goldens
from webhook.workloads import Found, objects

GOLDEN = Path(__file__).parent / "golden"
RESULTS = ("out.yaml", "report.txt")


@dataclass(frozen=True, slots=True)
class Case:
    name: str

    @property
    def folder(self) -> Path:
        return GOLDEN / self.name

    @property
    def source(self) -> str:
        return (self.folder / "in.yaml").read_text()

    def results(self) -> dict[str, str]:
        """What the command prints today, by file name; an empty output has no file."""
        printed = {"out.yaml": self._printed(), "report.txt": self._printed("-o", "report")}
        return {name: text for name, text in printed.items() if text}

    def _printed(self, *more: str) -> str:
        done = run("convert", "-f", "-", *more, stdin=self.source)
        assert done.exit_code in (0, 1), done.output
        return done.stdout

    def recorded(self) -> dict[str, str]:
        return goldens.recorded(self.folder, RESULTS)

    def update(self) -> None:
        goldens.update(self.folder, RESULTS, self.results())

    def habitats(self) -> list[dict[str, Any]]:
        """The Habitat objects of the input, each with what its list says of it."""
        return [dict(f.value) | {"kind": f.kind} for f in _objects(self.source) if f.kind == "Habitat"]

    def written(self) -> list[Found]:
        """The objects of the recorded output."""
        return _objects(self.recorded().get("out.yaml", ""))


def _objects(text: str) -> list[Found]:
    return [found for value in values(text) for found in objects(value)]


def found() -> list[Case]:
    return [Case(path.name) for path in sorted(GOLDEN.iterdir()) if path.is_dir()]

"""The goldens: one folder a case, found by themselves.

in.yaml       what a user writes; a case named example-NAME has deploy/examples/NAME.yaml instead
out.yaml      standard output of `habitat-webhook inject -f in.yaml --shared-rings …` (SHARED_RINGS); absent when
              nothing is written
patch.json    of `-o patch`, one JSON object for each changed object
report.txt    of `-o report`

`pytest tests/golden --update` rewrites the last three, and makes the folder of an example that has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from tests.support import goldens
from webhook.cli.main import PROGRAM, cli

GOLDEN = Path(__file__).parent
EXAMPLES = GOLDEN.parents[1] / "deploy" / "examples"
EXAMPLE = "example-"
SHARED_RINGS = "shared.infra,shared.habitat-infra"
"""What the installation of every case shares; the second is that of deploy/examples/shared-ring.yaml."""
RESULTS = ("out.yaml", "patch.json", "report.txt")


@dataclass(frozen=True, slots=True)
class Case:
    name: str

    @property
    def folder(self) -> Path:
        return GOLDEN / self.name

    @property
    def source(self) -> Path:
        if self.name.startswith(EXAMPLE):
            return EXAMPLES / f"{self.name.removeprefix(EXAMPLE)}.yaml"
        return self.folder / "in.yaml"

    def results(self) -> dict[str, str]:
        """What the command prints today, by file name; an empty output has no file."""
        printed = {
            "out.yaml": self._printed(),
            "patch.json": self._printed("-o", "patch"),
            "report.txt": self._printed("-o", "report"),
        }
        return {name: text for name, text in printed.items() if text}

    def _printed(self, *more: str) -> str:
        command = ["inject", "-f", "-", "--shared-rings", SHARED_RINGS, *more]
        done = CliRunner().invoke(cli, command, input=self.source.read_text(), prog_name=PROGRAM)
        assert done.exit_code in (0, 1), done.output
        return done.stdout

    def recorded(self) -> dict[str, str]:
        return goldens.recorded(self.folder, RESULTS)

    def update(self) -> None:
        goldens.update(self.folder, RESULTS, self.results())


def found() -> list[Case]:
    """Every case: each folder here, and each example whether or not it has a folder yet."""
    folders = {path.name for path in GOLDEN.iterdir() if path.is_dir() and not path.name.startswith("__")}
    examples = {EXAMPLE + path.stem for path in EXAMPLES.glob("*.yaml")}
    return [Case(name) for name in sorted(folders | examples)]

"""`habitat-webhook uninject`: back to the original, to the letter where comments allow."""

from __future__ import annotations

import json
from pathlib import Path

import jsonpatch
import pytest

from tests.cli.running import DEPLOYMENT, SERVICE, inject, jsons, run, uninject, values

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
MANIFESTS = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in {".yaml", ".yml", ".json"})

RECORD = "habitat.sh/injected"


def test_text_comes_back_to_the_letter_with_its_comments() -> None:
    text = f"# licence\n---\n{SERVICE}---\n# the ring\n{DEPLOYMENT}# the end\n"
    injected = inject(text).stdout
    assert RECORD in injected
    result = uninject(injected)
    assert result.stdout == text
    assert result.stderr.splitlines() == [
        "Service/redis: skipped: NotAWorkload: a Service makes no pods.",
        "Deployment/redis: uninjected",
        "2 objects: 1 uninjected, 1 skipped",
    ]


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_every_example_comes_back(manifest: Path, form: str) -> None:
    injected = run("inject", "-f", manifest, "-o", form)
    assert injected.exit_code == 0, injected.stderr
    read = values if form == "yaml" else jsons
    original = [value for value in values(manifest.read_text()) if value is not None]
    again = uninject(injected.stdout, "-o", form)
    assert again.exit_code == 0, again.stderr
    assert [value for value in read(again.stdout) if value is not None] == original
    assert uninject(manifest.read_text()).stdout == manifest.read_text(), "an object that was never injected is changed"


def test_what_was_added_after_the_injection_stays() -> None:
    (injected,) = values(inject(DEPLOYMENT).stdout)
    container = injected["spec"]["template"]["spec"]["containers"][0]
    container["args"].append("--verbose")
    container["env"].append({"name": "MINE", "value": "1"})
    (bare,) = jsons(uninject(json.dumps(injected)).stdout)
    (expected,) = values(DEPLOYMENT)
    expected["spec"]["template"]["spec"]["containers"][0] |= {
        "args": ["--verbose"],
        "env": [{"name": "MINE", "value": "1"}],
    }
    assert bare == expected


def test_object_that_was_not_injected_passes_untouched() -> None:
    result = uninject(DEPLOYMENT)
    assert result.stdout == DEPLOYMENT
    assert result.stderr == "Deployment/redis: skipped: NotInjected: it carries no annotation habitat.sh/injected.\n"


def test_record_that_nobody_wrote_is_said_and_nothing_is_taken_out() -> None:
    text = DEPLOYMENT.replace("# who it is", "habitat.sh/injected: 'true'")
    result = uninject(text)
    assert result.stdout == text
    assert "skipped: UnknownRecord: its annotation habitat.sh/injected is not one that this version has written." in (
        result.stderr
    )


def test_patch_takes_the_injected_object_back() -> None:
    injected = inject(DEPLOYMENT).stdout
    (patch,) = jsons(uninject(injected, "-o", "patch").stdout)
    assert (patch["kind"], patch["name"], patch["namespace"]) == ("Deployment", "redis", "shop")
    assert jsonpatch.apply_patch(values(injected)[0], patch["patch"]) == values(DEPLOYMENT)[0]

"""What the Dockerfile has to say so that the image is what the installation expects; hadolint sees to the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.image import context, dockerfile
from tests.image.build import DOCKERFILE, PROJECT
from tests.image.jail import NOBODY

FOUND = dockerfile.read(DOCKERFILE)
LAST = FOUND.stages[-1]


def test_the_bases_are_arguments_with_one_version() -> None:
    slim = FOUND.arguments["BASE"]
    assert re.fullmatch(r"python:3\.11-slim-\w+", slim)
    assert FOUND.arguments == {"BASE": slim, "BUILD": slim.replace("-slim", "")}
    assert [stage.base for stage in FOUND.stages] == ["${BUILD}", "${BASE}"]


def test_the_user_is_a_number_that_is_not_root() -> None:
    assert LAST.last("USER").text == f"{NOBODY}:{NOBODY}"


def test_no_shell_starts_the_program() -> None:
    assert LAST.last("ENTRYPOINT").exec_form == ["habitat-webhook"]
    assert LAST.last("CMD").exec_form == ["serve"]
    assert LAST.all("RUN") == []


def test_what_comes_from_an_index_is_locked_with_hashes() -> None:
    steps = [part for stage in FOUND.stages for run in stage.all("RUN") for part in run.text.split("&&")]
    installs = [step for step in steps if re.search(r"\bpip\b.*\b(install|wheel)\b", step)]
    assert len(installs) == 5
    for step in installs:
        assert "--no-index" in step or re.search(r"--require-hashes -r requirements[a-z-]*\.lock", step), step


def test_nothing_is_added_from_elsewhere() -> None:
    assert {i.name for stage in FOUND.stages for i in stage.instructions} <= {
        *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "LABEL", "RUN", "USER", "WORKDIR")
    }


def test_only_what_the_wheel_is_made_of_is_sent_to_the_builder() -> None:
    sent = {str(path) for path in context.files(PROJECT)}
    code = {str(path.relative_to(PROJECT)) for name in ("webhook", "certs") for path in (PROJECT / name).rglob("*.py")}
    code |= {"webhook/py.typed", "certs/py.typed", "webhook/admission/shipped.json"}
    locks = {"requirements.lock", "requirements-build.lock"}
    assert sent == code | locks | {"pyproject.toml", "README.md", "LICENSE"}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("", ["a/b.py", "a/c/d.pyc", "e"]),
        ("*\n!a\n", ["a/b.py", "a/c/d.pyc"]),
        ("*\n!a\n**/c\n", ["a/b.py"]),
        ("# a comment\n**/*.pyc\n/e\n", ["a/b.py"]),
        ("a/*\n!a/c\n", ["a/c/d.pyc", "e"]),
    ],
)
def test_dockerignore_is_read_as_its_reference_has_it(tmp_path: Path, rules: str, left: list[str]) -> None:
    for name in ("a/b.py", "a/c/d.pyc", "e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(rules)
    assert [str(path) for path in context.files(tmp_path) if path.name != ".dockerignore"] == left


def test_a_dockerfile_is_read_with_its_flags_and_continued_lines(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(
        "# a comment\nARG BASE=a:1\nFROM ${BASE} AS one\nRUN --mount=type=cache,target=/c \\\n    # why\n    a \\\n"
        '    && b\nFROM one\nENV A=1 B="x $A"\nCMD ["a", "b c"]\n'
    )
    found = dockerfile.read(path)
    assert found.arguments == {"BASE": "a:1"}
    assert [(stage.base, stage.name) for stage in found.stages] == [("${BASE}", "one"), ("one", "")]
    (run,) = found.stages[0].instructions
    assert (run.flag("mount"), run.text, run.line) == ("type=cache,target=/c", "a && b", 4)
    environment, command = found.stages[1].instructions
    assert environment.pairs({"A": "0"}) == {"A": "1", "B": "x 0"}
    assert command.exec_form == ["a", "b c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN a\n", "Dockerfile:1: RUN before the first FROM"),
        ("FROM a b\n", "Dockerfile:1: FROM a b: expected"),
        ("FROM a\n\nRUN\n", "Dockerfile:3: no instruction"),
        ("FROM a\nRUN a \\\n", "Dockerfile:2: the last line is continued"),
    ],
)
def test_what_is_no_dockerfile_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        dockerfile.read(tmp_path / "Dockerfile")

"""Layers as a builder makes them: kept, used again, and none of a step that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image import base, build, dockerfile, jail
from tests.image.build import Image, StepError

TWO_STAGES = """\
FROM a AS first
ARG WHO=nobody
WORKDIR /made
COPY one.txt two/ ./
RUN cat one.txt two.txt >>all && echo $WHO >>all
FROM a
COPY --from=first /made /copy
ENTRYPOINT ["cat"]
CMD ["/copy/all"]
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if reason := jail.obstacle():
        pytest.skip(f"a Dockerfile's steps cannot be carried out here: {reason}")
    folder = tmp_path / "store"
    folder.mkdir()
    monkeypatch.setattr(build, "store", lambda: folder)
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "two").mkdir(parents=True)
    (folder / ".dockerignore").write_text("secret\n")
    for name in ("one.txt", "two/two.txt", "secret"):
        (folder / name).write_text(f"{name}\n")
    return folder


def built(context: Path, text: str, **arguments: str) -> Image:
    (context / "Dockerfile").write_text(text)
    whole = dockerfile.read(context / "Dockerfile")
    return build.build(whole, {"a": base.this_machine(build.store())}, directory=context, **arguments)


def printed(image: Image) -> str:
    done = image.jail().run(*image.entrypoint, *image.command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def layers(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in store.glob("layer-*")}


def test_files_go_from_the_context_through_a_stage_into_the_image(context: Path) -> None:
    assert printed(built(context, TWO_STAGES)) == "one.txt\ntwo/two.txt\nnobody\n"
    assert printed(built(context, TWO_STAGES, WHO="me")).endswith("\nme\n")


def test_what_is_unchanged_is_not_done_again(context: Path, store: Path) -> None:
    first = built(context, TWO_STAGES)
    before = layers(store)
    assert built(context, TWO_STAGES) == first
    assert layers(store) == before


def test_a_changed_file_makes_its_layer_and_all_later_ones_anew(context: Path, store: Path) -> None:
    built(context, TWO_STAGES)
    before = layers(store)
    (context / "two/two.txt").write_text("changed\n")
    assert "changed" in printed(built(context, TWO_STAGES))
    assert len(before) == 3
    assert len(layers(store)) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a\nRUN echo half >half && false\n", "line 2 ended with 1"),
        ("FROM a\nRUN touch /usr/bin/ours\n", "Read-only file system"),
        ("FROM a\nCOPY secret ./\n", "line 2: secret is not in the context"),
        ("FROM a\nADD one.txt ./\n", "line 2: ADD is not known"),
        ("FROM a\nCMD cat\n", "line 2: CMD in shell form needs a shell"),
        ("FROM a\nRUN --network=none true\n", "line 2: RUN --network=none is not known"),
    ],
)
def test_a_step_that_cannot_be_is_refused_and_leaves_no_layer(
    context: Path, store: Path, text: str, message: str
) -> None:
    with pytest.raises(StepError, match=message):
        built(context, text)
    assert layers(store) == {}
    assert [path for path in store.iterdir() if path.name.startswith("new-")] == []


def test_a_cache_is_there_for_the_step_and_not_in_the_image(context: Path) -> None:
    text = "FROM a\nRUN --mount=type=cache,target=/root/kept echo once >>/root/kept/a; cp /root/kept/a /b\n"
    start = 'ENTRYPOINT ["cat", "/b"]\n'
    assert printed(built(context, text + start)) == "once\n"
    again = built(context, text.replace("cp ", "cp  ") + start)
    assert printed(again) == "once\nonce\n"
    assert list(again.added()[0].glob("root/kept/*")) == []

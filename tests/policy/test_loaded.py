"""The policy in force: read again when its file is another one, the last good one kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.policy.making import text_of
from webhook.policy.loaded import LoadedPolicy
from webhook.policy.policy import Policy

GOOD = [text_of(f"- {{name: a, force: {{group: g{n}}}}}") for n in range(3)]
BAD = text_of("- {name: a, forse: {group: g}}")


class Mounted:
    """A ConfigMap's volume: every version in a directory of its own, and a symlink that is turned."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.file = directory, directory / "policy.yaml"
        self.count = 0

    def show(self, content: str | None) -> None:
        self.count += 1
        version = self.directory / f"..{self.count}"
        version.mkdir()
        if content is not None:
            (version / "policy.yaml").write_text(content)
        following = self.directory / "..data_tmp"
        following.symlink_to(version.name)
        following.replace(self.directory / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/policy.yaml")


class Followed:
    def __init__(self, file: Path) -> None:
        self.loaded: list[str] = []
        self.refused: list[str] = []
        self.policy = LoadedPolicy(file, loaded=lambda p: self.loaded.append(p.generation), refused=self.refused.append)

    def group(self) -> str:
        self.policy.read()
        assert self.policy.current is not None
        return self.policy.current.document.rules[0].force["group"]


def test_every_turn_of_the_mount_is_read_once(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    mounted.show(GOOD[0])
    followed = Followed(mounted.file)
    assert [followed.group(), followed.group()] == ["g0", "g0"]
    mounted.show(GOOD[1])
    assert [followed.group(), followed.group()] == ["g1", "g1"]
    assert len(followed.loaded) == len(set(followed.loaded)) == 2
    assert followed.refused == []


def test_bad_one_is_refused_once_and_the_last_good_one_stays(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    mounted.show(GOOD[0])
    followed = Followed(mounted.file)
    followed.group()
    mounted.show(BAD)
    assert [followed.group(), followed.group()] == ["g0", "g0"]
    [refusal] = followed.refused
    assert ':4:15: a rule has no key "forse"; did you mean force?' in refusal
    assert followed.policy.fault == refusal
    mounted.show(GOOD[2])
    assert followed.group() == "g2"
    assert followed.policy.fault == ""


def test_file_that_goes_away_is_reported_once_and_read_when_it_is_back(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    mounted.show(GOOD[0])
    followed = Followed(mounted.file)
    followed.group()
    mounted.show(None)
    assert [followed.group(), followed.group()] == ["g0", "g0"]
    assert [text.rsplit(": ", 1)[1] for text in followed.refused] == ["No such file or directory"]
    mounted.show(GOOD[1])
    assert followed.group() == "g1"


def test_without_a_first_good_one_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    followed = Followed(file)
    followed.policy.read()
    assert followed.policy.current is None
    assert "No such file" in followed.policy.fault
    file.write_text(BAD)
    followed.policy.read()
    assert followed.policy.current is None
    assert "did you mean force?" in followed.policy.fault


def test_mistake_of_the_readers_own_is_a_refusal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = Mounted(tmp_path)
    mounted.show(GOOD[0])
    followed = Followed(mounted.file)
    assert followed.group() == "g0"
    mounted.show(GOOD[1])
    monkeypatch.setattr(Policy, "load", lambda _path: {}["oops"])
    assert followed.group() == "g0"
    [said] = followed.refused
    assert "please report that: KeyError('oops')" in said
    assert followed.policy.fault == said

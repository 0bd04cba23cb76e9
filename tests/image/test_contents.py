"""What is in the image, and what is not."""

from __future__ import annotations

import re
import stat
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.image import sizes
from tests.image.build import PROJECT, Image

SOURCE_IS_NEVER_CHECKED = b"\x01\x00\x00\x00"
"""The flags of a .pyc file (PEP 552): made from a hash, and not compared with it."""


@pytest.fixture(scope="session")
def layer(image: Image) -> Path:
    (added,) = (folder for folder in image.added() if (folder / "app").is_dir())
    return added


@pytest.fixture(scope="session")
def site(layer: Path) -> Path:
    return sizes.site_packages(layer)


def test_one_folder_is_added_to_the_base(image: Image) -> None:
    assert {path.name for folder in image.added() for path in folder.iterdir()} == {"app"}


def test_exactly_the_locked_packages_are_installed(site: Path) -> None:
    locked = re.findall(r"^(\S+)==(\S+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    found = {(sizes.normal(d.name), d.version) for d in distributions(path=[str(site)])}
    own = {version for name, version in found if name == sizes.PROJECT}
    assert len(own) == 1
    assert found == {(sizes.normal(name), version) for name, version in locked} | {(sizes.PROJECT, own.pop())}


def test_the_programs_are_ours_and_python(layer: Path) -> None:
    programs = {path.name for path in (layer / "app/bin").iterdir()}
    assert {name for name in programs if not name.startswith("python")} == {"habitat-webhook"}


def test_no_tests_no_caches_and_no_repository_came_along(layer: Path) -> None:
    unwanted = {"tests", ".git", "pip", "setuptools", "aio", "mypy", "pytest"}
    assert [path for path in layer.rglob("*") if path.name in unwanted] == []


def test_our_own_package_is_whole(site: Path) -> None:
    for name in ("webhook", "certs"):
        folder = PROJECT / name
        files = {path for kind in ("*.py", "*.json", "py.typed") for path in folder.rglob(kind)}
        wanted = {path.relative_to(PROJECT) for path in files}
        assert {p.relative_to(site) for p in (site / name).rglob("*") if p.suffix != ".pyc" and p.is_file()} == wanted


def test_our_licence_is_there(site: Path) -> None:
    (copy,) = site.glob("habitat_webhook-*.dist-info/licenses/LICENSE")
    assert copy.read_bytes() == (PROJECT / "LICENSE").read_bytes()


def test_every_module_is_compiled_and_nothing_compares_it_with_its_source(site: Path) -> None:
    sources = set(site.rglob("*.py"))
    compiled = {path.parent.parent / (path.name.split(".", 1)[0] + ".py"): path for path in site.rglob("*.pyc")}
    assert sources == set(compiled)
    flags = {path.read_bytes()[4:8] for path in compiled.values()}
    assert flags == {SOURCE_IS_NEVER_CHECKED}


def test_everybody_can_read_it_and_nobody_but_root_can_write_it(layer: Path) -> None:
    for path in layer.rglob("*"):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode):
            assert mode & (stat.S_IWGRP | stat.S_IWOTH) == 0, path
            assert mode & stat.S_IROTH, path
            assert not stat.S_ISDIR(mode) or mode & stat.S_IXOTH, path


def test_the_labels_say_what_it_is(image: Image) -> None:
    prefix = "org.opencontainers.image."
    assert {name.removeprefix(prefix): value for name, value in image.labels.items()} == {
        "title": "habitat-webhook",
        "description": "Makes plain Kubernetes Deployments run under the Chef Habitat Supervisor",
        "licenses": "Apache-2.0",
        "version": "0.0.0-test",
        "revision": "abc",
    }


def test_the_table_of_sizes_counts_every_file_once(layer: Path, site: Path) -> None:
    rows = sizes.rows(site, PROJECT / "requirements.lock")
    assert len(rows) == len(list(distributions(path=[str(site)])))
    whole = sum(path.lstat().st_size for path in layer.rglob("*") if path.is_file() and not path.is_symlink())
    assert whole * 0.99 < sum(row.size for row in rows) <= whole


def test_only_our_own_choices_can_be_saved(site: Path) -> None:
    rows = {row.name: row for row in sizes.rows(site, PROJECT / "requirements.lock")}
    assert rows["click"].saved == 0  # flask brings it anyway
    assert rows["werkzeug"].saved is None
    flask = rows["flask"].saved
    assert flask is not None
    assert flask >= rows["flask"].size + rows["werkzeug"].size

"""The table of fields: each is in a golden, in the documentation, and becomes what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.convert.cases import Case, found
from tests.support.habitats import leaves, told
from tests.unit.making import env
from webhook.convert import FIELDS, Fate, Field, convert
from webhook.convert.conversion import SECRETS
from webhook.convert.fields import markdown
from webhook.inject import apply, inject
from webhook.options import BY_NAME

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrate-from-the-operator.md"


@pytest.mark.parametrize("case", found(), ids=lambda c: c.name)
def test_report_of_a_golden_has_every_field_of_its_habitats(case: Case) -> None:
    for habitat in case.habitats():
        conversion = convert(habitat)
        assert [path for path in leaves(habitat) if not told(conversion, path)] == []


def test_every_field_has_a_golden_in_which_it_has_the_declared_fate() -> None:
    seen: dict[str, set[Fate]] = {}
    for case in found():
        for habitat in case.habitats():
            for row in convert(habitat).rows:
                seen.setdefault(row.path.replace("spec.v1beta2.", "spec."), set()).add(row.fate)
    assert [field.path for field in FIELDS if field.fate not in seen.get(field.path, ())] == []


@pytest.mark.parametrize("field", [f for f in FIELDS if f.annotation], ids=lambda f: f.path)
def test_a_field_that_becomes_an_annotation_does_so_with_its_value(field: Field) -> None:
    value = "leader" if field.annotation == "topology" else "some"
    service = {"name": "redis", field.path.removeprefix("spec.service."): value}
    spec = {"count": 3, "image": "i", "service": service}
    template = convert({"metadata": {"name": "a"}, "spec": spec}).workload["spec"]["template"]
    assert template["metadata"]["annotations"][BY_NAME[field.annotation].key] == value


def test_secrets_are_read_by_the_keys_that_the_operator_read() -> None:
    """Where the engine's keys were others, a Secret would have to be made anew (supervisor.md §14.1)."""
    service = {"name": "redis"} | {path.rpartition(".")[2]: f"my-{option}" for path, option, _ in SECRETS}
    template = convert({"metadata": {"name": "a"}, "spec": {"count": 3, "image": "i", "service": service}}).workload[
        "spec"
    ]["template"]
    after = apply(template, inject(template).operations)
    secrets = {v["secret"]["secretName"]: v["secret"].get("items") for v in after["spec"]["volumes"] if "secret" in v}
    assert secrets["my-config-secret"] == [{"key": "user.toml", "path": "user.toml"}]
    assert secrets["my-files-secret"] is None
    assert env(after["spec"]["containers"][0])["HAB_RING_KEY"] == {
        "secretKeyRef": {"name": "my-ring-key", "key": "ring-key"}
    }
    assert {option: key for _, option, key in SECRETS} == {
        "config-secret": "user.toml",
        "files-secret": "",
        "ring-key": "ring-key",
    }


def test_a_ring_secret_whose_name_has_a_meaning_of_its_own_is_no_silent_change_of_keys() -> None:
    service = {"name": "redis", "ringSecretName": "managed"}
    [problem] = convert({"metadata": {"name": "web"}, "spec": {"count": 1, "image": "i", "service": service}}).problems
    assert problem.startswith("spec.service.ringSecretName: habitat.sh/ring-key: managed is no Secret's name")
    assert "copy the Secret under another name" in problem


def test_the_page_has_the_table_of_fields(request: pytest.FixtureRequest) -> None:
    begin, end = "<!-- fields: written by pytest tests/convert --update -->\n\n", "\n<!-- end of fields -->\n"
    before, _, rest = PAGE.read_text().partition(begin)
    table, found_end, after = rest.partition(end)
    assert found_end, f"{PAGE.name} has lost the comments around its table"
    if request.config.getoption("--update"):
        PAGE.write_text(before + begin + markdown() + end + after)
        table = markdown()
    assert table == markdown(), "the table is stale: run pytest tests/convert --update"

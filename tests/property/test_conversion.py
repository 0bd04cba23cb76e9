"""What holds for every Habitat object that is converted, whatever it looks like."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.habitats import ANYTHING, CONFIDENTIAL, habitats, leaves, told
from webhook.convert import convert


@given(habitats())
def test_every_field_is_in_the_report(habitat: dict[str, Any]) -> None:
    before = copy.deepcopy(habitat)
    conversion = convert(habitat)
    assert habitat == before
    untold = [path for path in leaves(habitat) if not told(conversion, path)]
    assert untold == []


@given(habitats())
def test_a_habitat_is_either_converted_or_has_problems(habitat: dict[str, Any]) -> None:
    conversion = convert(habitat)
    assert bool(conversion.objects) is not bool(conversion.problems)


@given(habitats())
def test_no_value_of_the_environment_is_told(habitat: dict[str, Any]) -> None:
    conversion = convert(habitat)
    assert CONFIDENTIAL not in str((conversion.rows, conversion.warnings, conversion.problems))


@given(st.dictionaries(st.sampled_from(["spec", "metadata", "status", "odd", "a.b"]), ANYTHING))
def test_anything_at_all_is_read_and_told_of(habitat: dict[str, Any]) -> None:
    conversion = convert(habitat)
    assert [path for path in leaves(habitat) if not told(conversion, path)] == []

"""The properties here are searched as thoroughly as those of tests/property: importing its settings loads them."""

from __future__ import annotations

import tests.property.conftest  # noqa: F401 -- for its effect

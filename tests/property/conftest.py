"""How thoroughly the properties are searched: HYPOTHESIS_PROFILE=thorough for a long, random search.

`quick`, the default, tries the same few examples at every run, so that `make test` is fast and never surprises.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Generating a whole pod takes milliseconds, more on a busy machine: no reason to fail.
_PATIENT = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=_PATIENT,
)
settings.register_profile(
    "thorough", max_examples=3000, deadline=None, database=None, print_blob=True, suppress_health_check=_PATIENT
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

"""What all the tests of this folder have asked of the API server, as the shipped roles allow it. The last of them."""

from __future__ import annotations

import pytest

from tests.ring.live.installation import Installation, roles
from tests.support import audit

ENDING = "because it is being terminated"
"""In the API server's refusal to make anything in a namespace that is being deleted: nobody is allowed that."""

FULL = "exceeded quota"
"""In a refusal by the quota that test_keys.py and others have put into the way."""


def test_nothing_that_a_controller_has_asked_was_forbidden(rings: Installation) -> None:
    assert [c for c in rings.forbidden() if ENDING not in c.message and FULL not in c.message] == []


@pytest.mark.usefixtures("whole")
def test_every_right_of_the_shipped_roles_was_used(rings: Installation) -> None:
    assert audit.unused_rules(roles(), rings.done()) == []

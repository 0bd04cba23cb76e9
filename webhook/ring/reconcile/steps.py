"""One look at a ring is a row of steps, each carried out though another has failed: pods wait for their peers, whatever
a quota says about Secrets.
"""

from __future__ import annotations

from collections.abc import Callable

from webhook.kube.client import ApiError


class Steps:
    """times: seconds until a step wants to be done again. errors: of those that have failed."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.errors: list[ApiError] = []

    def run(self, step: Callable[[], float | None]) -> bool:
        """Do it. It returns the seconds until it wants to be done again, None for never. Whether it has not failed."""
        try:
            again = step()
        except ApiError as error:
            self.errors.append(error)
            return False
        if again is not None:
            self.times.append(again)
        return True

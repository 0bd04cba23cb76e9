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

    def run(self, step: Callable[[], float | None]) -> None:
        """Do it. It returns the seconds until it wants to be done again, None for never."""
        try:
            again = step()
        except ApiError as error:
            self.errors.append(error)
        else:
            if again is not None:
                self.times.append(again)

"""How the question for a namespace can end. Apart from who asks it, since that one loads the API client."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Literal, TypeAlias

from webhook.namespaces import Namespace

Result: TypeAlias = Literal["found", "absent", "failed"]
RESULTS: dict[Result, str] = {
    "found": "It is there.",
    "absent": "There is none of that name.",
    "failed": "The API server has not said; the review is answered by 503.",
}


class NamespaceError(Exception):
    """The API server did not say what a namespace is; the text is for whoever waits for the review."""


class Unsettled(Exception):  # noqa: N818 - no error: the answer is on its way
    """A namespace has to be asked for first. answer: what comes: the namespace, None when there is none, or
    NamespaceError.
    """

    def __init__(self, answer: Future[Namespace | None]) -> None:
        super().__init__()
        self.answer = answer

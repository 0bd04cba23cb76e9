"""What can go wrong with the API, and what may be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

NO_ANSWER = 0
"""`ApiError.status` when the connection failed: whether a write was carried out is then unknown."""

_QUOTING = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""With these the API server complains about values, and may quote them."""


class ConfigError(Exception):
    """No usable access to a cluster; the text says what was looked at and what to do."""


class ApiError(Exception):
    """The API server refused a call, or did not answer.

    status: the HTTP status, or 0 (NO_ANSWER): connection refused or broken, time-out, TLS, credential not to be had.
    reason: of the answer's Status object ("NotFound", "AlreadyExists", "Conflict", "Invalid", "Expired", …); with
    status 0 the kind of failure ("NewConnectionError", "ReadTimeoutError", …).
    message: the API server's sentence; never the body of a request, and of a Secret nothing that could quote it.
    retry_after: seconds that the server asks to wait, 0.0 when it does not.
    causes: reasons of the Status object's causes, such as "NamespaceTerminating".
    call: such as "PATCH /api/v1/namespaces/shop/pods/web-0".
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after: float = 0.0,
        causes: tuple[str, ...] = (),
        call: str = "",
    ) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.causes = causes
        self.call = call

    def __str__(self) -> str:
        call = f"{self.call}: " if self.call else ""
        status = f"{self.status} " if self.status else ""
        return f"{call}{status}{self.reason}: {self.message}"


def from_answer(status: int, headers: Mapping[str, str], body: bytes, *, call: str, resource: str) -> ApiError:
    """The error that an answer of 300 or more means. resource: such as "pods" or "secrets"."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != "Status":
        # Its text is not the API server's, and may be anything: a proxy's page, for instance.
        content = {"message": "the answer is no Kubernetes Status; does something stand between us and the API server?"}
    error = from_status(content, call=call, status=status)
    asked = headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        error.retry_after = float(asked)
    if resource.partition("/")[0] == "secrets" and status in _QUOTING:
        error.message = "the API server's message is withheld, since it could quote the Secret"
    return error


def from_status(content: Mapping[str, Any], *, call: str, status: int = 0) -> ApiError:
    """The error that a Status object means (`metav1.Status`); `status` counts only where the object has no code."""
    details = content.get("details") or {}
    code = int(content.get("code") or status)
    return ApiError(
        code,
        content.get("reason") or _phrase(code),
        content.get("message") or "without a message",
        retry_after=float(details.get("retryAfterSeconds") or 0),
        causes=tuple(cause.get("reason", "") for cause in details.get("causes") or ()),
        call=call,
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.replace(" ", "")
    except ValueError:
        return "Unknown"

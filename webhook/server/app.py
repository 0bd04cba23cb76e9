"""The HTTP side: `/mutate` and `/validate` for the API server, `/livez`, `/readyz`, `/metrics` on the port beside it.

Flask dispatches everything except a POST to one of the first two: that is answered by a WSGI middleware in front of it,
since Flask's dispatch costs more than the JSON, the engine's decision and the answer together (bench/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import flask
import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException

from webhook.advise.review import answer as advise
from webhook.decide import Situation
from webhook.log import Log, trace
from webhook.namespaces import Namespace
from webhook.review import Answer, Decision, Request, ReviewError, answer, read, read_workload
from webhook.server.asking import NamespaceError, Unsettled
from webhook.server.events import OwnerEvents
from webhook.server.metrics import EndpointName, ErrorKind, Metrics
from webhook.server.surroundings import Surroundings

MAX_BODY = 7 * 1024 * 1024
"""Bytes. The API server sends at most two objects of 3 MiB (its own request limit) and what surrounds them."""

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
WSGI: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Engine: TypeAlias = Callable[[Request, Situation], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the API server may ask at one path. engine: gets what `read` gives, and what surrounds it."""

    name: EndpointName
    read: Callable[[bytes], Request]
    engine: Callable[[Any, Situation], Answer]


def endpoints(pods: Engine = answer) -> dict[str, Endpoint]:
    """By path. pods: what decides about them; another one only in tests."""
    return {
        "/mutate": Endpoint("mutate", read, pods),
        "/validate": Endpoint("validate", read_workload, advise),
    }


_JSON = "application/json"
_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_KINDS: dict[int, ErrorKind] = {
    400: "bad_request",
    404: "not_found",
    405: "method",
    408: "timeout",
    411: "length",
    413: "too_large",
    415: "media_type",
    500: "internal",
    503: "overloaded",
}


def error_kind(status: int) -> ErrorKind:
    """Under which kind an HTTP status is counted."""
    return _KINDS.get(status, "bad_request" if status < 500 else "internal")


def error_body(status: int, message: str) -> bytes:
    """A metav1.Status: the API server shows its message to the user, where any other body is quoted as "unknown"."""
    return orjson.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "reason": HTTPStatus(status).phrase.replace(" ", ""),
            "message": message,
            "code": status,
        }
    )


class Later:
    """The body of an answer that waits for something: whoever iterates it waits, too.

    ready: done when it can be had without waiting, so that the worker can do other things meanwhile.
    """

    def __init__(self, ready: Future[Any], answer: Callable[[], Iterable[bytes]]) -> None:
        self.ready = ready
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        wait([self.ready])
        yield from self._answer()


class Admission:
    """WSGI middleware: a POST to an endpoint is answered here, all else by the application behind."""

    def __init__(
        self,
        behind: WSGI,
        surroundings: Surroundings,
        metrics: Metrics,
        log: Log,
        asked: Mapping[str, Endpoint],
        events: OwnerEvents | None = None,
    ) -> None:
        self.behind = behind
        self.surroundings = surroundings
        self.metrics = metrics
        self.log = log
        self.endpoints = asked
        self.events = events

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        endpoint = self.endpoints.get(environ["PATH_INFO"])
        if endpoint is None or environ["REQUEST_METHOD"] != "POST":
            return self.behind(environ, start_response)

        def respond(status: int, body: bytes) -> tuple[bytes]:
            start_response(_LINES[status], [("Content-Type", _JSON), ("Content-Length", str(len(body)))])
            return (body,)

        began = time.perf_counter()
        request = self._read(endpoint, environ)
        if not isinstance(request, Request):
            return respond(*request)
        try:
            return respond(*self._answer(endpoint, request, began))
        except Unsettled as missing:
            asked = missing.answer
            return Later(asked, lambda: respond(*self._answer(endpoint, request, began, asked)))

    def _read(self, endpoint: Endpoint, environ: Environ) -> Request | tuple[int, bytes]:
        refusal = _refusal(environ)
        if refusal:
            return self._error(*refusal)
        length = int(environ["CONTENT_LENGTH"])
        try:
            return endpoint.read(environ["wsgi.input"].read(length))
        except ReviewError as error:
            return self._error(400, str(error))

    def _answer(
        self, endpoint: Endpoint, request: Request, began: float, asked: Future[Namespace | None] | None = None
    ) -> tuple[int, bytes]:
        """Status and body. Raises Unsettled unless `asked` is what it has raised before."""
        about: dict[str, Any] = {"uid": request.uid, "namespace": request.namespace, "owner": request.owner}
        try:
            result = endpoint.engine(request, self.surroundings.of(request, asked))
        except Unsettled:
            raise
        except NamespaceError as error:
            return self._error(503, str(error), kind="namespace", **about)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is our mistake, and the API server has to hear of it
            message = f"habitat-webhook could not handle the review {request.uid}; its log has the error under that uid"
            return self._error(500, message, **about, exception=trace(error))
        seconds = time.perf_counter() - began
        self._record(endpoint, result.decision, seconds)
        if self.events is not None and endpoint.name == "mutate":
            self.events.tell(request, result.decision)
        return result.status, result.body

    def _error(self, status: int, message: str, *, kind: ErrorKind | None = None, **fields: Any) -> tuple[int, bytes]:
        self.metrics.errors[kind or error_kind(status)].inc()
        self.log("error" if status >= 500 else "warning", message, status=status, **fields)
        return status, error_body(status, message)

    def _record(self, endpoint: Endpoint, decision: Decision, seconds: float) -> None:
        self.metrics.duration[endpoint.name].observe(seconds)
        about: dict[str, Any] = {}
        if endpoint.name == "validate":
            about = {"cautions": decision.cautions}
            self.metrics.workload(decision)
        else:
            self.metrics.reviews[decision.reason].inc()
            for _, action in decision.unmet:
                self.metrics.policy_unmet[action].inc()
        if decision.policy:
            about |= {"policy": decision.policy, "rules": decision.rules, "unmet": decision.unmet}
        self.log(
            "info",
            "review" if endpoint.name == "mutate" else "workload review",
            uid=decision.uid,
            namespace=decision.namespace,
            owner=decision.owner,
            operation=decision.operation,
            decision=decision.decision,
            reason=decision.reason,
            container=decision.container,
            ops=decision.ops,
            warnings=decision.warnings,
            problems=decision.problems,
            dry_run=decision.dry_run,
            duration_ms=round(seconds * 1000, 3),
            **about,
        )


def _refusal(environ: Environ) -> tuple[int, str] | None:
    """Status and message for a request whose body is not worth reading."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdigit():
        return 411, "the request has no Content-Length; send the review as one body of known length"
    if int(length) > MAX_BODY:
        return 413, f"the body has {length} bytes; allowed: {MAX_BODY}"
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type != _JSON and content_type.partition(";")[0].strip().lower() != _JSON:
        return 415, f"the Content-Type is {content_type[:60]!r}; allowed: {_JSON}"
    return None


def _answer_errors(app: flask.Flask, metrics: Metrics) -> None:
    """404, 405 and the like as JSON, counted."""

    @app.errorhandler(HTTPException)
    def error(problem: HTTPException) -> flask.Response:
        status = problem.code or 500
        metrics.errors[error_kind(status)].inc()
        there = ", ".join(sorted({rule.rule for rule in app.url_map.iter_rules()}))
        message = f"{problem.name}: {flask.request.method} {flask.request.path[:60]}; there is: {there}"
        response = flask.Response(error_body(status, message), status, content_type=_JSON)
        for name, value in problem.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response


def admission_app(
    surroundings: Surroundings,
    metrics: Metrics,
    log: Log,
    *,
    engine: Engine = answer,
    events: OwnerEvents | None = None,
) -> flask.Flask:
    """The application of the TLS port. events: None to write none."""
    app = flask.Flask("webhook", static_folder=None)
    asked = endpoints(engine)
    admission = Admission(app.wsgi_app, surroundings, metrics, log, asked, events)
    for path, endpoint in asked.items():
        app.add_url_rule(path, endpoint.name, methods=["POST"], provide_automatic_options=False)
    app.wsgi_app = admission  # type: ignore[method-assign]  # the way Flask documents for middlewares
    _answer_errors(app, metrics)
    return app


class Readiness:
    """Why the server is not ready, by condition: each gives a sentence, or None when it holds."""

    def __init__(self) -> None:
        self.conditions: dict[str, Callable[[], str | None]] = {}
        self.stopping = False

    def missing(self) -> dict[str, str]:
        found = {name: reason for name, holds in self.conditions.items() if (reason := holds())}
        if self.stopping:
            found["stopping"] = "the server is stopping"
        return found


def health_app(readiness: Readiness, metrics: Metrics) -> flask.Flask:
    """The application of the plain port: nothing in it depends on the API server."""
    app = flask.Flask("webhook.health", static_folder=None)

    @app.get("/livez")
    def livez() -> flask.Response:
        return flask.Response("ok\n", content_type="text/plain")

    @app.get("/readyz")
    def readyz() -> flask.Response:
        missing = readiness.missing()
        text = "".join(f"[-] {name}: {reason}\n" for name, reason in missing.items()) or "ok\n"
        return flask.Response(text, 503 if missing else 200, content_type="text/plain")

    @app.get("/metrics")
    def exposition() -> flask.Response:
        return flask.Response(metrics.text(), content_type=CONTENT_TYPE_LATEST)

    _answer_errors(app, metrics)
    return app

"""What the checks look at, each asked for once, when the first of them needs it. Everything raises ApiError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from certs.stores import Secret
from webhook.admission.entries import Entry, entries
from webhook.admission.installed import ADMISSION, CONTROLLER, DEPLOYMENTS, arguments, configurations, policy_text
from webhook.certificates.configurations import listed
from webhook.certificates.report import Found, Report, report
from webhook.check import trial
from webhook.check.trial import Trial
from webhook.decide import INJECTION_LABEL, mapping
from webhook.kube.client import ApiError, Client

NAMESPACE = "habitat-webhook"
"""Of the installation, where nobody says another and its Deployment is not seen."""

Object = dict[str, Any]
T = TypeVar("T")


def _allowed(ask: Callable[[], T]) -> T | None:
    """The answer, None where the user may not look."""
    try:
        return ask()
    except ApiError as error:
        if error.status == 403:
            return None
        raise


class Seen:
    """One look at a cluster. namespace: of the installation, "" for where its Deployment is. try_in: of the trial pod,
    "" for a namespace that is enabled.
    """

    def __init__(self, client: Client, namespace: str, try_in: str) -> None:
        self.client = client
        self._namespace = namespace
        self._try_in = try_in

    @cached_property
    def version(self) -> Object:
        """The API server's."""
        return self.client.get("/version")

    @cached_property
    def skew(self) -> float | None:
        """Seconds that our clock is ahead of the API server's; None when it does not say its time."""
        at = self.client.clock()
        return None if at is None else (datetime.now(UTC) - at).total_seconds()

    @cached_property
    def configurations(self) -> list[Object]:
        return configurations(self.client)

    @cached_property
    def entries(self) -> Sequence[Entry]:
        return entries(self.configurations)

    @cached_property
    def admission(self) -> Object | None:
        return self._deployment(ADMISSION)

    @cached_property
    def controller(self) -> Object | None:
        return self._deployment(CONTROLLER)

    @cached_property
    def namespace(self) -> str:
        """Of the installation."""
        if self._namespace:
            return self._namespace
        deployment = _allowed(lambda: self.admission)
        return str(mapping(deployment or {}, "metadata").get("namespace") or NAMESPACE)

    @cached_property
    def certificates(self) -> Report:
        said = arguments(self.controller or {})
        ca, tls = said.get("--ca-secret", "habitat-webhook-ca"), said.get("--tls-secret", "habitat-webhook-tls")
        return report(
            Found(
                datetime.now(UTC),
                Secret(self.client, self.namespace, ca, "Opaque").read(),
                Secret(self.client, self.namespace, tls, "kubernetes.io/tls").read(),
                listed(self.client),
                f"{self.namespace}/{ca}",
                f"{self.namespace}/{tls}",
            )
        )

    @cached_property
    def policy(self) -> bytes | None:
        """The text of the policy that `serve` is given; None for none."""
        return policy_text(self.client, self.namespace, self.admission) if self.admission else None

    @cached_property
    def trial(self) -> Trial:
        return trial.carry_out(self.client, self.try_in)

    @cached_property
    def try_in(self) -> str:
        """The namespace of the trial pod."""
        if self._try_in:
            return self._try_in
        enabled = f"{INJECTION_LABEL}=enabled"
        first = self.client.list("/api/v1/namespaces", labels=enabled, limit=1, metadata_only=True)
        page, _ = _allowed(lambda: next(first)) or ([], "")
        return str(page[0]["metadata"]["name"]) if page else "default"

    def names(self, path: str, labels: str = "") -> list[Object]:
        """Everything of a small collection."""
        return [raw for page, _ in self.client.list(path, labels=labels) for raw in page]

    def may(self, verb: str, group: str, resource: str, namespace: str = "") -> bool:
        """Whether the user may do it."""
        wish = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        spec = {"spec": {"resourceAttributes": wish}}
        answer = self.client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body | spec)
        return mapping(answer, "status").get("allowed") is True

    def _deployment(self, labels: str) -> Object | None:
        path = DEPLOYMENTS
        if self._namespace:
            path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments"
        return next(iter(self.names(path, labels)), None)

"""The shipped webhook configuration with another clientConfig: how run, tests and benchmarks register a webhook."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tests.support.manifests import Document, install, named

MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"
_PATHS = {MUTATING: "/mutate", VALIDATING: "/validate"}


def shipped(kind: str = MUTATING) -> dict[str, Any]:
    """A webhook configuration of deploy/install.yaml; a copy that may be changed."""
    return named(install(), kind, "habitat-webhook")


def by_url(url: str) -> list[Document]:
    """deploy/install.yaml for an API server that calls the webhook at a URL, since no Service leads to it.

    url: https, without a path. Nothing but clientConfig differs; no caBundle is there, as in what is shipped.
    """
    documents = install()
    for document in documents:
        if document["kind"] in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            for webhook in document["webhooks"]:
                webhook["clientConfig"] = {"url": url + webhook["clientConfig"]["service"]["path"]}
    return documents


def registration(
    url: str,
    ca_pem: bytes | str,
    *,
    kind: str = MUTATING,
    name: str | None = None,
    failure_policy: str | None = None,
    namespaces: Sequence[str] = (),
) -> dict[str, Any]:
    """A shipped webhook configuration, pointed at a URL.

    url: of the server, with or without the path; https, as the API server demands. kind: MUTATING for pods, VALIDATING
    for workloads. ca_pem: PEM of the CA that verifies
    its certificate. name: of the configuration, for a cluster where another one is registered. failure_policy: "Fail"
    or "Ignore", the shipped one by default. namespaces: the only ones in which it acts, so that two registrations in
    one cluster do not see each other's pods; all when empty. Raises ValueError for another scheme.
    """
    if not url.startswith("https://"):
        raise ValueError(f"{url!r} is not an https:// URL; the API server calls no other")
    path = _PATHS[kind]
    address = url if url.endswith(path) else url.rstrip("/") + path
    pem = ca_pem.encode() if isinstance(ca_pem, str) else ca_pem
    configuration = shipped(kind)
    # The caller has said which CA it is: no controller is to put another one there.
    del configuration["metadata"]["labels"]["habitat.sh/ca-bundle"]
    if name:
        configuration["metadata"]["name"] = name
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"] = {"url": address, "caBundle": base64.b64encode(pem).decode()}
        if failure_policy:
            webhook["failurePolicy"] = failure_policy
        if namespaces:
            only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
            webhook["namespaceSelector"]["matchExpressions"].append(only)
    return configuration


def unannotated_too(configuration: dict[str, Any]) -> dict[str, Any]:
    """As the chart renders it with policy.optIn (tests/deploy/renders/policy.yaml)."""
    first = configuration["webhooks"][0]
    first["matchConditions"] = [c for c in first["matchConditions"] if c["name"] != "annotated"]
    return configuration

"""deploy/webhook.yaml with another clientConfig: the one way in which run, tests and benchmarks register a webhook."""

from __future__ import annotations

import base64
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "webhook.yaml"


def registration(
    url: str,
    ca_pem: bytes | str,
    *,
    name: str | None = None,
    failure_policy: str | None = None,
    namespaces: Sequence[str] = (),
) -> dict[str, Any]:
    """The shipped MutatingWebhookConfiguration, pointed at a URL.

    url: of the server, with or without /mutate; https, as the API server demands. ca_pem: PEM of the CA that verifies
    its certificate. name: of the configuration, for a cluster where another one is registered. failure_policy: "Fail"
    or "Ignore", the shipped one by default. namespaces: the only ones in which it acts, so that two registrations in
    one cluster do not see each other's pods; all when empty. Raises ValueError for another scheme.
    """
    if not url.startswith("https://"):
        raise ValueError(f"{url!r} is not an https:// URL; the API server calls no other")
    address = url if url.endswith("/mutate") else url.rstrip("/") + "/mutate"
    pem = ca_pem.encode() if isinstance(ca_pem, str) else ca_pem
    configuration: dict[str, Any] = copy.deepcopy(yaml.safe_load(SHIPPED.read_text()))
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

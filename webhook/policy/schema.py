"""The JSON Schema of a policy's file, for editors: derived from the grammar that reads it."""

from __future__ import annotations

from typing import Any

from webhook.policy.grammar import DOCUMENT

URL = "https://raw.githubusercontent.com/habitat-webhook/habitat-webhook/main/deploy/policy.schema.json"


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": URL,
        "title": "Cluster-wide policy of habitat-webhook",
        **DOCUMENT.schema,
    }

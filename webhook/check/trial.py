"""A pod that is created for trial (`dryRun=All`) and never stored: what the API server and the webhook make of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from webhook.decide import mapping
from webhook.inject import record
from webhook.inject.record import Record
from webhook.kube.client import ApiError, Client
from webhook.kube.errors import NO_ANSWER
from webhook.options import PREFIX

_OWN_WORDS = "cannot run under the Habitat Supervisor"
"""With which the webhook refuses a pod (webhook/inject/engine.py, Outcome.message)."""

_CALL_FAILED = "failed calling webhook"


class Ended(Enum):
    """How the trial ended.

    INJECTED, REFUSED: the webhook has answered. NOT_ASKED: the pod came back as it was. CALL_FAILED: the API server
    could not call the webhook. NOT_ALLOWED: the user may not create pods there, or something else forbids it.
    """

    INJECTED = "injected"
    REFUSED = "refused"
    NOT_ASKED = "not asked"
    CALL_FAILED = "call failed"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, slots=True)
class Trial:
    """namespace: where. made: the record of the injection, if there is one. message: the API server's, of a refusal."""

    ended: Ended
    namespace: str
    made: Record | None = None
    message: str = ""


def pod() -> dict[str, Any]:
    """It asks for an injection in any namespace that is not switched off, and fits into a restricted one."""
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    resources = {"cpu": "1m", "memory": "1Mi"}
    container = {
        "name": "check",
        "image": "habitat-webhook.invalid/check:never-pulled",
        "securityContext": secure,
        "resources": {"requests": resources, "limits": resources},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "habitat-webhook-check-",
            "annotations": {f"{PREFIX}service": "check", f"{PREFIX}inject": "true"},
        },
        "spec": {
            "containers": [container],
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 42, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }


def carry_out(client: Client, namespace: str) -> Trial:
    """Raises ApiError when the API server does not answer."""
    try:
        made = client.create(f"/api/v1/namespaces/{namespace}/pods", pod(), dry_run=True)
    except ApiError as error:
        if error.status in (NO_ANSWER, 401):
            raise
        return Trial(_ended(error), namespace, message=error.message)
    found = record.read(mapping(mapping(made, "metadata"), "annotations"))
    return Trial(Ended.INJECTED if found else Ended.NOT_ASKED, namespace, found)


def _ended(error: ApiError) -> Ended:
    if _CALL_FAILED in error.message:
        return Ended.CALL_FAILED
    return Ended.REFUSED if _OWN_WORDS in error.message else Ended.NOT_ALLOWED

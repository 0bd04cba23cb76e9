"""AdmissionReviews as the API server sends them, of pods as they are after its own defaulting."""

from __future__ import annotations

import json
import uuid
from typing import Any

from webhook.decide import Settings
from webhook.review import Answer, answer, read
from webhook.server.surroundings import Surroundings

SERVICE = {"habitat.sh/service": "redis", "habitat.sh/license": "accept-no-persist"}


def pod(annotations: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """A pod of a ReplicaSet, annotated for injection unless other annotations are given."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "redis-5d8f", "uid": "1", "controller": True}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "generateName": "redis-5d8f-",
            "labels": {"app": "redis", "pod-template-hash": "5d8f"},
            "annotations": SERVICE if annotations is None else annotations,
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": {
            "containers": [
                {
                    "name": "redis",
                    "image": "registry.example/core/redis:7",
                    "env": [{"name": "PASSWORD", "value": "swordfish"}],
                    "volumeMounts": [
                        {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
                    ],
                }
            ],
            "volumes": [{"name": "kube-api-access-x", "projected": {"sources": []}}],
            "restartPolicy": "Always",
            "securityContext": {},
        },
        "status": {},
    }


def review(obj: Any = None, *, uid: str = "", **request: Any) -> dict[str, Any]:
    """A CREATE review; `request` overrides its fields."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid or str(uuid.uuid4()),
            "kind": kind,
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod() if obj is None else obj,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            **request,
        },
    }


def encoded(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def answered(body: bytes, settings: Settings | None = None) -> Answer:
    """What `serve` answers to a body, without a server."""
    request = read(body)
    return answer(request, Surroundings(settings or Settings()).of(request))

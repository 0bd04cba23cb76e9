"""Members of rings for tests: pods as the webhook makes them, to create on a server or with a status of their own."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from webhook.inject import Settings, Situation, apply, inject
from webhook.ring.pods import Member, member

Pod = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def injected_pod(name: str, namespace: str = "shop", /, **annotations: str) -> Pod:
    """A pod to create; annotations without the prefix, underscores for dashes."""
    said = {"service": "web", "license": "accept-no-persist"} | {k.replace("_", "-"): v for k, v in annotations.items()}
    bare: Pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {f"habitat.sh/{k}": v for k, v in said.items()},
        },
        "spec": {"containers": [{"name": "web", "image": "registry.example.com/acme/web:1.0"}]},
    }
    outcome = inject(bare, Situation(namespace=namespace, settings=Settings(shared_rings=None)))
    assert outcome.operations, outcome.message()
    return apply(bare, outcome.operations)


def labelled_pod(name: str, namespace: str = "shop", ring: str = "default") -> Pod:
    """A pod that somebody has labelled by hand; it was not injected."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"habitat.sh/ring": ring}},
        "spec": {"containers": [{"name": "web", "image": "registry.example.com/acme/web:1.0"}]},
    }


def stored(
    pod: Pod,
    address: str = "",
    *,
    peers: list[str] | None = None,
    age: int = 300,
    running: bool = True,
    started: bool = False,
    ready: bool = True,
    going: bool = False,
    node: str = "node-1",
    owner: str = "",
    generation: str | None = None,
    labels: dict[str, str | None] | None = None,
) -> Pod:
    """The pod as the API server would send it, `age` seconds after its creation; labels: others, None for gone ones."""
    made = copy.deepcopy(pod)
    about = made["metadata"]
    about |= {
        "uid": f"uid-{about['namespace']}-{about['name']}",
        "resourceVersion": "7",
        "creationTimestamp": datetime.fromtimestamp(NOW.timestamp() - age, UTC).isoformat(),
    }
    notes = about.setdefault("annotations", {})
    if peers is not None:
        notes["habitat.sh/peers"] = "\n".join(peers)
    if generation is not None:
        notes["habitat.sh/config-generation"] = generation
    if going:
        about["deletionTimestamp"] = NOW.isoformat()
    if owner:
        about["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "u", "controller": True}
        ]
    about["labels"] = {k: v for k, v in (about["labels"] | (labels or {})).items() if v is not None}
    made["spec"]["nodeName"] = node
    state = {"running": {"startedAt": NOW.isoformat()}} if running else {"waiting": {"reason": "ContainerCreating"}}
    made["status"] = {
        "phase": "Running" if running else "Pending",
        "conditions": [{"type": "Ready", "status": "True" if running and ready else "False"}],
        "containerStatuses": [{"name": "web", "state": state, "restartCount": int(started)}],
    }
    if address:
        made["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}
    return made


def a_member(name: str, address: str = "", namespace: str = "shop", /, **facts: Any) -> Member:
    """A member of the ring `default`; facts are those of `stored`, or annotations."""
    known = stored.__kwdefaults__ or {}
    state = {k: v for k, v in facts.items() if k in known}
    annotations = {k: v for k, v in facts.items() if k not in known}
    return member(stored(injected_pod(name, namespace, **annotations), address, **state))

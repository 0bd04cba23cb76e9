"""Which of a cluster's pods ask for an injection and have none. Pure: the objects come from the caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from webhook.decide import Rules, Settings, Situation, decide, mapping
from webhook.inject import Reason, inject, record
from webhook.namespaces import Namespace
from webhook.ring.pods import Owner, owner

_ENDED = ("Succeeded", "Failed")


def slipped(
    pods: Iterable[Mapping[str, Any]], namespaces: Mapping[str, Namespace], settings: Settings
) -> Iterator[tuple[str, Owner]]:
    """(namespace, owner) of each pod that lives without what it asks for.

    By its annotations and its namespace: what a policy of the cluster would do is not known here. One that would be
    refused today is none of them, nor is one that has a Supervisor of its own.
    """
    for raw in pods:
        metadata = mapping(raw, "metadata")
        if metadata.get("deletionTimestamp") or mapping(raw, "status").get("phase") in _ENDED:
            continue
        if record.read(mapping(metadata, "annotations")) is not None:
            continue
        about = namespaces.get(str(metadata.get("namespace")))
        if about is None:  # younger than the list of namespaces: another time
            continue
        situation = Situation(
            namespace=about.name,
            namespace_labels=about.labels,
            settings=settings,
            rules=Rules(defaults=about.layers),
        )
        pod = {"apiVersion": "v1", "kind": "Pod", **raw}
        if decide(pod, situation) is None and inject(pod, situation).reason is Reason.INJECTED:
            yield about.name, owner(metadata)

"""What an installation says of itself: its webhook configurations, and how its Deployments are started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from webhook.admission.entries import KINDS, LABEL, Entry, entries
from webhook.decide import Settings, mapping, sequence
from webhook.kube.client import ApiError, Client
from webhook.rings import shared_rings
from webhook.settings import flag, variable

DEPLOYMENTS = "/apis/apps/v1/deployments"
ADMISSION, CONTROLLER = (f"{LABEL},app.kubernetes.io/component={role}" for role in ("admission", "controller"))
SHIPPED = Path(__file__).with_name("shipped.json")

Object = dict[str, Any]


def shipped() -> list[Entry]:
    """The entries of deploy/install.yaml of this version."""
    return entries(orjson.loads(SHIPPED.read_bytes()))


def configurations(client: Client) -> list[Object]:
    """Our webhook configurations, of both kinds. Raises ApiError."""
    return [
        raw | {"kind": kind}
        for kind, path in KINDS.items()
        for page, _ in client.list(path, labels=LABEL)
        for raw in page
    ]


def settings_of(deployment: Mapping[str, Any]) -> Settings:
    """What the engine is told by the arguments and variables of a Deployment of `serve`."""
    said_there = arguments(deployment)

    def told(name: str, default: str) -> str:
        return said_there.get(flag(name)) or said_there.get(variable(name)) or default

    usual = Settings()
    try:
        shared: frozenset[str] | None = shared_rings(told("shared_rings", ""))
    except ValueError:  # serve would not have started with it
        shared = None
    return Settings(
        own_namespace=told("own_namespace", ""),
        cluster_domain=told("cluster_domain", usual.cluster_domain),
        docs_url=told("docs_url", usual.docs_url),
        shared_rings=shared,
    )


def version_of(deployment: Mapping[str, Any]) -> str:
    """The version that the manifests of a Deployment name, "" for none."""
    return str(mapping(mapping(deployment, "metadata"), "labels").get("app.kubernetes.io/version") or "")


def pod_spec(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(mapping(deployment, "spec"), "template"), "spec")


def arguments(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Flags, and variables, with their values; only `--flag=value`, which is how the chart writes them."""
    found: dict[str, str] = {}
    for container in sequence(pod_spec(deployment), "containers"):
        found |= {v["name"]: v["value"] for v in sequence(container, "env") if isinstance(v.get("value"), str)}
        for argument in sequence(container, "args"):
            name, equals, value = argument.partition("=")
            if equals:
                found[name] = value
    return found


def reads_namespaces(deployment: Mapping[str, Any]) -> bool:
    """Whether `serve` knows the labels and defaults of namespaces."""
    return arguments(deployment).get("--namespaces", "watch") != "none"


def policy_source(deployment: Mapping[str, Any]) -> tuple[str, str] | None:
    """(ConfigMap, key) that `serve` reads its policy from, by its --policy and its mounts; None for no policy."""
    path = arguments(deployment).get(flag("policy")) or arguments(deployment).get(variable("policy"))
    if not path:
        return None
    spec, file = pod_spec(deployment), PurePosixPath(path)
    mounts = [m for container in sequence(spec, "containers") for m in sequence(container, "volumeMounts")]
    mounted = next((m for m in mounts if file.is_relative_to(m["mountPath"])), None)
    volume: Mapping[str, Any] = next(
        (v for v in sequence(spec, "volumes") if mounted and v["name"] == mounted["name"]), {}
    )
    source = mapping(volume, "configMap")
    if mounted is None or not source.get("name"):
        return None
    inside = str(file.relative_to(mounted["mountPath"]))
    items = {item["path"]: item["key"] for item in sequence(source, "items")}
    return str(source["name"]), items.get(inside, inside)


def policy_text(client: Client, namespace: str, deployment: Mapping[str, Any]) -> bytes | None:
    """The policy that `serve` is given; None for none. Raises ApiError."""
    source = policy_source(deployment)
    if source is None:
        return None
    name, key = source
    try:
        data = mapping(client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}"), "data")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return str(data[key]).encode() if key in data else None

"""Where the pod template sits in each kind of workload, and which objects a document holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.options import PREFIX

Path = tuple[str | int, ...]

_IN_SPEC: Path = ("spec", "template")

TEMPLATES: Mapping[tuple[str, str], Path] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): _IN_SPEC,
    ("apps", "Deployment"): _IN_SPEC,
    ("apps", "StatefulSet"): _IN_SPEC,
    ("apps", "DaemonSet"): _IN_SPEC,
    ("apps", "ReplicaSet"): _IN_SPEC,
    ("batch", "Job"): _IN_SPEC,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""(API group, kind) -> the path of the pod template; a Pod is its own."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object of a document: its value, and its path in the document (empty unless it is an item of a List)."""

    value: Mapping[str, Any]
    path: Path
    api_version: str
    kind: str

    @property
    def name(self) -> str:
        metadata = _mapping(self.value, "metadata")
        name, prefix = metadata.get("name"), metadata.get("generateName")
        if isinstance(name, str) and name:
            return name
        return f"{prefix}*" if isinstance(prefix, str) and prefix else "(no name)"

    @property
    def namespace(self) -> str:
        """The object's own namespace, "" without."""
        namespace = _mapping(self.value, "metadata").get("namespace")
        return namespace if isinstance(namespace, str) else ""

    @property
    def label(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def template_path(self) -> Path | None:
        """Where the pod template is, below the object; None for a kind that makes no pods."""
        group, slash, _ = self.api_version.rpartition("/")
        return TEMPLATES.get((group if slash else "", self.kind))

    @property
    def template(self) -> Any:
        """The pod template's value, None when there is none."""
        path = self.template_path
        return None if path is None else descend(self.value, path)

    @property
    def claim_templates(self) -> frozenset[str]:
        """The names of a StatefulSet's volumeClaimTemplates: volumes of its pods that the template does not list."""
        if self.kind != "StatefulSet":
            return frozenset()
        claims = _mapping(self.value, "spec").get("volumeClaimTemplates")
        names = (_mapping(claim, "metadata").get("name") for claim in claims) if isinstance(claims, list) else ()
        return frozenset(name for name in names if isinstance(name, str))

    def misplaced_annotations(self) -> dict[str, str]:
        """habitat.sh/* annotations that stand above the pod template, where they do nothing: name -> where it is."""
        path = self.template_path
        if not path:
            return {}
        above = {"metadata.annotations": descend(self.value, ("metadata", "annotations"))}
        if "jobTemplate" in path:
            where = ("spec", "jobTemplate", "metadata", "annotations")
            above[".".join(where)] = descend(self.value, where)
        return {
            name: where
            for where, annotations in above.items()
            if isinstance(annotations, dict)
            for name in annotations
            if name.startswith(PREFIX)
        }


def objects(value: Any) -> Iterator[Found]:
    """The objects of a document: the items of a List (v1 List or any *List), else the document itself.

    A value that is no object of Kubernetes' comes with the kind "".
    """
    yield from _objects(value, (), "", "")


def _objects(value: Any, path: Path, api_version: str, kind: str) -> Iterator[Found]:
    if not isinstance(value, dict):
        yield Found({}, path, "", "")
        return
    api_version = _text(value, "apiVersion") or api_version
    kind = _text(value, "kind") or kind
    items = value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        for number, item in enumerate(items):
            # items of a typed list may leave out what the list says: PodList -> Pod
            yield from _objects(item, (*path, "items", number), api_version, kind.removesuffix("List"))
        return
    yield Found(value, path, api_version, kind)


def descend(value: Any, path: Path) -> Any:
    """The value at a path, None when there is nothing."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            return None
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at a path that exists; what is not on the path is shared."""
    if not path:
        return new
    step, *rest = path
    child = replaced(value[step], tuple(rest), new)
    if isinstance(value, list):
        return [child if index == step else item for index, item in enumerate(value)]
    return {key: child if key == step else item for key, item in value.items()}


def pointer(path: Path) -> str:
    """A path as an RFC 6901 pointer; no step of ours needs an escape."""
    return "".join(f"/{step}" for step in path)


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    child = value.get(key) if isinstance(value, Mapping) else None
    return child if isinstance(child, dict) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""

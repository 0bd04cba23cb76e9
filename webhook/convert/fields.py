"""Every field of a Habitat object, declared once: what it becomes, or why it goes.

The reader (`reading.py`), the report of `habitat-webhook convert` and the table in docs/migrate-from-the-operator.md
are derived from FIELDS. The fields are those of the operator's types v1beta1 and v1beta2 (supervisor.md §14.1); both
are read, since the operator kept them in one custom resource and told them apart by `customVersion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Fate(Enum):
    """What became of a field, in the report's words."""

    CONVERTED = "converted"
    DROPPED = "dropped"
    BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class Row:
    """One field of one object in the report: its path there, and what became of it."""

    path: str
    fate: Fate
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    path: in the flat form; a v1beta2 object has "spec.v1beta2." for "spec.". type: the JSON type of its value.
    becomes: what the documentation says of it. annotation: the name of the option that takes the value as it is.
    """

    path: str
    type: type[Any]
    becomes: str
    fate: Fate = Fate.CONVERTED
    annotation: str = ""


SPEC = "spec."
NESTED = "spec.v1beta2."
"""Where a v1beta2 object has its spec."""

_SERVER = (
    "clusterName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "initializers",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def _annotated(path: str, annotation: str, more: str = "") -> Field:
    return Field(path, str, f"`habitat.sh/{annotation}`{more}", annotation=annotation)


FIELDS: tuple[Field, ...] = (
    Field("apiVersion", str, "`apps/v1`"),
    Field("kind", str, "Deployment; StatefulSet with persistentStorage"),
    Field("customVersion", str, "it said which of the operator's two controllers was meant", Fate.DROPPED),
    Field("metadata.name", str, "the workload's name; label and selector `habitat-name` of its pods"),
    Field("metadata.namespace", str, "the workload's namespace"),
    Field("metadata.labels", dict, "the workload's labels; as with the operator, its pods do not get them"),
    Field("metadata.annotations", dict, "the workload's annotations, without kubectl's own copy of the object"),
    Field("metadata.generateName", str, "the API server has made the name of it", Fate.DROPPED),
    *(Field(f"metadata.{name}", object, "set by the API server", Fate.DROPPED) for name in _SERVER),
    Field("metadata.finalizers", list, "they hold back the deletion of the Habitat object itself", Fate.DROPPED),
    Field(
        "metadata.ownerReferences",
        list,
        "the owner of the Habitat does not own the workload: let it make the workload instead",
        Fate.BY_HAND,
    ),
    Field("spec.count", int, "`replicas`; without it 0, as the operator read it"),
    Field("spec.image", str, "the container's image; export it anew where that was before Habitat 0.90"),
    Field("spec.serviceAccountName", str, "the pods' serviceAccountName"),
    Field("spec.env", list, "the container's env, as it is"),
    _annotated("spec.service.name", "service"),
    _annotated("spec.service.group", "group"),
    _annotated("spec.service.topology", "topology"),
    _annotated("spec.service.channel", "channel", "; habitat-updater, which followed it, follows no workload"),
    Field("spec.service.bind", list, "`habitat.sh/bind`, each entry as name:service.group"),
    _annotated("spec.service.configSecretName", "config-secret", "; the Secret stays, with its key user.toml"),
    _annotated("spec.service.filesSecretName", "files-secret", "; the Secret stays, each key is a file"),
    _annotated(
        "spec.service.ringSecretName",
        "ring-key",
        ", and `habitat.sh/ring` of the same name; the Secret stays, with its key ring-key",
    ),
    Field("spec.persistentStorage.size", str, "the storage that the volumeClaimTemplate `persistent` asks for"),
    Field(
        "spec.persistentStorage.storageClassName", str, "its storageClassName; without it empty, as the operator had it"
    ),
    Field(
        "spec.persistentStorage.mountPath",
        str,
        "`habitat.sh/data-volume` when it is /hab/svc/<service>/data, else a volumeMount",
    ),
    Field("status", dict, "the operator never wrote it", Fate.DROPPED),
)
BY_PATH = {field.path: field for field in FIELDS}
BRANCHES = frozenset(path.rsplit(".", depth)[0] for path in BY_PATH for depth in range(1, path.count(".") + 1))
"""Paths that have fields below them: "metadata", "spec", "spec.service", …"""


def markdown() -> str:
    """The table of all fields for the documentation."""
    lines = ["| field | | what becomes of it |", "|---|---|---|"]
    lines += [
        f"| `{f.path}` | {f.fate.value} | {f.becomes.replace('<', '&lt;').replace('>', '&gt;')} |" for f in FIELDS
    ]
    return "\n".join(lines) + "\n"

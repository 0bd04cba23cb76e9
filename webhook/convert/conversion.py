"""A Habitat object -> a Deployment, or a StatefulSet with its headless Service, and a report on every field.

What the operator made of the same object decides (supervisor.md §14.1): names and labels that something else holds on
to stay, so that Services go on selecting the pods and a StatefulSet finds its claims, and nothing of it is left that
would make the operator or its updater take the new pods for their own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from webhook.convert.fields import Fate, Row
from webhook.convert.reading import Source, read
from webhook.inject import Reason, Situation, inject
from webhook.kinds import BIND, RING
from webhook.options import PREFIX
from webhook.problems import one_line, shown
from webhook.shape import problems_of, type_problem

NAME_LABEL = "habitat-name"
"""The operator's selector. Its other label, habitat=true, is what it and its updater find their pods by: it goes."""
CONTAINER = "habitat-service"
VOLUME = "persistent"
"""The operator's names. A claim is named <volume>-<StatefulSet>-<ordinal>, so the old claims are found again."""

_COPIES = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_QUORUM = 3
_BIND_MEMBERS = ("name", "service", "group")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SERVICE_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+|[KMGTPE]i|[munkMGTPE])?")

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What becomes of one Habitat object.

    objects: in the order to apply them, the workload last; empty exactly when there are problems. rows: one for every
    field of the object, and for fields that are absent where that needs a hand. warnings: what is also to be known.
    """

    objects: tuple[Object, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def workload(self) -> Object:
        return self.objects[-1]


def convert(
    habitat: Mapping[str, Any],
    *,
    namespace: str = "default",
    licence: str | None = None,
    secrets: Mapping[str, frozenset[str]] | None = None,
) -> Conversion:
    """Never changes `habitat`.

    namespace: where its pods will be, "default" when nobody says. licence: the user's word, a value of the option
    `license`. secrets: the keys of those Secrets of the same namespace that are known.
    """
    return _Converter(read(habitat), secrets or {}).run(namespace, licence)


class _Converter:
    def __init__(self, source: Source, secrets: Mapping[str, frozenset[str]]) -> None:
        self.source = source
        self.values = source.values
        self.secrets = secrets
        self.warnings: list[str] = []

    def run(self, namespace: str, licence: str | None) -> Conversion:
        name = self._name()
        claim = self._claim(name)
        template = self._template(name, licence)
        metadata = self._metadata(name)
        if claim is None:
            spec = self._replicated(name, template)
            objects = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}]
        else:
            objects = self._stateful(name, metadata, template, claim)
        self._kind("Deployment" if claim is None else "StatefulSet")
        if not self.source.problems:
            self._rehearse(template, namespace, stateful=claim is not None)
        problems = tuple(map(str, self.source.problems))
        rows = tuple(self.source.rows.values())
        return Conversion(() if problems else tuple(objects), rows, problems, tuple(self.warnings))

    # the object

    def _name(self) -> str:
        name: str = self.values.get("metadata.name", "")
        if not name and not self._refused("metadata.name"):
            self.source.problem("metadata.name", "there is none", "write the name that the workload is to have")
        elif name and not _LABEL_VALUE.fullmatch(name):
            what = f"{shown(name)} cannot be the value of a label, so the operator made no pods of it"
            self.source.problem("metadata.name", what, "allowed: letters, digits, -, _ and ., at most 63")
        return name

    def _metadata(self, name: str) -> Object:
        metadata: Object = {"name": name}
        if namespace := self.values.get("metadata.namespace"):
            metadata["namespace"] = namespace
        for part in ("labels", "annotations"):
            path = f"metadata.{part}"
            kept = {k: v for k, v in self.values.get(path, {}).items() if k not in _COPIES}
            problems = (type_problem(text, str, f"{path}[{one_line(str(key))}]") for key, text in kept.items())
            self.source.problems += filter(None, problems)
            if kept:
                metadata[part] = kept
        return metadata

    def _replicated(self, name: str, template: Object) -> Object:
        return {"replicas": self._replicas(), "selector": {"matchLabels": {NAME_LABEL: name}}, "template": template}

    def _replicas(self) -> int:
        count = self.values.get("spec.count")
        if count is None:
            if not self._refused("spec.count"):
                text = "absent, which the operator read as 0: so is `replicas`; write how many you want"
                self.source.say("spec.count", text, Fate.BY_HAND)
            return 0
        if count < 0:
            self.source.problem("spec.count", f"{count} is less than 0", "allowed: a whole number from 0")
        elif self.values.get("spec.service.topology") == "leader" and 0 < count < _QUORUM:
            advice = "one alone never elects, and of two none may be lost: run at least three"
            self.warnings.append(f"{self.source.place('spec.count')}: {count} with topology leader: {advice}")
        self.source.say("spec.count", f"replicas: {count}")
        return int(count)

    def _stateful(self, name: str, metadata: Object, template: Object, claim: Object) -> list[Object]:
        """The StatefulSet, all pods at once as the operator had it: the first of a group waits for its second."""
        spec: Object = {"podManagementPolicy": "Parallel", **self._replicated(name, template)}
        spec["volumeClaimTemplates"] = [claim]
        stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}
        service = f"{name}-headless"
        if not _SERVICE_NAME.fullmatch(service):
            self.warnings.append(
                f"no Service can be named {shown(service)}, so there is none, and the pods have no DNS names"
            )
            return [stateful]
        stateful["spec"] = {"serviceName": service, **spec}
        where = {k: v for k, v in metadata.items() if k == "namespace"}
        headless = {"clusterIP": "None", "selector": {NAME_LABEL: name}}
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, **where}, "spec": headless},
            stateful,
        ]

    def _kind(self, kind: str) -> None:
        why = " because of persistentStorage, with a headless Service" if kind == "StatefulSet" else ""
        for path, text in (("apiVersion", "apps/v1"), ("kind", kind + why)):
            if path in self.values:
                self.source.say(path, text)

    # its pods

    def _template(self, name: str, licence: str | None) -> Object:
        said = self._annotations()
        if licence:
            said["license"] = licence
        container: Object = {"name": CONTAINER, "image": self._needed("spec.image", "the image")}
        if env := self.values.get("spec.env"):
            container["env"] = env
            names = [str(v.get("name")) if isinstance(v, dict) else "?" for v in env]
            self.source.say("spec.env", f"env of the container: {', '.join(names)}")
        if (path := self._mount_path()) and "data-volume" not in said:
            container["volumeMounts"] = [{"name": VOLUME, "mountPath": path}]
        spec: Object = {"containers": [container]}
        if account := self.values.get("spec.serviceAccountName"):
            spec = {"serviceAccountName": account, **spec}
        annotations = {PREFIX + option: text for option, text in said.items()}
        return {"metadata": {"labels": {NAME_LABEL: name}, "annotations": annotations}, "spec": spec}

    def _annotations(self) -> dict[str, str]:
        said = {
            "service": self._needed("spec.service.name", "the Habitat package's name, as the image was exported for")
        }
        for option in ("group", "topology", "channel"):
            if text := self.values.get(f"spec.service.{option}"):
                said[option] = text
        if bind := self._bind():
            said["bind"] = bind
        for path, option, key in SECRETS:
            if secret := self.values.get(path):
                said[option] = secret
                self._check_secret(path, secret, key)
        if key_secret := self.values.get(_RING_SECRET):
            self._ring(said, key_secret)
        if self._is_data():
            said["data-volume"] = VOLUME
        return said

    def _bind(self) -> str:
        binds: list[Any] = self.values.get("spec.service.bind", [])
        texts = [text for index, bind in enumerate(binds) if (text := self._one_bind(index, bind))]
        if texts:
            self.source.say("spec.service.bind", f"{PREFIX}bind: {','.join(texts)}")
        return ",".join(texts)

    def _one_bind(self, index: int, bind: Any) -> str:
        path = f"spec.service.bind[{index}]"
        if (problem := type_problem(bind, dict, self.source.place(path))) is not None:
            self.source.problems.append(problem)
            return ""
        for member in bind:
            if member not in _BIND_MEMBERS:
                self.source.say(f"{path}.{member}", "the operator knows no such field: it had no effect", Fate.BY_HAND)
        if not bind.get("group"):
            text = "absent: default is written, since the operator's bind without a group did not start"
            self.source.say(f"{path}.group", text, Fate.BY_HAND)
        text = f"{bind.get('name') or ''}:{bind.get('service') or ''}.{bind.get('group') or 'default'}"
        try:
            return BIND.parse(text)
        except ValueError as error:
            self.source.problem(path, str(error), "write name, service and group: " + BIND.allowed)
            return ""

    def _check_secret(self, path: str, secret: str, key: str) -> None:
        keys = self.secrets.get(secret)
        if keys is None or not key or key in keys:
            return
        said = ", ".join(sorted(keys)) or "none"
        namespace = self.values.get("metadata.namespace")
        where = f" --namespace={namespace}" if namespace else ""
        command = f"kubectl create secret generic {secret}{where} --from-file={key}=FILE --dry-run=client -o yaml"
        text = f"the Secret {secret} beside it has no key {key} (its keys: {said}); put in its place: {command}"
        self.source.say(path, text, Fate.BY_HAND)

    def _ring(self, said: dict[str, str], secret: str) -> None:
        """A ring for the key alone: pods with another key, or none, never join, so they must not be its peers."""
        if secret == "managed":  # noqa: S105 - a word of the option's, nothing secret
            what = f"{PREFIX}ring-key: managed is no Secret's name: it has the ring controller make a key"
            self.source.problem(_RING_SECRET, what, "copy the Secret under another name, and write that one")
            return
        try:
            said["ring"] = RING.parse(secret)
        except ValueError:
            what = f"{PREFIX}ring-key: {secret}; pods with another key cannot be in the same ring"
            text = f"{what}, and this is no name of one: set {PREFIX}ring to a name of your own"
            self.source.say(_RING_SECRET, text, Fate.BY_HAND)

    # its storage

    def _storage(self) -> bool:
        return any(path.startswith(_STORAGE) for path in self.values)

    def _claim(self, name: str) -> Object | None:
        """The volumeClaimTemplate, the operator's own but for the label habitat=true."""
        if not self._storage():
            return None
        size = self._needed(_SIZE, "the size of each pod's volume, such as 1Gi")
        if size and not _QUANTITY.fullmatch(size):
            self.source.problem(_SIZE, f"{shown(size)} is not a quantity", "allowed: such as 500Mi, 1Gi or 2T")
        self.source.say(_SIZE, f"volumeClaimTemplate {VOLUME}: {size}")
        storage_class = self.values.get(_CLASS, "")
        if storage_class:
            self.source.say(_CLASS, f"volumeClaimTemplate {VOLUME}: storageClassName: {storage_class}")
        elif not self._refused(_CLASS):
            text = 'absent: "" is written, as the operator did, which asks for volumes without a class'
            self.source.say(_CLASS, f"{text}; for the cluster's default class remove that line", Fate.BY_HAND)
        return {
            "metadata": {"name": VOLUME, "labels": {NAME_LABEL: name}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": size}},
            },
        }

    def _mount_path(self) -> str:
        if not self._storage():
            return ""
        path = self._needed(_MOUNT, "where the volume is mounted, such as /hab/svc/<service>/data")
        if path and (not path.startswith("/") or ":" in path):
            self.source.problem(_MOUNT, f"{shown(path)} is not a path", "allowed: an absolute path without a colon")
        elif path and self._is_data():
            self.source.say(_MOUNT, f"{PREFIX}data-volume: {VOLUME}")
        elif path:
            text = f"volumeMount at {path}; it is root's as before: set fsGroup 42 where the service runs as hab"
            self.source.say(_MOUNT, text)
        return path

    def _is_data(self) -> bool:
        path, service = self.values.get(_MOUNT, ""), self.values.get("spec.service.name")
        return bool(path) and posixpath.normpath(path) == f"/hab/svc/{service}/data"

    # all together

    def _rehearse(self, template: Object, namespace: str, *, stateful: bool) -> None:
        """The engine's word on the result: nothing is written that the webhook would refuse."""
        if problems := problems_of(template, _TEMPLATE):  # of env alone: the rest has been read field by field
            env = self.source.place("spec.env")
            self.source.problems += (replace(p, where=p.where.replace(_ENV, env, 1)) for p in problems)
            return
        outcome = inject(
            template, Situation(namespace=namespace, claim_templates=frozenset({VOLUME} if stateful else ()))
        )
        self.source.problems += outcome.problems
        self.warnings += outcome.warnings
        reason = outcome.reason
        if reason not in (Reason.INJECTED, Reason.INVALID):
            self.warnings.append(
                f"the pods will not be injected: {reason.code}: {reason.sentence} {reason.advice}".rstrip()
            )

    def _needed(self, path: str, what: str) -> str:
        text: str = self.values.get(path, "")
        if not text and not self._refused(path):
            self.source.problem(path, "there is none", f"write {what}")
        return text

    def _refused(self, path: str) -> bool:
        """Whether the field, or one that it is in, is there and has a problem already."""
        place = self.source.place(path)
        return any(place == p.where or place.startswith(p.where + ".") for p in self.source.problems)


_TEMPLATE = "spec.template"
_ENV = f"{_TEMPLATE}.spec.containers[{CONTAINER}].env"
_STORAGE = "spec.persistentStorage."
_SIZE, _CLASS, _MOUNT = (_STORAGE + name for name in ("size", "storageClassName", "mountPath"))
_RING_SECRET = "spec.service.ringSecretName"  # noqa: S105 -- the path of a field
SECRETS = (
    ("spec.service.configSecretName", "config-secret", "user.toml"),
    ("spec.service.filesSecretName", "files-secret", ""),
    (_RING_SECRET, "ring-key", "ring-key"),
)
"""Field, option, and the key that both the operator and the option read; "" for all keys. They read the same ones."""

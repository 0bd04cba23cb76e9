"""The ring controller as a process of its own, with what deploy/ gives it: a ServiceAccount, its rights, the fence.

In somebody else's cluster all of this has names of its own, and what the controller may write is kept to the namespaces
of the demo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.controlplane.client import wait_for
from tests.controlplane.config import write_kubeconfig
from tests.controlplane.processes import ProcessError, tail
from tests.demo.place import SYSTEM, Place
from tests.demo.story import NAMESPACES, SHARED
from tests.support.controller import ControllerProcess
from tests.support.controller_rights import (
    ACCOUNT,
    CLUSTER_SCOPED,
    FENCE,
    NAMESPACE,
    RIGHTS,
    SHARED_RINGS,
    Installed,
    moved,
    shipped,
)
from tests.support.manifests import Document

START_SECONDS = 30
_TOKEN_SECONDS = 24 * 3600
"""The run stays up until Ctrl-C, and nobody renews the token."""

_READING = ("list", "watch")


class Controller:
    """Started by `start`, ended by `stop`, and by the kernel when this process dies."""

    def __init__(self, made: Installed, directory: Path) -> None:
        cluster, token = made.cluster, made.cluster.token(made.namespace, ACCOUNT, seconds=_TOKEN_SECONDS)
        kubeconfig = directory / "controller.kubeconfig"
        write_kubeconfig(kubeconfig, url=cluster.url, ca=cluster.ca, token=token)
        flags = (f"--namespace={made.namespace}", f"--shared-rings={SHARED}")
        try:
            self.process = ControllerProcess(directory / "controller", kubeconfig, *flags)
        except AssertionError as error:
            raise ProcessError(str(error)) from None

    def wait_leading(self) -> None:
        """Until it acts. Raises WaitError; ProcessError when it has ended instead."""

        def leads() -> bool:
            self.check()
            try:
                return self.process.leads
            except OSError:  # it has just ended, as the next check says
                return False

        wait_for("the controller to act", leads, seconds=START_SECONDS)

    def check(self) -> None:
        """Raises ProcessError with the end of the log when the process has ended by itself."""
        code = self.process.process.poll()
        if code is not None:
            raise ProcessError(f"the controller ended with exit code {code}:\n{tail(self.process.output)}")

    def stop(self) -> None:
        self.process.stop()

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return self.process.lines()

    def complaints(self) -> list[str]:
        """What it has logged as an error, and that it lacks rights; a sentence each."""
        found = [f"the controller says: {json.dumps(line)}" for line in self.lines() if line["level"] == "error"]
        refused = int(self.process.metric("api_calls_total", status="403"))
        return found + ([f"{refused} requests of the controller were refused with 403; see its log"] if refused else [])

    def counts(self) -> tuple[int, int, int, float]:
        """Rings, members, lists written, and the mean of the seconds from a pod's address to its first list."""
        metric = self.process.metric
        pods, seconds = metric("peers_written_seconds_count"), metric("peers_written_seconds_sum")
        lists = metric("writes_total", kind="peers", result="ok")
        return int(metric("rings")), int(metric("ring_members")), int(lists), seconds / (pods or 1)


def installation(place: Place) -> Installed:
    """What the controller of this run is to have; not applied yet."""
    documents = [*shipped(RIGHTS, FENCE), *_for_our_ring(shipped(SHARED_RINGS))]
    if place.own:
        return Installed(place.cluster, NAMESPACE, documents)
    return Installed(place.cluster, SYSTEM, confined(moved(documents, SYSTEM, "-demo"), NAMESPACES))


def remove(made: Installed) -> None:
    """Everything of it that does not go with a namespace. Raises KubectlError."""
    found = [d for d in made.documents if d["kind"] in CLUSTER_SCOPED]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": found})
    made.cluster.kubectl("delete", "--ignore-not-found", "-f", "-", input=text)


def confined(documents: Sequence[Document], namespaces: Sequence[str]) -> list[Document]:
    """The same rights, but of each ClusterRole only list and watch reach everywhere; its other verbs become a Role in
    each of these namespaces.
    """
    roles = {d["metadata"]["name"]: _split(d) for d in documents if d["kind"] == "ClusterRole"}
    made: list[Document] = []
    for document in documents:
        if document["kind"] == "ClusterRole":
            reading, others = roles[document["metadata"]["name"]]
            made += [document | {"rules": reading}] if reading else []
            made += [_in(name, document | {"kind": "Role", "rules": others}) for name in namespaces if others]
        elif document["kind"] == "ClusterRoleBinding":
            reading, others = roles[document["roleRef"]["name"]]
            binding = document | {"kind": "RoleBinding", "roleRef": document["roleRef"] | {"kind": "Role"}}
            made += [document] if reading else []
            made += [_in(name, binding) for name in namespaces if others]
        else:
            made.append(document)
    return made


def _split(role: Document) -> tuple[list[Document], list[Document]]:
    """Rules with list and watch alone, and rules with the other verbs."""
    pairs = [(rule, [v for v in rule["verbs"] if v in _READING]) for rule in role["rules"]]
    others = [(rule, [v for v in rule["verbs"] if v not in _READING]) for rule in role["rules"]]
    return [r | {"verbs": v} for r, v in pairs if v], [r | {"verbs": v} for r, v in others if v]


def _in(namespace: str, document: Document) -> Document:
    return document | {"metadata": document["metadata"] | {"namespace": namespace}}


def _for_our_ring(documents: Sequence[Document]) -> list[Document]:
    """As the chart does it for rings.shared."""
    names = [SHARED.key_secret_in(SHARED.namespace), SHARED.key_secret_in("any other")]
    return [
        d | {"rules": [r | {"resourceNames": names} for r in d["rules"]]} if d["kind"] == "ClusterRole" else d
        for d in documents
    ]

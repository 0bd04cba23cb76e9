"""A real control plane, `serve` behind a mounted Secret, and controllers with the shipped rights and no others."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from click.testing import Result
from cryptography import x509

from certs import authorities as cas
from certs import bundle, leaf
from certs.authorities import Authorities
from certs.authority import CertificateError
from certs.leaf import Leaf
from tests.cli.running import run
from tests.controlplane.client import wait_for
from tests.controlplane.cluster import ControlPlane, RunningControlPlane
from tests.support import audit
from tests.support.controller import QUICK, REAL, ControllerProcess, controller
from tests.support.controller_rights import (
    CERTIFICATES,
    FENCE,
    NAMESPACE,
    RIGHTS,
    Document,
    installed_as_shipped,
    user_name,
)
from tests.support.mount import Mount, mounted
from tests.support.reviews import encoded, review
from tests.support.server import WebhookServer, webhook_server
from tests.support.tls import Files
from tests.support.webhook_config import registration
from webhook.certificates.configurations import LABEL, MANAGED

T = TypeVar("T")

CA, TLS = "habitat-webhook-ca", "habitat-webhook-tls"
NAME = "habitat-webhook"
FOREIGN = "somebody-elses"
SERVICE = "habitat-webhook.habitat-webhook.svc"
KINDS = {"mutating": "mutatingwebhookconfigurations", "validating": "validatingwebhookconfigurations"}
FLAGS = ("--certificates=managed", "--tls-names=127.0.0.1", "--ca-settle=2")
USER = user_name(NAMESPACE)


@dataclass(frozen=True, slots=True)
class Installation:
    """cluster: its administrator. kubeconfig: the controller's ServiceAccount. server: one `serve`, with no access to
    the API. mount: its certificate. said: by metrics and by commands. keys: every private key that was seen.
    """

    cluster: RunningControlPlane
    kubeconfig: Path
    directory: Path
    server: WebhookServer
    mount: Mount
    roles: list[Document]
    processes: list[ControllerProcess] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)

    @contextlib.contextmanager
    def controller(
        self, name: str = "one", *flags: str, program: Sequence[str] = REAL, **variables: str
    ) -> Iterator[ControllerProcess]:
        """One that leads or stands by; what its metrics say at the end is kept."""
        where = self.directory / "controllers" / f"{name}-{len(self.processes)}"
        flags = (*QUICK, *FLAGS, *flags)
        with controller(where, self.kubeconfig, *flags, program=program, **variables) as process:
            self.processes.append(process)
            yield process
            if process.process.poll() is None:
                self.said.append(process.get("/metrics")[1])

    def wait(self, what: str, attempt: Callable[[], T | None], *, seconds: float = 60) -> T:
        return wait_for(what, attempt, seconds=seconds)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        status, answer = self.cluster.request(method, path, body)
        assert status < 300, answer
        return answer

    def certs(self, *arguments: str) -> Result:
        """One run of `habitat-webhook certs`, by the administrator."""
        result = run("certs", *arguments, f"--kubeconfig={self.cluster.kubeconfig}")
        self.said.append(result.output)
        return result

    # Secrets

    def secret(self, name: str) -> dict[str, Any] | None:
        status, found = self.cluster.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
        if status == 404:
            return None
        assert status == 200, found
        return dict(found)

    def data(self, name: str) -> dict[str, bytes]:
        """What a Secret holds, {} for none; its keys are noted."""
        found = self.secret(name) or {}
        data = {key: base64.b64decode(text) for key, text in found.get("data", {}).items()}
        self.keys.update(text for key, text in data.items() if key.endswith(".key") and b"PRIVATE" in text)
        return data

    def delete(self, name: str) -> None:
        status, answer = self.cluster.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
        assert status in (200, 404), answer

    def write(self, name: str, data: dict[str, bytes], *, ours: bool = True, kind: str = "Opaque") -> None:
        """Put a Secret in the place of what is there."""
        labels = {"app.kubernetes.io/managed-by": "habitat-webhook"} if ours else {}
        body = {
            "metadata": {"name": name, "labels": labels},
            "type": kind,
            "data": {key: base64.b64encode(text).decode() for key, text in data.items()},
        }
        self.ask("PUT", f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}", body)

    def authorities(self) -> Authorities:
        return cas.decode(self.data(CA))

    def leaf(self) -> Leaf:
        return leaf.decode(self.data(TLS))

    # webhook configurations

    def configuration(self, kind: str, name: str = NAME) -> dict[str, Any]:
        return dict(self.ask("GET", f"/apis/admissionregistration.k8s.io/v1/{KINDS[kind]}/{name}"))

    def bundles(self, name: str = NAME) -> list[bytes]:
        """The caBundle of every entry of both kinds."""
        found = [w for kind in KINDS for w in self.configuration(kind, name)["webhooks"]]
        return [base64.b64decode(w["clientConfig"].get("caBundle", "")) for w in found]

    def spoil(self, kind: str, texts: dict[int, bytes], name: str = NAME) -> None:
        """Write other caBundles, by the places of their entries."""
        found = self.configuration(kind, name)
        for place, text in texts.items():
            found["webhooks"][place]["clientConfig"]["caBundle"] = base64.b64encode(text).decode()
        self.ask("PUT", f"/apis/admissionregistration.k8s.io/v1/{KINDS[kind]}/{name}", found)

    def whole(self) -> bool:
        """Whether every caBundle is what is kept, and the leaf in its Secret verifies by it."""
        try:
            kept, serving = self.authorities(), self.leaf()
        except CertificateError:  # not there, or not put right yet
            return False
        trusted = bundle.issuer(serving.certificate, kept.certificates) is not None
        return trusted and set(self.bundles()) == {kept.bundle()}

    def served(self) -> bool:
        """Whether `serve` shows the leaf that is in the Secret, as the API server would see it."""
        try:
            return self.handshake(self.bundles()[0]) == self.leaf().certificate.serial_number
        except OSError:  # not yet
            return False

    def handshake(self, trusted: bytes) -> int:
        """A new TLS connection to `serve` by its Service's name; the serial number of its leaf. Raises ssl.SSLError."""
        context = ssl.create_default_context(cadata=trusted.decode())
        with (
            self.server.connect_plain() as plain,
            context.wrap_socket(plain, server_hostname=SERVICE) as connection,
        ):
            shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number

    def client(self, trusted: bytes) -> http.client.HTTPSConnection:
        """To `serve`, by its Service's name; opened by its first request."""
        context = ssl.create_default_context(cadata=trusted.decode())
        connection = http.client.HTTPSConnection(SERVICE, context=context, timeout=30)
        # As a cluster's DNS and kube-proxy do it: the name is the Service's, the address that of a replica.
        connection._create_connection = lambda *_, **__: self.server.connect_plain()  # type: ignore[attr-defined]
        return connection

    def settled(self) -> None:
        """Waits until everything is as it should be."""
        self.wait("every caBundle to verify the leaf", self.whole)
        self.wait("the leaf to be served", self.served)

    # admissions

    def admitted(self) -> tuple[int, str]:
        """A pod that is created as a trial: the status, and what is wrong with the answer, "" for nothing."""
        with contextlib.closing(self.cluster.connect()) as connection:
            return admit(connection)

    @contextlib.contextmanager
    def load(self, threads: int = 4) -> Iterator[Load]:
        """Trial creations of pods through the webhook, all the time, and new TLS connections besides."""
        load = Load(self, threads)
        try:
            yield load
        finally:
            load.stop()


REVIEWS_PER_SECOND, REVIEWERS = 220, 2
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "probe",
        "annotations": {
            "habitat.sh/service": "probe",
            "habitat.sh/license": "accept-no-persist",
            "habitat.sh/inject": "true",
        },
    },
    "spec": {"containers": [{"name": "main", "image": "core/probe:1"}]},
}


REVIEW = encoded(review(POD, namespace="default"))


def admit(connection: Any) -> tuple[int, str]:
    """As Installation.admitted, on a connection that is kept."""
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", json.dumps(POD), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 201:
        return answer.status, text
    injected = "habitat.sh/injected" in json.loads(text)["metadata"]["annotations"]
    return 201, "" if injected else "the pod was not injected"


class Load:
    """Pods that are created by way of the API server; reviews that go to `serve` itself, at a steady pace on kept-alive
    connections, begun anew with every change of caBundle as an API server does; and bare handshakes.

    admitted, reviewed: how many. failed: what went wrong. handshakes: serial numbers of the leaves that were met.
    """

    def __init__(self, place: Installation, threads: int) -> None:
        self.admitted = self.reviewed = 0
        self.failed: list[str] = []
        self.handshakes: list[int] = []
        self._place = place
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._trusted = place.bundles()[0]
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._admit) for _ in range(threads)]
        self._threads += [threading.Thread(target=self._review) for _ in range(REVIEWERS)]
        self._threads.append(threading.Thread(target=self._connect))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        if not self._over.is_set():
            self.seconds = time.monotonic() - self._began
            self._over.set()
        for thread in self._threads:
            thread.join()

    def _admit(self) -> None:
        with contextlib.closing(self._place.cluster.connect()) as connection:
            while not self._over.is_set():
                try:
                    status, wrong = admit(connection)
                except OSError as error:
                    status, wrong = 0, repr(error)
                with self._lock:
                    self.admitted += status == 201 and not wrong
                    if wrong:
                        self.failed.append(f"{status} {wrong}")

    def _review(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            trusted = self._trusted
            with contextlib.closing(self._place.client(trusted)) as connection:
                while trusted == self._trusted and not self._over.is_set():
                    wrong = _reviewed(connection)
                    with self._lock:
                        self.reviewed += not wrong
                        if wrong:
                            self.failed.append(wrong)
                    due += REVIEWERS / REVIEWS_PER_SECOND
                    self._over.wait(max(0.0, due - time.monotonic()))

    def _connect(self) -> None:
        """By the caBundle of this moment, as an API server does that has just seen it."""
        while not self._over.wait(0.05):
            for trusted in set(self._place.bundles()):
                self._trusted = trusted
                try:
                    self.handshakes.append(self._place.handshake(trusted))
                except OSError as error:
                    self.failed.append(f"handshake {error!r}")


def _reviewed(connection: http.client.HTTPSConnection) -> str:
    """What went wrong with one review, "" for nothing."""
    try:
        connection.request("POST", "/mutate", REVIEW, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return "" if b'"allowed":true' in answer.read() else f"{answer.status} to a review"
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return repr(error)


def validating(labelled: bool, name: str) -> dict[str, Any]:
    """A ValidatingWebhookConfiguration that is asked about nothing there is."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "labels": {LABEL: MANAGED} if labelled else {}},
        "webhooks": [
            {
                "name": f"{n}.check.habitat.sh",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                "rules": [
                    {"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}
                ],
            }
            for n in range(2)
        ],
    }


@contextlib.contextmanager
def installed(directory: Path) -> Iterator[Installation]:
    """Without any Secret, and with two configurations of ours and two of somebody else's, none with a caBundle."""
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=1, apiserver_flags=audit.flags(directory, USER)))
        rights = installed_as_shipped(cluster, RIGHTS, CERTIFICATES, FENCE)
        mount = stack.enter_context(mounted(cluster, NAMESPACE, TLS, directory / "mount"))
        (directory / "webhook").mkdir()
        server = stack.enter_context(webhook_server(directory / "webhook", files=Files(mount.directory)))
        for name in (NAME, FOREIGN):
            mutating = registration(server.url, b"", name=name, namespaces=() if name == NAME else ("nowhere",))
            mutating["metadata"]["labels"][LABEL] = MANAGED if name == NAME else "by-hand"
            cluster.apply(json.dumps(mutating))
            cluster.apply(json.dumps(validating(name == NAME, name)))
        yield Installation(cluster, rights.kubeconfig(), directory, server, mount, rights.roles)

"""What tests do with a cluster, by kubectl or by plain HTTPS."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import ssl
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.controlplane.config import write_kubeconfig
from tests.controlplane.pki import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
POLL_SECONDS = 0.1
REQUEST_SECONDS = 60


class KubectlError(RuntimeError):
    """kubectl ended with an error; the message holds what it printed."""


class WaitError(AssertionError):
    """What was waited for did not happen in time."""


@dataclass(frozen=True, slots=True)
class Access:
    """All that a process needs to use a cluster as its administrator; `client` is None unless it is a certificate."""

    kubeconfig: Path
    url: str
    ca: Path
    kubectl: Path
    scratch: Path  # an existing folder for kubectl's cache and for further kubeconfigs
    client: Pair | None = None

    def to_json(self) -> str:
        paths = {name: str(getattr(self, name)) for name in ("kubeconfig", "url", "ca", "kubectl", "scratch")}
        client = None if self.client is None else [str(self.client.certificate), str(self.client.key)]
        return json.dumps({**paths, "client": client})

    @classmethod
    def from_json(cls, text: str) -> Access:
        content = json.loads(text)
        client = None if content["client"] is None else Pair(*map(Path, content["client"]))
        paths = {name: Path(content[name]) for name in ("kubeconfig", "ca", "kubectl", "scratch")}
        return cls(url=content["url"], client=client, **paths)


class Cluster:
    """A running cluster and its administrator."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @property
    def kubeconfig(self) -> Path:
        return self.access.kubeconfig

    @property
    def url(self) -> str:
        """Such as `https://127.0.0.1:41235`."""
        return self.access.url

    @property
    def ca(self) -> Path:
        """The PEM file that the API server's certificate verifies against."""
        return self.access.ca

    def run_kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        as_: str | None = None,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl and returns its exit code, stdout and stderr (warnings of the API server are there).

        `as_` impersonates a user, such as `system:serviceaccount:shop:default`; `kubeconfig` replaces the
        administrator's.
        """
        command = [str(self.access.kubectl), f"--kubeconfig={kubeconfig or self.kubeconfig}"]
        if as_ is not None:
            command.append(f"--as={as_}")
        # Neither the caches nor the preferences (kuberc) of the user who runs the tests.
        environment = os.environ | {"KUBECACHEDIR": str(self.access.scratch / "kubectl-cache"), "KUBERC": "off"}
        return subprocess.run([*command, *arguments], input=input, capture_output=True, text=True, env=environment)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
        as_: str | None = None,
        kubeconfig: Path | None = None,
    ) -> str:
        """Runs kubectl and returns its standard output. Raises KubectlError.

        With check=False standard output and standard error, whatever the exit code.
        """
        completed = self.run_kubectl(*arguments, input=input, as_=as_, kubeconfig=kubeconfig)
        if not check:
            return completed.stdout + completed.stderr
        if completed.returncode != 0:
            raise KubectlError(
                f"kubectl {' '.join(arguments)} ended with exit code {completed.returncode}:\n"
                f"{completed.stdout}{completed.stderr}"
            )
        return completed.stdout

    def get(self, *arguments: str) -> Any:
        """`kubectl get … -o json`, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, manifests: str) -> str:
        """Applies YAML or JSON text (several documents are fine). Raises KubectlError with the API server's message."""
        return self.kubectl("apply", "-f", "-", input=manifests)

    def token(self, namespace: str, serviceaccount: str, *, seconds: int = 3600) -> str:
        """A fresh bearer token of a service account, by the TokenRequest API."""
        return self.kubectl(
            "create", "token", serviceaccount, f"--namespace={namespace}", f"--duration={seconds}s"
        ).strip()

    def kubeconfig_for(self, namespace: str, serviceaccount: str) -> Path:
        """A kubeconfig that has no more than the rights of a service account."""
        path = self.access.scratch / f"{namespace}-{serviceaccount}.kubeconfig"
        return write_kubeconfig(path, url=self.url, ca=self.ca, token=self.token(namespace, serviceaccount))

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """One HTTPS request to the API server: status and decoded JSON (text where it is not JSON).

        With the token if there is one, else as the administrator, else (no certificate known) anonymously. A path is
        such as `/api/v1/namespaces/default/pods?dryRun=All`.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(self.connect(administrator=token is None)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.headers.get_content_type() == "application/json":
                return answer.status, json.loads(content)
            return answer.status, content.decode(errors="replace")

    def connect(self, *, administrator: bool = True) -> http.client.HTTPSConnection:
        """A connection to the API server, for requests that are to share one; opened by its first request."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if administrator and self.access.client is not None:
            context.load_cert_chain(self.access.client.certificate, self.access.client.key)
        host = urllib.parse.urlsplit(self.url).netloc
        return http.client.HTTPSConnection(host, context=context, timeout=REQUEST_SECONDS)

    def wait(self, what: str, attempt: Callable[[], T | None], *, seconds: float = 60) -> T:
        """Calls `attempt` ten times a second until it returns something true, which is returned.

        Raises WaitError, which names `what` and holds the last answer.
        """
        return wait_for(what, attempt, seconds=seconds)

    @contextlib.contextmanager
    def namespace(self, *, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A fresh namespace with a generated name, ready for pods; deletion begins at the end of the block."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"generateName": "test-", "labels": dict(labels or {})},
        }
        created = self.kubectl("create", "-f", "-", "-o", "name", input=json.dumps(manifest))
        name = created.strip().removeprefix("namespace/")
        try:
            # Until its service account exists, a namespace refuses every pod.
            self.kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={name}", "--timeout=60s")
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def wait_for(what: str, attempt: Callable[[], T | None], *, seconds: float = 60) -> T:
    """See Cluster.wait."""
    deadline = time.monotonic() + seconds
    while True:
        answer = attempt()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise WaitError(f"waited {seconds:.0f} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(POLL_SECONDS)


def existing_cluster(kubeconfig: Path, scratch: Path, *, kubectl: Path) -> Cluster:
    """A cluster that somebody else runs, by the current context of its kubeconfig.

    `scratch` is an empty folder for the certificate and for kubectl's cache. Raises KubectlError when the kubeconfig
    has no current context, and ValueError when it does not hold the cluster's CA certificate.
    """
    bare = Cluster(Access(kubeconfig=kubeconfig, url="", ca=Path(), kubectl=kubectl, scratch=scratch))
    view = json.loads(bare.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    cluster = view["clusters"][0]["cluster"]
    if "certificate-authority-data" not in cluster:
        raise ValueError(
            f"{kubeconfig}: the cluster {view['clusters'][0]['name']!r} names no certificate-authority(-data); "
            f"add it, the API server's certificate is always verified here"
        )
    ca = scratch / "ca.crt"
    ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return Cluster(dataclasses.replace(bare.access, url=cluster["server"], ca=ca))

"""`habitat-webhook certs status|rotate|renew`: the certificates of a cluster, with the rights of your kubeconfig."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from certs.stores import REQUESTED, Secret, Stored
from webhook.certificates.configurations import listed
from webhook.certificates.report import Found, Report, as_json, as_text, report, signer
from webhook.cli.connection import connection_options, namespace_value
from webhook.cli.errors import Failure
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json
from webhook.kube.errors import NO_ANSWER, ApiError, ConfigError

if TYPE_CHECKING:
    from webhook.kube.client import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])

EXIT_WRONG = 1
_POLL_SECONDS = 1.0
_STATUS_EPILOG = f"""\b
Examples:
  {PROGRAM} certs status
  {PROGRAM} certs status -o json | jq .leaf.secondsLeft

\b
Exit status:
  0  nothing is wrong
  1  something is
  2  wrong usage, or the cluster cannot be asked
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look: the values of `_place`."""

    kubeconfig: Path | None
    context: str
    namespace: str
    ca_secret: str
    tls_secret: str


def _place(command: _Command) -> _Command:
    decorators = (
        click.option(
            "-n",
            "--namespace",
            default="habitat-webhook",
            show_default=True,
            callback=namespace_value,
            metavar="NAME",
            help="The namespace of the installation.",
        ),
        click.option("--ca-secret", default="habitat-webhook-ca", show_default=True, help="The Secret of the CA."),
        click.option(
            "--tls-secret", default="habitat-webhook-tls", show_default=True, help="The Secret of the certificate."
        ),
        *connection_options,
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


_wait = click.option(
    "--wait", type=click.IntRange(0, 3600), default=0, metavar="SECONDS", help="Wait until it is done, at most so long."
)


@click.command(cls=Command, epilog=_STATUS_EPILOG)
@_place
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(output: str, **place: Any) -> None:
    """Show CA, certificate and caBundles, and what is wrong with them.

    Reads two Secrets and the webhook configurations labelled habitat.sh/ca-bundle=managed. Keys are not shown.
    """
    with _connected(Place(**place)) as cluster:
        found = cluster.report()
    click.echo(dump_json(as_json(found)) if output == "json" else as_text(found))
    if not found.well:
        click.get_current_context().exit(EXIT_WRONG)


@click.command(cls=Command)
@_place
@_wait
def rotate(wait: int, **place: Any) -> None:
    """Have the controller change over to a new CA, without a moment in which the webhook is not trusted.

    The new CA is published in every caBundle at once; about a minute later it signs the webhook's certificate. The old
    one stays trusted until its last certificate has died.
    """
    with _connected(Place(**place)) as cluster:
        before = cluster.report()
        if before.authorities is not None and before.authorities.next is not None:
            raise Failure(f"a rotation is under way already; `{PROGRAM} certs status` shows how far it is")
        cluster.ask(cluster.authority, before.found.authority)
        click.echo("asked for a new CA; the controller publishes it within seconds")
        old = before.authorities.current.certificate if before.authorities else None
        if wait:
            cluster.wait(
                wait,
                lambda now: (
                    now.authorities is not None
                    and now.leaf is not None
                    and now.authorities.current.certificate != old
                    and signer(now.leaf, now.authorities) == "current"
                ),
            )
            click.echo("the new CA has signed the webhook's certificate")


@click.command(cls=Command)
@_place
@_wait
def renew(wait: int, **place: Any) -> None:
    """Have the controller issue a new certificate, signed by the same CA.

    The webhook's pods get it through their mounted Secret, which takes the kubelet up to two minutes, and serve it
    without a restart.
    """
    with _connected(Place(**place)) as cluster:
        before = cluster.report()
        cluster.ask(cluster.serving, before.found.serving)
        click.echo("asked for a new certificate; the controller issues it within seconds")
        old = before.leaf.certificate if before.leaf else None
        if wait:
            cluster.wait(wait, lambda now: now.leaf is not None and now.leaf.certificate != old)
            click.echo("the new certificate is in its Secret")


class _Cluster:
    """The certificates of one cluster. Every call raises Failure."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client = client
        self._place = place
        self.authority = Secret(client, place.namespace, place.ca_secret, "Opaque")
        self.serving = Secret(client, place.namespace, place.tls_secret, "kubernetes.io/tls")

    def report(self) -> Report:
        """What is there now."""
        with self._said("read the Secrets of the certificates and list webhook configurations"):
            return report(
                Found(
                    datetime.now(UTC),
                    self.authority.read(),
                    self.serving.read(),
                    listed(self._client),
                    f"{self._place.namespace}/{self._place.ca_secret}",
                    f"{self._place.namespace}/{self._place.tls_secret}",
                )
            )

    def ask(self, store: Secret, found: Stored | None) -> None:
        """Leave a request at a Secret."""
        if found is None:
            raise Failure(
                f"{store.name} is not there: the controller makes it, if it runs with --certificates=managed; "
                f"`{PROGRAM} certs status` says more"
            )
        if not found.ours:
            raise Failure(f"{store.name} was not made by {PROGRAM}, which leaves it alone")
        annotations = {REQUESTED: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        with self._said(f"patch {store.name}"):
            self._client.patch(store.path, {"metadata": {"annotations": annotations}})

    def wait(self, seconds: int, done: Callable[[Report], bool]) -> None:
        """Until it is done. Raises Failure when that takes too long."""
        end = time.monotonic() + seconds
        while not done(self.report()):
            if time.monotonic() > end:
                raise Failure(f"not done after {seconds} s; `{PROGRAM} certs status` says what is wrong")
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            if error.status == NO_ANSWER:
                raise Failure(
                    f"no answer from {self._client.url} ({error.reason}: {error.message}); does `kubectl cluster-info` "
                    "get one?"
                ) from None
            if error.status == 403:
                raise Failure(f"you may not {what}: {error.message}. Ask for a role that may") from None
            raise Failure(f"the API server refused it: {error}") from None


@contextmanager
def _connected(place: Place) -> Iterator[_Cluster]:
    from webhook.kube.client import Client

    try:
        client = Client.connect(place.kubeconfig, context=place.context)
    except ConfigError as error:
        raise Failure(str(error)) from None
    try:
        yield _Cluster(client, place)
    finally:
        client.close()

"""What `explain`, `check` and `doctor` find out about the installation in a cluster, with the user's own rights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webhook.admission.entries import LABEL, Entry, entries
from webhook.admission.installed import (
    ADMISSION,
    DEPLOYMENTS,
    configurations,
    policy_text,
    reads_namespaces,
    settings_of,
    version_of,
)
from webhook.admission.surroundings import Surroundings
from webhook.cli.errors import Failure
from webhook.decide import Settings
from webhook.kube.errors import NO_ANSWER, ApiError, ConfigError
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError

if TYPE_CHECKING:
    from webhook.kube.client import Client

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Installation:
    """entries: of all webhook configurations of ours. around: as `serve` is started. version: of the image, "" where it
    is not known. notes: what is not known, a sentence each. exact: whether `around` is what `serve` goes by.
    """

    entries: Sequence[Entry]
    around: Surroundings
    version: str = ""
    notes: tuple[str, ...] = ()
    exact: bool = True


UNKNOWN = Surroundings(Settings(shared_rings=None))
"""Of an installation of which nothing is known."""


@contextmanager
def connected(kubeconfig: Path | None, context: str, advice: str = "") -> Iterator[Client]:
    """A client that is closed in the end. Raises Failure; advice: what else its message says."""
    from webhook.kube.client import Client

    try:
        client = Client.connect(kubeconfig, context=context)
    except ConfigError as error:
        raise Failure(f"{error}{advice}") from None
    try:
        yield client
    finally:
        client.close()


@contextmanager
def said(client: Client, what: str, advice: str = "") -> Iterator[None]:
    """What an ApiError means to a person. what: "list webhook configurations"."""
    try:
        yield
    except ApiError as error:
        if error.status == NO_ANSWER:
            raise Failure(
                f"no answer from {client.url} ({error.reason}: {error.message}); does `kubectl cluster-info` get one?"
            ) from None
        if error.status == 401:
            raise Failure(f"{client.url} does not accept your credential; log in again") from None
        if error.status == 403:
            raise Failure(f"you may not {what}: {error.message}. Ask for a role that may{advice}") from None
        raise Failure(f"the API server refused to {what}: {error}") from None


def installation(client: Client) -> Installation:
    """What is there. Raises Failure."""
    with said(client, "list webhook configurations", "; or name a file that has them: --webhooks FILE"):
        found = configurations(client)
    if not found:
        raise Failure(
            f"no webhook configuration of the cluster has the label {LABEL}: habitat-webhook is not installed there; "
            "docs/install.md says how to. --offline explains what would be"
        )
    with said(client, "list Deployments"):
        try:
            pages = client.list(DEPLOYMENTS, labels=ADMISSION)
            deployment = next((raw for page, _ in pages for raw in page), None)
        except ApiError as error:
            if error.status != 403:
                raise
            note = f"how `serve` is started is not known, nor its policy: {error.message}"
            return Installation(entries(found), UNKNOWN, notes=(note,), exact=False)
    if deployment is None:
        note = "the cluster has no Deployment of `serve`: its defaults are taken, no policy, and any shared ring"
        return Installation(entries(found), UNKNOWN, notes=(note,))
    policy, notes = _policy(client, deployment)
    around = Surroundings(settings_of(deployment), policy, blind=not reads_namespaces(deployment))
    return Installation(entries(found), around, version_of(deployment), notes, exact=not notes)


def _policy(client: Client, deployment: Object) -> tuple[Policy | None, tuple[str, ...]]:
    """The policy, and what is not known of it."""
    namespace = deployment["metadata"]["namespace"]
    with said(client, "read the policy"):
        try:
            content = policy_text(client, namespace, deployment)
        except ApiError as error:
            if error.status != 403:
                raise
            return None, (f"the policy is not known, you may not read it: {error.message}; --policy FILE names one",)
    try:
        return (None if content is None else Policy.of(content, "the policy")), ()
    except PolicyError as error:
        return None, (f"the policy of the cluster is refused, and an older one may be in force: {error}",)

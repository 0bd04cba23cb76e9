"""`habitat-webhook explain`: why a workload's pods are injected, or are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook import __version__
from webhook.admission.entries import Entry, entries
from webhook.admission.explanation import Explanation, Result, Subject
from webhook.admission.explanation import explain as explained
from webhook.admission.installed import shipped
from webhook.admission.resources import BY_KIND, BY_WORD, POD, Resource
from webhook.cli.connection import connection_options, namespace_value
from webhook.cli.documents import read_documents
from webhook.cli.errors import Failure
from webhook.cli.explaintext import VERSION, as_json, as_text
from webhook.cli.group import PROGRAM, Command
from webhook.cli.inject import shared_rings_value
from webhook.cli.installation import UNKNOWN, Installation, connected, installation, said
from webhook.cli.jsonstream import dump_json
from webhook.cli.policyoptions import policy_options
from webhook.cli.report import say
from webhook.decide import INJECTION_LABEL, mapping
from webhook.kube.errors import ApiError
from webhook.namespaces import Namespace
from webhook.policy.index import NAME_LABEL
from webhook.policy.policy import Policy
from webhook.selectors import SelectorError
from webhook.workloads import Found, objects

if TYPE_CHECKING:
    from webhook.kube.client import Client

EXIT_NOT_INJECTED = 1
_EPILOG = f"""\b
Examples:
  {PROGRAM} explain deployment/web -n shop
  {PROGRAM} explain pod/web-5d8f7c9b4-x2x7k -o json
  {PROGRAM} explain -f deployment.yaml
  {PROGRAM} explain -f manifests/ -R --offline --namespace-labels habitat.sh/injection=enabled

\b
Exit status:
  0  the pods of every workload are injected
  1  those of one at least are not: left alone, refused, or not known
  2  wrong usage, input that cannot be read, or the cluster cannot be asked
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for. labels: of the namespaces, None for those that the cluster says."""

    names: Sequence[str]
    files: Sequence[str]
    recursive: bool
    namespace: str
    labels: Mapping[str, str] | None
    webhooks: Sequence[str]


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[KIND/NAME]...")
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE", help="Manifests, a directory of them, or -.")
@click.option("-R", "--recursive", is_flag=True, help="Look into the directories of a directory, too.")
@click.option(
    "-n", "--namespace", default="", callback=namespace_value, metavar="NAME", help="[default: the context's]"
)
@policy_options()
@click.option(
    "--webhooks",
    multiple=True,
    metavar="FILE",
    help="Webhook configurations, in the place of the cluster's; other objects in the file do not matter.",
)
@click.option("--offline", is_flag=True, help="Ask no cluster: the webhook configurations are those of this version.")
@click.option("--cluster-domain", default="", metavar="DOMAIN", help="In the place of what the cluster's webhook has.")
@click.option(
    "--shared-rings",
    "shared",
    default=None,
    callback=shared_rings_value,
    metavar="LIST",
    help="In the place of what the cluster's webhook has.",
)
@connection_options[0]
@connection_options[1]
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(
    kubeconfig: Path | None,
    context: str,
    output: str,
    cluster_domain: str,
    shared: frozenset[str] | None,
    policy: Policy | None,
    namespace_labels: Mapping[str, str] | None,
    *,
    offline: bool,
    **asked: Any,
) -> None:
    """Say why the pods of a workload are injected, or are not.

    For each entry of the webhook configurations: whether the API server sends the pod there, and which selector, rule
    or condition decides. Then what the webhook decides, who has said each value, and what is put in. A pod that exists
    is compared with what it would be today.
    """
    names: tuple[str, ...] = asked.pop("names")
    if len(names) == 2 and not any("/" in name for name in names):
        names = ("/".join(names),)  # as kubectl takes it, too: deployment web
    request = Asked(names=names, labels=namespace_labels, **asked)
    if bool(request.names) == bool(request.files):
        raise click.UsageError("name workloads, such as deployment/web, or files with -f")
    if offline and request.names:
        raise click.UsageError("--offline takes workloads from files: give -f FILE")
    with ExitStack() as stack:
        client = None if offline else stack.enter_context(connected(kubeconfig, context, "; or give --offline"))
        found = _installation(request, client)
        chosen: dict[str, Any] = {"cluster_domain": cluster_domain} if cluster_domain else {}
        if shared is not None:
            chosen["shared_rings"] = shared
        around = replace(found.around, settings=replace(found.around.settings, **chosen))
        if policy is not None:
            around = replace(around, policy=policy)
        places = _Places(request, client)
        made = [
            explained(subject, found.entries, around, places.namespace(subject.namespace))
            for subject in _subjects(request, client, places)
        ]
    _write(made, found, output, assumed=places.assumed)
    if any(m.result is not Result.INJECTED for m in made):
        click.get_current_context().exit(EXIT_NOT_INJECTED)


def _installation(asked: Asked, client: Client | None) -> Installation:
    if asked.webhooks:
        values = [found.value for document in read_documents(asked.webhooks) for found in objects(document.value)]
        try:
            there: list[Entry] = entries(values)
        except SelectorError as error:
            raise Failure(f"{', '.join(asked.webhooks)}: {error}") from None
        if not there:
            raise Failure(f"{', '.join(asked.webhooks)}: no webhook configuration in it")
        note = "with --webhooks it is not looked at how `serve` is started: its defaults count, and --policy"
        return Installation(there, UNKNOWN, notes=() if client is None else (note,))
    if client is None:
        return Installation(shipped(), UNKNOWN)
    return installation(client)


class _Places:
    """The namespaces, each asked for once. assumed: notes about what was taken for granted."""

    def __init__(self, asked: Asked, client: Client | None) -> None:
        self._asked = asked
        self._client = client
        self._known: dict[str, Namespace | None] = {}
        self._written: dict[str, Mapping[str, Any]] = {}
        self.assumed: dict[str, None] = {}

    def write(self, found: Found) -> None:
        """A namespace that is among the files, and counts where there is none of that name yet."""
        self._written[found.name] = found.value

    @property
    def usual(self) -> str:
        """Of objects that name none."""
        if self._asked.namespace or self._client is None:
            return self._asked.namespace or "default"
        return self._client.namespace

    def namespace(self, name: str) -> Namespace | None:
        """What is known of a namespace; None for nothing."""
        if name not in self._known:
            raw = self._raw(name)
            self._known[name] = None if raw is None else Namespace.of({"metadata": {**raw["metadata"], "name": name}})
        return self._known[name]

    def _raw(self, name: str) -> Mapping[str, Any] | None:
        try:
            raw = self._stored(name) or self._written.get(name)
        except PermissionError:
            raw = None
            if self._asked.labels is None:
                return None
        if raw is None:
            raw = {"metadata": {"labels": {} if self._asked.labels is not None else self._assume(name)}}
        labels = mapping(mapping(raw, "metadata"), "labels") if self._asked.labels is None else self._asked.labels
        return {"metadata": {**mapping(raw, "metadata"), "labels": {**labels, NAME_LABEL: name}}}

    def _assume(self, name: str) -> dict[str, str]:
        """The labels of a namespace of which nothing is known."""
        if self._client is None:
            self.assumed[f"namespace {name} is taken to be labelled {INJECTION_LABEL}=enabled"] = None
            return {INJECTION_LABEL: "enabled"}
        self.assumed[f"namespace {name} is not there yet, and is taken to have no labels"] = None
        return {}

    def _stored(self, name: str) -> Mapping[str, Any] | None:
        """As the API has it. Raises PermissionError."""
        if self._client is None:
            return None
        with said(self._client, f"get namespace {name}"):
            try:
                return self._client.get(f"/api/v1/namespaces/{name}", metadata_only=True)
            except ApiError as error:
                if error.status == 403:
                    raise PermissionError from None
                if error.status == 404:
                    return None
                raise


def _subjects(asked: Asked, client: Client | None, places: _Places) -> list[Subject]:
    if client is not None and asked.names:
        return [_named(name, client, places.usual) for name in asked.names]
    found = [f for document in read_documents(asked.files, recursive=asked.recursive) for f in objects(document.value)]
    for each in found:
        if (each.api_version, each.kind) == ("v1", "Namespace"):
            places.write(each)
    made = list(_written(found, places.usual))
    if not made:
        raise Failure(f"{', '.join(asked.files)}: no workload in it, so there is nothing to explain")
    return made


def _written(found: Sequence[Found], usual: str) -> Iterator[Subject]:
    for each in found:
        if not each.template_path and each.kind != "Pod":
            continue
        if not isinstance(each.template, dict):
            raise Failure(f"{each.label}: there is no pod template in it")
        yield _subject(each, BY_KIND[each.api_version.rpartition("/")[0], each.kind], each.namespace or usual)


def _subject(found: Found, resource: Resource, namespace: str, *, stored: bool = False) -> Subject:
    return Subject(
        found.label,
        resource,
        found.value,
        found.template,
        namespace,
        claims=found.claim_templates,
        misplaced=found.misplaced_annotations(),
        stored=stored,
    )


def _named(name: str, client: Client, namespace: str) -> Subject:
    kind, slash, own = name.partition("/")
    resource = BY_WORD.get(kind.lower())
    if not slash or not own or resource is None:
        allowed = ", ".join(sorted(r.kind.lower() for r in BY_KIND.values()))
        raise click.UsageError(f"{name!r} is no workload; allowed: KIND/NAME, the kind one of {allowed}")
    raw = _get(client, resource, namespace, own)
    found = Found(raw, (), resource.api_version, resource.kind)
    if not isinstance(found.template, dict):
        raise Failure(f"{found.label}: there is no pod template in it")
    return _subject(found, resource, namespace, stored=resource is POD)


def _get(client: Client, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
    with said(client, f"get {resource.plural} of namespace {namespace}"):
        try:
            return client.get(resource.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                raise Failure(f"namespace {namespace} has no {resource.kind} {name}; -n names another one") from None
            raise


def _write(made: Sequence[Explanation], found: Installation, output: str, *, assumed: Mapping[str, None]) -> None:
    if output == "json":
        whole = {
            "version": VERSION,
            "engine": __version__,
            "objects": [as_json(m) for m in made],
            "notes": [*assumed, *found.notes],
        }
        click.echo(dump_json(whole))
        return
    say("\n\n".join(as_text(m) for m in made), err=False)
    notes = [*(f"{text}; --namespace-labels says otherwise" for text in assumed), *found.notes]
    if found.version and found.version != __version__:
        notes.append(f"the cluster's webhook is version {found.version}, this is {__version__}: they may differ")
    for note in notes:
        say(f"{click.style('note:', fg='yellow')} {note}", err=True)

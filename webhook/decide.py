"""Inject or skip, and why: the decisions that need nothing but the pod and what surrounds it.

| first that holds | reason |
|---|---|
| not a Pod | NotAPod |
| an ephemeral container is added | EphemeralUpdate |
| any other change of a pod that exists | NotCreated |
| kube-system, kube-node-lease, the webhook's own namespace | NamespaceExcluded |
| a static pod's mirror | MirrorPod |
| a Windows pod | WindowsPod |
| annotation habitat.sh/inject: "false" | OptedOut |
| namespace labelled habitat.sh/injection=disabled | NamespaceDisabled |
| a policy says never | PolicyNever |
| namespace not labelled, and no habitat.sh/inject: "true" | NamespaceNotEnabled |
| no habitat.sh/service, /package, inject: "true", and no policy that opts it in | NotAnnotated |
| the container's own command starts a Supervisor | HandWrittenSupervisor |
| values that cannot work | Invalid |
| values that a policy does not allow | PolicyDenied |
| everything is there | AlreadyCurrent |
| otherwise | Injected |

The last five are found by `inject/`, which has to read the containers for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Self

from webhook import __version__
from webhook.demands import Demand
from webhook.options import PREFIX

INJECTION_LABEL = "habitat.sh/injection"
EXCLUDED_NAMESPACES = frozenset({"kube-system", "kube-node-lease"})
DOCS_URL = "https://github.com/habitat-webhook/habitat-webhook/blob/main/docs"

POD, ARGS, ENV, BUILT_IN = "pod", "args", "env", "built-in"
"""Who said a value, besides the layers of policy and namespace: the annotations, the container's own words, nobody."""

_MIRROR = "kubernetes.io/config.mirror"
_OS = "kubernetes.io/os"


class Reason(Enum):
    """Why a pod was or was not injected: a stable code, a sentence, and what to do where one could want otherwise."""

    code: str
    sentence: str
    advice: str

    INJECTED = "Injected", "The pod runs under the Habitat Supervisor.", ""
    ALREADY_CURRENT = "AlreadyCurrent", "Everything that would be injected is there already.", ""
    NOT_ANNOTATED = (
        "NotAnnotated",
        "The pod carries neither habitat.sh/service nor habitat.sh/package.",
        "Put habitat.sh/service: <package name> on the pod template (not on the Deployment itself).",
    )
    OPTED_OUT = ("OptedOut", 'The pod says habitat.sh/inject: "false".', "Remove that annotation to have it injected.")
    NAMESPACE_EXCLUDED = (
        "NamespaceExcluded",
        "Pods of kube-system, kube-node-lease and the webhook's own namespace are never injected.",
        "Run the workload in another namespace.",
    )
    NAMESPACE_DISABLED = (
        "NamespaceDisabled",
        "The namespace is labelled habitat.sh/injection=disabled.",
        "Label it habitat.sh/injection=enabled.",
    )
    NAMESPACE_NOT_ENABLED = (
        "NamespaceNotEnabled",
        "The namespace is not labelled habitat.sh/injection=enabled.",
        'Label the namespace, or put habitat.sh/inject: "true" on the pod template.',
    )
    MIRROR_POD = ("MirrorPod", "A static pod's mirror cannot be changed.", "Run the workload as a Deployment.")
    WINDOWS_POD = ("WindowsPod", "Windows pods are not supported.", "")
    EPHEMERAL_UPDATE = ("EphemeralUpdate", "An ephemeral container was added to a pod that exists already.", "")
    NOT_CREATED = (
        "NotCreated",
        "Only pods that are being created are injected.",
        "Restart the workload: kubectl rollout restart.",
    )
    NOT_A_POD = (
        "NotAPod",
        "The object is not a Pod of v1.",
        "Compare the webhook configuration with the one that is shipped: its rules name pods alone.",
    )
    HAND_WRITTEN_SUPERVISOR = (
        "HandWrittenSupervisor",
        "The container's own command starts a Supervisor, which would get everything twice.",
        'Remove `command`, or say habitat.sh/entrypoint: "custom" when it passes its args on.',
    )
    POLICY_NEVER = ("PolicyNever", "A policy says that this pod is never injected.", "Ask who keeps the policy.")
    POLICY_DENIED = (
        "PolicyDenied",
        "A rule of the policy does not allow these settings.",
        "Mend what the message lists; it names the rule.",
    )
    INVALID = ("Invalid", "The pod's settings cannot work.", "Mend what the message lists.")

    def __new__(cls, code: str, sentence: str, advice: str) -> Self:
        made = object.__new__(cls)
        made._value_ = code
        made.code, made.sentence, made.advice = code, sentence, advice
        return made


@dataclass(frozen=True, slots=True)
class Settings:
    """What the installation says.

    own_namespace: where the webhook runs, never injected; "" when it runs in none. cluster_domain: for the ring's DNS
    name. docs_url: what messages link to. sidecars: container names that are never the target, besides the built-in
    ones. shared_rings: "name.namespace" of each ring that pods of other namespaces may join; None when that is not
    known, and then each may be joined, with a warning.
    """

    own_namespace: str = ""
    cluster_domain: str = "cluster.local"
    docs_url: str = DOCS_URL
    version: str = __version__
    sidecars: frozenset[str] = frozenset()
    shared_rings: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Layer:
    """Values of one source, by option name without prefix, as text; `source` is what messages call it."""

    source: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """What policy and namespace say of one pod: the seam through which `policy/` reaches the engine.

    forced: above the pod's own annotations. defaults: below them, strongest first (namespace, then policy).
    opt_in: injects a pod that is not annotated. never: does not inject it. demands: what the settings have to meet.
    matched: the names of the rules that were applied. generation: of the policy they are of, "" without one.
    notes: what the user is to know of the rules themselves, as warnings.
    """

    forced: tuple[Layer, ...] = ()
    defaults: tuple[Layer, ...] = ()
    opt_in: bool = False
    never: bool = False
    demands: tuple[Demand, ...] = ()
    matched: tuple[str, ...] = ()
    generation: str = ""
    notes: tuple[str, ...] = ()

    def with_defaults(self, layer: Layer) -> Rules:
        """The same with one more layer of defaults, stronger than the others: a namespace's above a policy's."""
        return replace(self, defaults=(layer, *self.defaults))


@dataclass(frozen=True, slots=True)
class Situation:
    """All that surrounds a pod; a pure value, so that the CLI and the webhook decide alike.

    namespace: the request's, since a pod's own may be empty. namespace_labels: None when not known, because the webhook
    configuration's selector has decided already. claim_templates: names of a StatefulSet's volumeClaimTemplates, which
    are volumes of its pods although the template does not list them. rules_before: of a workload that is changed, what
    was said of its pods until now; None when nothing else.
    """

    namespace: str = "default"
    operation: str = "CREATE"
    subresource: str = ""
    namespace_labels: Mapping[str, str] | None = None
    claim_templates: frozenset[str] = frozenset()
    settings: Settings = field(default_factory=Settings)
    rules: Rules = field(default_factory=Rules)
    rules_before: Rules | None = None


def decide(pod: Any, situation: Situation) -> Reason | None:
    """The reason to leave a pod alone, or None when it is to be injected; the table above, row by row."""
    if not isinstance(pod, dict) or pod.get("kind", "Pod") != "Pod" or pod.get("apiVersion", "v1") != "v1":
        return Reason.NOT_A_POD
    if situation.subresource == "ephemeralcontainers":
        return Reason.EPHEMERAL_UPDATE
    if situation.operation != "CREATE" or situation.subresource:
        return Reason.NOT_CREATED
    if situation.namespace in EXCLUDED_NAMESPACES or situation.namespace == situation.settings.own_namespace:
        return Reason.NAMESPACE_EXCLUDED
    annotations = mapping(mapping(pod, "metadata"), "annotations")
    if _MIRROR in annotations:
        return Reason.MIRROR_POD
    if _windows(mapping(pod, "spec")):
        return Reason.WINDOWS_POD
    wish = annotations.get(PREFIX + "inject")
    if wish == "false":
        return Reason.OPTED_OUT
    return _unwanted(annotations, wish, situation)


def _unwanted(annotations: Mapping[str, Any], wish: Any, situation: Situation) -> Reason | None:
    labels = situation.namespace_labels
    if labels is not None and labels.get(INJECTION_LABEL) == "disabled":
        return Reason.NAMESPACE_DISABLED
    if situation.rules.never:
        return Reason.POLICY_NEVER
    if wish == "true":
        return None
    if labels is not None and labels.get(INJECTION_LABEL) != "enabled":
        return Reason.NAMESPACE_NOT_ENABLED
    asked = wish is not None or PREFIX + "service" in annotations or PREFIX + "package" in annotations
    return None if asked or situation.rules.opt_in else Reason.NOT_ANNOTATED


def mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """parent[key] when it is an object, else an empty one: absent, null and malformed are read alike."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def sequence(parent: Mapping[str, Any], key: str) -> list[Any]:
    """parent[key] when it is an array, else an empty one."""
    value = parent.get(key)
    return value if isinstance(value, list) else []


def _windows(spec: Mapping[str, Any]) -> bool:
    return mapping(spec, "os").get("name") == "windows" or mapping(spec, "nodeSelector").get(_OS) == "windows"

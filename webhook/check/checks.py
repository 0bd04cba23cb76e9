"""Every check, in order: what it asks, what it says, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from certs import leaf
from webhook import __version__
from webhook.admission.installed import policy_source, version_of
from webhook.admission.matching import Request, ruled
from webhook.admission.resources import POD
from webhook.certificates.report import Severity
from webhook.check.line import Line, check, fail, ok, warn
from webhook.check.seen import Seen
from webhook.check.trial import Ended
from webhook.decide import mapping, sequence
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError

OLDEST_MINOR = 30
SKEW_SECONDS, BAD_SKEW_SECONDS = 5.0, 300.0
"""From which on clocks are said to differ, and from which on new certificates may not be valid yet."""

RIGHTS = (
    ("list", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", False),
    ("list", "admissionregistration.k8s.io", "validatingwebhookconfigurations", False),
    ("list", "admissionregistration.k8s.io", "validatingadmissionpolicies", False),
    ("list", "admissionregistration.k8s.io", "validatingadmissionpolicybindings", False),
    ("list", "apps", "deployments", False),
    ("list", "", "namespaces", False),
    ("get", "", "secrets", True),
    ("get", "", "configmaps", True),
)
"""(verb, group, resource, only in the installation's namespace) of what is asked besides creating a pod."""

FENCE = ("pods", "services", "secrets")
_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
_OURS = "app.kubernetes.io/name=habitat-webhook"


@check(
    "api-server",
    "Does the API server answer, in a version that is supported?",
    f"Kubernetes 1.{OLDEST_MINOR} is the oldest that has all that the installation uses.",
)
def api_server(seen: Seen) -> Line:
    said = str(seen.version.get("gitVersion"))
    found = re.fullmatch(r"v1\.(\d+)\..*", said)
    if found and int(found[1]) >= OLDEST_MINOR:
        return ok(f"{seen.client.url} is Kubernetes {said}")
    return fail(f"{seen.client.url} is Kubernetes {said}; 1.{OLDEST_MINOR} or newer is needed")


@check(
    "rights",
    "May you look at all that is checked?",
    "Ask for a role with these rights, or let somebody check who has them.",
)
def rights(seen: Seen) -> Line:
    wanted = [(*right[:3], seen.namespace if right[3] else "") for right in RIGHTS]
    wanted.append(("create", "", "pods", seen.try_in))
    missing = [
        f"{verb} {resource}" + (f" in {namespace}" if namespace else "")
        for verb, group, resource, namespace in wanted
        if not seen.may(verb, group, resource, namespace)
    ]
    if missing:
        return warn(f"you may not {', '.join(missing)}; what needs that is not checked")
    return ok(f"you may do all {len(wanted)} things that are done")


@check("clock", "Do the clocks agree?", "Set the clocks right, by NTP: certificates begin and end by them.")
def clock(seen: Seen) -> Line:
    skew = seen.skew
    if skew is None:
        return warn("the API server does not say its time")
    how = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API server's"
    if abs(skew) >= BAD_SKEW_SECONDS:
        return fail(how)
    return warn(how) if abs(skew) >= SKEW_SECONDS else ok("the API server's clock and this machine's agree")


@check(
    "webhooks",
    "Does the API server know of the webhook?",
    "Apply deploy/install.yaml, or upgrade the Helm release, once more.",
)
def webhooks(seen: Seen) -> Line:
    request = Request(POD, "default", {}, {})
    pods = [entry for entry in seen.entries if entry.mutating and ruled(entry, request)]
    if not pods:
        return fail("no webhook configuration with the label " + _OURS + " has an entry that gets pods")
    names = ", ".join(f"{entry.configuration}/{entry.name}" for entry in seen.entries)
    return ok(f"{len(seen.entries)} entries: {names}")


@check(
    "replicas",
    "Do the webhook's and the controller's pods run?",
    "kubectl -n NAMESPACE get pods, and describe those that are not ready.",
)
def replicas(seen: Seen) -> Line:
    said, worst = [], ok
    for role, deployment in (("webhook", seen.admission), ("controller", seen.controller)):
        if deployment is None:
            said.append(f"no Deployment of the {role}")
            worst = fail if role == "webhook" else worst
            continue
        wanted, ready = _replicas(deployment)
        said.append(f"{role} {ready} of {wanted} ready")
        if ready == 0:
            worst = fail
        elif ready < wanted and worst is ok:
            worst = warn
    return worst("; ".join(said))


@check(
    "failure-policy",
    "What happens when the webhook is down?",
    "docs/failure-policy.md has the argument; the chart's admission.failurePolicy and serve.replicas decide.",
)
def failure_policy(seen: Seen) -> Line:
    fails = {entry.fails for entry in seen.entries if entry.mutating}
    wanted = _replicas(seen.admission)[0] if seen.admission else None
    if False in fails:
        return warn(
            "failurePolicy Ignore: pods start without a Supervisor while the webhook is down; `doctor` finds them"
        )
    if wanted is not None and wanted < 2:
        return warn("failurePolicy Fail and one replica: no annotated pod starts while it is replaced")
    return ok("failurePolicy Fail: annotated pods wait while the webhook is down, others do not notice")


@check(
    "certificates",
    "Are CA and certificate there, and for how long?",
    "`habitat-webhook certs status` says more; docs/certificates.md explains.",
)
def certificates(seen: Seen) -> Line:
    found = seen.certificates
    wrong = [f for f in found.findings if f.severity is Severity.ERROR and f.code != "NotTrusted"]
    if not found.found.configurations and not (found.found.authority and found.found.authority.ours):
        if found.found.serving is None:
            return fail(f"Secret {found.found.tls_secret} is not there, and no CA that would sign one")
        return ok("somebody else keeps the certificates (cert-manager?), and there is one")
    if wrong:
        return fail("; ".join(f.message for f in wrong), wrong[0].advice)
    if found.leaf is None or found.authorities is None:
        return fail("there is no certificate")
    left, ca = (
        leaf.remaining(c, found.found.now) for c in (found.leaf.certificate, found.authorities.current.certificate)
    )
    return ok(f"the certificate is good for {left.days} days, the CA for {ca.days}; both are renewed in time")


@check(
    "ca-bundle",
    "Does the API server accept the webhook's certificate?",
    "The controller puts caBundle right within seconds; `habitat-webhook certs status` says what keeps it from that.",
)
def ca_bundle(seen: Seen) -> Line:
    without = [f"{e.configuration}/{e.name}" for e in seen.entries if not e.trusts]
    if without:
        return fail(f"no caBundle in {', '.join(without)}")
    kept = seen.certificates.entries
    wrong = [f"{e.configuration.name}/{e.entry}" for e in kept if not e.verifies]
    if wrong:
        return fail(f"the certificate is not accepted by the caBundle of {', '.join(wrong)}")
    if not kept:
        return ok("every entry has a caBundle; somebody else keeps it, so the call below is its proof")
    return ok(f"the caBundle of all {len(kept)} entries accepts the certificate")


@check(
    "fence",
    "Is the controller kept within its bounds?",
    "Apply deploy/install.yaml once more: its ValidatingAdmissionPolicies keep a stolen token from doing harm.",
)
def fence(seen: Seen) -> Line:
    if seen.controller is None:
        return warn("there is no controller to keep")
    policies = {raw["metadata"]["name"] for raw in seen.names(_POLICIES, _OURS)}
    bound = {mapping(raw, "spec").get("policyName") for raw in seen.names(_BINDINGS, _OURS)}
    wanted = {f"habitat-webhook-controller-{what}" for what in FENCE}
    missing = sorted(wanted - policies) + sorted(f"{name} (not bound)" for name in (wanted & policies) - bound)
    if missing:
        return fail(f"ValidatingAdmissionPolicies that are not there: {', '.join(missing)}")
    return ok(f"{len(policies & bound)} admission policies stand around its rights")


@check(
    "policy",
    "Is the policy one that is taken?",
    "`habitat-webhook policy check FILE` says every mistake with its line; until then the last good one stays.",
)
def policy(seen: Seen) -> Line:
    if seen.admission is None:
        return warn("no Deployment of the webhook says whether there is a policy")
    source = policy_source(seen.admission)
    if source is None:
        return ok("there is none, which is fine")
    where = f"ConfigMap {seen.namespace}/{source[0]}, key {source[1]}"
    if seen.policy is None:
        return fail(f"{where} is not there: the webhook is not ready before it has read one")
    try:
        made = Policy.of(seen.policy, source[1])
    except PolicyError as error:
        return fail(f"{where} is refused: {_first(str(error))}")
    count = len(made.document.rules)
    rules = f"{count} rule{'s'[: count != 1]}"
    if made.warnings:
        return warn(f"{where}: {rules}; `policy check` warns of line {made.warnings[0]}")
    return ok(f"{where}: {rules}, generation {made.generation}")


@check(
    "call",
    "Does a pod that asks for it come out injected?",
    "`habitat-webhook explain` says what selects a pod; docs/runbook.md has what keeps a call from arriving.",
)
def call(seen: Seen) -> Line:
    trial = seen.trial
    where = f"a pod created for trial in namespace {trial.namespace}"
    match trial.ended:
        case Ended.INJECTED:
            return ok(f"{where} came out injected; it was not stored")
        case Ended.REFUSED:
            return ok(f"{where} was refused by the webhook itself, so it answers: {_first(trial.message)}")
        case Ended.NOT_ALLOWED:
            return warn(
                f"{where} was refused before the webhook could be seen: {_first(trial.message)}", "--try-in NAME"
            )
        case Ended.CALL_FAILED:
            return fail(f"the API server could not call the webhook: {_first(trial.message)}")
        case _:
            return fail(
                f"{where} came out as it was: the webhook was not asked, or was passed by (failurePolicy Ignore)"
            )


@check(
    "versions",
    "Are command line and webhook of one version?",
    "Install the version of the command line that the cluster has; `doctor` finds pods of an older one.",
)
def versions(seen: Seen) -> Line:
    found = {f"this command line {__version__}": __version__}
    if seen.admission is not None:
        found[f"the manifests {version_of(seen.admission)}"] = version_of(seen.admission)
        tag = _tag(seen.admission)
        found[f"the image {tag}"] = tag
    if seen.trial.made:
        found[f"the webhook that answered {seen.trial.made.version}"] = seen.trial.made.version
    said = {version for version in found.values() if re.match(r"\d+\.\d+\.\d+", version)}
    if len(said) > 1:
        return warn(", ".join(found))
    return ok(", ".join(found))


def _replicas(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """(wanted, ready)."""
    wanted = mapping(deployment, "spec").get("replicas")
    return (1 if wanted is None else int(wanted)), int(mapping(deployment, "status").get("readyReplicas") or 0)


def _tag(deployment: Mapping[str, Any]) -> str:
    """Of the image, "" for none: a digest says no version."""
    pod = mapping(mapping(mapping(deployment, "spec"), "template"), "spec")
    image = str(next((c.get("image") for c in sequence(pod, "containers")), ""))
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _first(text: str) -> str:
    """The first line of a message, cut."""
    line = text.partition("\n")[0]
    return line if len(line) <= 300 else line[:299] + "…"

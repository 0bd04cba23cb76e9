"""The page that `make run` prints: who was injected, with what, who was not, and what a mistake looks like."""

from __future__ import annotations

from typing import Any

from tests.demo.added import PARTS, Lines, added, minus, short, usual
from tests.demo.story import Workload, ready
from tests.demo.terminal import entry, heading, listed, paint, paragraph, quote, say, width

_LABEL = "{:12}".format


def injected(found: list[Workload], *, simulated: bool) -> None:
    """One block for what is usual, then one for each workload with what is different about it."""
    lines = {id(w): added(w.pods[0], w.container) for w in found}
    shared = usual(list(lines.values()))
    heading("Injected")
    paragraph(
        "Plain Deployments and StatefulSets went in, and the API server sent each of their pods to the webhook. This is"
        " what came back; what one has got besides (+) or has not got (-) stands under its name."
    )
    say()
    _parts("+", shared)
    if simulated:
        say()
        paragraph(
            "Be aware: no container really runs here, kwok plays the kubelet. The API server, its controllers and the"
            " scheduler are real. Nobody writes habitat.sh/peers yet: the ring controller is still to come."
        )
    for workload in found:
        _workload(workload)
        _parts("+", minus(lines[id(workload)], shared))
        _parts("-", minus(shared, lines[id(workload)]))


def _workload(workload: Workload) -> None:
    _title(workload)
    for pod in workload.pods:
        entry(_LABEL("pod"), _pod(pod))
    names = [c["name"] for c in workload.pods[0]["spec"]["containers"]]
    others = f", not {', '.join(n for n in names if n != workload.container)}" if len(names) > 1 else ""
    entry(_LABEL("Injected"), f"container {workload.container}{others}; {_why_injected(workload)}", "green")
    for warning in sorted({text for review in workload.reviews for text in review["warnings"]}):
        entry(_LABEL("warning"), warning, "yellow")


def _title(workload: Workload) -> None:
    title = f"{workload.kind} {workload.namespace}/{workload.name}"
    gap = " " * max(2, width() - len(title) - len(workload.source))
    say()
    say(paint(title, "bold") + gap + paint(workload.source, "dim"))
    said = [f"{k.removeprefix('habitat.sh/')}: {short(v)}" for k, v in workload.annotations.items()]
    listed(_LABEL("you wrote"), said or ["(no habitat.sh/ annotation)"], "  ")


def _why_injected(workload: Workload) -> str:
    if workload.annotations.get("habitat.sh/inject") == "true":
        return 'why: the pod says inject: "true", which needs no label on its namespace'
    asked = "service" if "habitat.sh/service" in workload.annotations else "package"
    return f"why: the namespace is labelled, the pod names a {asked}"


def _pod(pod: dict[str, Any]) -> str:
    status, spec = pod.get("status", {}), pod["spec"]
    state = "Ready" if ready(pod) else f"{status.get('phase', 'Pending')}, not ready"
    place = " ".join(filter(None, (status.get("podIP"), f"on {spec['nodeName']}" if spec.get("nodeName") else "")))
    return f"{pod['metadata']['name']}  {state}  {place}".rstrip()


def _parts(sign: str, lines: Lines) -> None:
    for part in PARTS:
        if lines[part]:
            listed(f"{sign} {part:15}", lines[part], "  ")


def skipped(found: list[Workload]) -> None:
    """Each with its reason, and who has decided: the API server by deploy/webhook.yaml, or the webhook."""
    heading("Left alone")
    for workload in found:
        _title(workload)
        reason = workload.reason
        if reason is None:
            continue
        asked = "The webhook was asked." if workload.reviews else "The API server never asked the webhook."
        entry(_LABEL("why"), f"{reason.code}: {reason.sentence} {asked}", "yellow")
        if reason.advice:
            entry(_LABEL("to change it"), reason.advice)


def refused(pod_answer: str, complaint: dict[str, str], event: str | None) -> None:
    """What kubectl says of a bare pod, and where the author of a Deployment finds it."""
    heading("A mistake, and what its author sees")
    say()
    paragraph(
        "A bare pod with three mistakes (tests/demo/scenes/wrong-pod.yaml). kubectl apply says all of them at once:"
    )
    quote(pod_answer)
    say()
    paragraph(
        "A Deployment with a mistake (tests/demo/scenes/wrong-deployment.yaml) is accepted, since the webhook sees"
        f" pods. kubectl describe deployment shows the condition ReplicaFailure, {complaint['reason']}:"
    )
    quote(complaint["message"])
    if event and complaint["message"] in event:
        paragraph("kubectl get events has the same text, from the Deployment's ReplicaSet.")
    elif event:
        paragraph("kubectl get events has, from the Deployment's ReplicaSet:")
        quote(event)


def counted(reviews: dict[str, int], found: list[Workload]) -> None:
    """The counters of /metrics, and the workloads that do not appear in them."""
    heading("The webhook's own count")
    total = sum(reviews.values())
    each = ", ".join(f"{count} {reason}" for reason, count in sorted(reviews.items()) if count)
    never = [f"{w.namespace}/{w.name}" for w in found if not w.reviews]
    paragraph(f"{total} reviews: {each}. (A ReplicaSet whose pod is refused tries again and again.)")
    paragraph(f"None for {', '.join(never)}: deploy/webhook.yaml keeps them away.")


def verdict(wrong: list[str]) -> None:
    heading("Verdict")
    for sentence in wrong:
        say("  " + paint("✗ ", "red") + sentence)
    if not wrong:
        say("  " + paint("✓ ", "green") + "Every workload came out as it should.")


def play(kubeconfig: str, kubectl: str, path: str) -> None:
    heading("Yours to play with")
    say()
    say(f"export KUBECONFIG={kubeconfig}")
    say(f"export PATH={path}:$PATH")
    say()
    say("kubectl get pods -A")
    say("kubectl -n habitat-demo get pod -l habitat.sh/ring=redis -o yaml")
    say("kubectl -n habitat-demo run mine --image=core/redis:4.0.14 --annotations=habitat.sh/service=redis")
    say("kubectl apply -f tests/demo/scenes/wrong-deployment.yaml; kubectl -n habitat-demo describe deployment wrong")
    say("kubectl habitat annotations" + " " * 8 + paint("# every annotation", "dim"))
    say("kubectl habitat inject -f deploy/examples/leader.yaml" + " " * 8 + paint("# the same, offline", "dim"))
    if kubectl:
        paragraph(f"\n(There is no kubectl on your PATH; the line above brings {kubectl}.)", "")
    say()
    say("Ctrl-C ends it. Until then, the webhook's decisions:")


def decision(review: dict[str, Any]) -> None:
    what = {"inject": ("injected", "green"), "deny": ("refused", "red")}.get(
        review["decision"], ("left alone", "yellow")
    )
    detail = f"{review['ops']} changes" if review["ops"] else ", ".join(review["problems"])
    dry = " (dry run)" if review.get("dry_run") else ""
    who = f"{review['namespace']}/{review['owner']}"
    say(f"  {paint(what[0], what[1])} {who}: {review['reason']}{dry}  {detail}".rstrip())

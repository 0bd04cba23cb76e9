"""The page that `make run` prints: who was injected, with what, who was not, and what a mistake looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.demo.added import added, minus, usual
from tests.demo.story import Workload, ready
from tests.demo.terminal import entry, heading, listed, paint, paragraph, quote, say, width
from webhook.admission.parts import PARTS, Lines, short

_LABEL = "{:12}".format


def installation(documents: Sequence[Mapping[str, Any]], url: str, seconds: float) -> None:
    """Before what `habitat-webhook certs status` prints itself.

    url: where the API server reaches the webhook. seconds: from the controller's start to the first call.
    """
    heading("Installed")
    say()
    say("$ kubectl apply -f deploy/install.yaml")
    say()
    counts = Counter(document["kind"] for document in documents)
    listed(_LABEL("made"), [f"{count} {kind}" for kind, count in counts.items()], "  ")
    say()
    paragraph(
        f"All of it is there as it stands, with one substitution: the API server calls {url} instead of the Service,"
        " since no kubelet runs here. (Besides it there is the role that the chart adds for rings.shared, which one of"
        " the examples needs.)"
    )
    say()
    paragraph(
        "The pods of both Deployments are simulated; two processes stand in for them, with the arguments of their"
        " containers, ports and paths aside. Each has the token of its ServiceAccount and nothing else; that of serve"
        " may read namespaces and write Events, and nothing more. Its certificate comes from files that follow a"
        " Secret, which is a kubelet's work and done by this run with the administrator's rights."
    )
    say()
    paragraph(
        f"No certificate was made by hand: {seconds:.1f} s after its start the controller had made a CA and a"
        " certificate and written caBundle, the webhook had loaded the certificate, and the API server had called it."
    )
    say()


def forming(paths: Sequence[str], rings: Mapping[str, int]) -> None:
    """What is going to be seen; `happened` follows."""
    heading("Two rings form")
    say()
    paragraph(
        f"{' and '.join(paths)} are applied now: plain Deployments in one namespace, whose annotations name the rings"
        f" {' and '.join(rings)}. A Supervisor that starts knows nobody. The controller writes the addresses of up to"
        " three others of its ring into the annotation habitat.sh/peers of each pod, which the pod has as a file. This"
        " is what a watch of the pods shows, in seconds since kubectl apply began:"
    )
    say()


def happened(at: float, ring: str, pod: str, text: str) -> None:
    """at: seconds."""
    entry(f"{at:6.2f} s  {ring:5}  {pod:28}", text)


def formed(at: float | None, rings: Mapping[str, int], longest: float) -> None:
    """at: seconds, None when it did not come to that. longest: seconds that a pod waited."""
    if at is None:
        return
    each = " and ".join(f"{name} of {size} pods" for name, size in rings.items())
    say()
    paragraph(
        f"After {at:.2f} s both rings are whole, {each}: every list names live others of its own ring, and the lists"
        f" connect all of them. No pod that could be told of somebody waited longer than {longest * 1000:.0f} ms."
    )


def deleting(pod: str, address: str, named_by: Sequence[str]) -> None:
    """A pod is deleted; `happened` follows."""
    say()
    paragraph(f"Now a pod goes, {address}, which is in the lists of {' and '.join(named_by)}:")
    say()
    say(f"  $ kubectl -n habitat-demo delete pod {pod}")


def healed(clean: float | None, successor: str, whole: float | None, *, same_address: bool) -> None:
    """Seconds until no list named a dead address, and until the ring was whole; None for what did not come.

    same_address: the successor has got the address of the one that went.
    """
    if clean is None or whole is None:
        return
    again = " (with the same address, as it happens)" if same_address else ""
    say()
    paragraph(
        f"After {clean:.2f} s no list named an address without a pod any more. After {whole:.2f} s {successor} was"
        f" there in its place{again}, all three had been told, and the ring was whole again."
    )


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
            " scheduler are real, and so are the webhook and the ring controller."
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
    """Each with its reason, and who has decided: the API server by the webhook configuration, or the webhook."""
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


def refused(pod_answer: str, deployment_answer: str, surprising_answer: str) -> None:
    """What kubectl says of a bare pod, of a Deployment, and of a Deployment that will surprise."""
    heading("A mistake, and what its author sees")
    say()
    paragraph(
        "A bare pod with three mistakes (tests/demo/scenes/wrong-pod.yaml). kubectl apply says all of them at once:"
    )
    quote(pod_answer)
    say()
    paragraph(
        "A Deployment with a mistake (tests/demo/scenes/wrong-deployment.yaml) is refused as well, before any of its"
        " pods is, and the message names the field of the Deployment:"
    )
    quote(deployment_answer)
    say()
    paragraph(
        "Nothing is wrong with the next one (tests/demo/scenes/surprising.yaml); kubectl says what will surprise:"
    )
    quote(surprising_answer)


def counted(reviews: dict[str, int], found: list[Workload]) -> None:
    """The counters of /metrics, and the workloads that do not appear in them."""
    heading("Counted by webhook and controller")
    total = sum(reviews.values())
    each = ", ".join(f"{count} {reason}" for reason, count in sorted(reviews.items()) if count)
    never = [f"{w.namespace}/{w.name}" for w in found if not w.reviews]
    paragraph(f"{total} reviews: {each}.")
    paragraph(f"None for {', '.join(never)}: the webhook configuration keeps them away.")


def kept(rings: int, members: int, lists: int, mean: float) -> None:
    """The controller's metrics. mean: seconds from a pod's address to its first list."""
    paragraph(
        f"The controller keeps {rings} rings with {members} members, has written {lists} lists, and took"
        f" {mean * 1000:.0f} ms from a pod's address to its first list, on average."
    )


def keys(found: Mapping[str, str]) -> None:
    """found: Secrets that the controller has made, each with a sentence about it."""
    heading("The rings now")
    say()
    paragraph(
        "Each ring has got its headless Service, and a key where ring-key: managed asks for one. The controller can"
        " create these Secrets, and read none but the shared ring's, to copy it:"
    )
    say()
    for secret, text in found.items():
        entry(f"Secret {secret:50}", text)


def rings() -> None:
    """Before what `habitat-webhook status` prints itself."""
    say()
    paragraph("The command for whoever wants to know, with no more than the right to list pods and Services:")
    say()


def verdict(wrong: list[str], *, own: bool) -> None:
    """own: in a control plane of our own, where deploy/install.yaml was installed."""
    heading("Verdict")
    for sentence in wrong:
        say("  " + paint("✗ ", "red") + sentence)
    if not wrong:
        if own:
            say("  " + paint("✓ ", "green") + "deploy/install.yaml is installed, and its certificates keep themselves.")
        say("  " + paint("✓ ", "green") + "Every workload came out as it should.")
        say("  " + paint("✓ ", "green") + "Two rings formed, one lost a pod and healed, and nothing is wrong with any.")


def play(kubeconfig: str, kubectl: str, path: str, *, own: bool) -> None:
    """own: in a control plane of our own, where the controller keeps the certificates."""
    heading("Yours to play with")
    say()
    say(f"export KUBECONFIG={kubeconfig}")
    say(f"export PATH={path}:$PATH")
    say()
    for command, comment in (
        ("kubectl habitat status -n habitat-demo -w", "the rings, live"),
        ("kubectl -n habitat-demo scale deployment redis-leader --replicas=20", "and what they do"),
        ("kubectl habitat ring graph -n habitat-demo -o svg redis >redis.svg", "who has been told of whom"),
        ("kubectl -n habitat-demo get pod -l habitat.sh/ring=redis -o yaml", ""),
        ("kubectl -n habitat-demo describe service habitat-ring-consul", "with its events"),
        ("kubectl -n habitat-demo run mine --image=core/redis:4.0.14 --annotations=habitat.sh/service=redis", ""),
        ("kubectl apply -f tests/demo/scenes/wrong-deployment.yaml", "what its author is told"),
        *([("kubectl habitat certs rotate --wait 180", "a new CA, and no call fails")] if own else []),
        ("kubectl habitat annotations", "every annotation"),
        ("kubectl habitat inject -f deploy/examples/leader.yaml", "the same, offline"),
    ):
        say(command + (" " * 4 + paint(f"# {comment}", "dim") if comment else ""))
    if kubectl:
        paragraph(f"\n(There is no kubectl on your PATH; the line above brings {kubectl}.)", "")
    say()
    say("Ctrl-C ends it. Until then, the webhook's decisions and what the controller does:")


def decision(review: dict[str, Any]) -> None:
    what = {"inject": ("injected", "green"), "deny": ("refused", "red")}.get(
        review["decision"], ("left alone", "yellow")
    )
    detail = f"{review['ops']} changes" if review["ops"] else ", ".join(review["problems"])
    dry = " (dry run)" if review.get("dry_run") else ""
    who = f"{review['namespace']}/{review['owner']}"
    say(f"  {paint(what[0], what[1])} {who}: {review['reason']}{dry}  {detail}".rstrip())


def deed(line: dict[str, Any]) -> None:
    """A line of the controller's log."""
    if line["message"] == "peers written":
        whom = f"{line['lists']} of its {line['members']} members got a new list of peers"
        say(f"  {paint('told', 'cyan')} ring {line['ring']}: {whom}")
        return
    more = ", ".join(f"{k}: {v}" for k, v in line.items() if k not in ("time", "level", "message", "identity"))
    style = {"info": "dim", "warning": "yellow"}.get(line["level"], "red")
    say(f"  {paint('controller', style)} {line['message']}  {more}".rstrip())

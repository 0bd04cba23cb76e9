"""`python -m tests.demo`, which is `make run`: control plane, webhook, examples, and a page about what happened."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tests.controlplane.build import BuildError
from tests.controlplane.client import KubectlError, WaitError, wait_for
from tests.controlplane.cluster import ClusterError
from tests.controlplane.processes import ProcessError
from tests.controlplane.progress import Progress
from tests.controlplane.toolchain import ToolchainError
from tests.demo import page, scene, story
from tests.demo.control import Controller, installation, remove
from tests.demo.place import Place, PlaceError, existing, own_control_plane
from tests.demo.server import HABITAT_WEBHOOK, Webhook
from tests.demo.terminal import paint, say, step
from tests.support.controller_rights import applied
from tests.support.webhook_config import registration
from webhook.decide import Reason
from webhook.kube.errors import ConfigError

T = TypeVar("T")
WAIT_SECONDS = 120
EXPECTED_ERRORS = (
    BuildError, ClusterError, ConfigError, KubectlError, PlaceError, ProcessError, ToolchainError, WaitError,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the page; 1 when anything went wrong")
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster instead of a control plane of its own")
    parser.add_argument(
        "--address", default="", help="IP address at which that cluster's API server reaches this machine"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    if not arguments.kubeconfig and os.environ.get("KUBECONFIG"):
        step("KUBECONFIG of the environment is left alone; to use that cluster: make run KUBECONFIG=… ADDRESS=…")
    where = existing(arguments.kubeconfig, arguments.address) if arguments.kubeconfig else own_control_plane()
    try:
        with where as place, tempfile.TemporaryDirectory(prefix="habitat-demo-") as directory:
            return _show(place, Path(directory), once=arguments.once)
    except KeyboardInterrupt:
        say()
        return 0 if not arguments.once else 130
    except EXPECTED_ERRORS as error:
        print(paint(f"error: {error}", "red"), file=sys.stderr)
        return 1


def _show(place: Place, directory: Path, *, once: bool) -> int:
    version = json.loads(place.cluster.kubectl("get", "--raw", "/version"))["gitVersion"]
    step(f"Kubernetes {version} at {place.cluster.url}")
    webhook = Webhook(directory, place.address, f"--shared-rings={story.SHARED}")
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(webhook.stop)
        with Progress("starting the webhook") as progress:
            webhook.start(progress.tick)
        step(f"webhook: {webhook.url}")
        _register(place, webhook, cleanup)
        controller = _controller(place, directory, cleanup)
        wrong = scene.play(place.cluster)
        found = _apply(place)
        refused = _mistakes(place)
        story.observe(place.cluster, found, webhook.reviews())
        wrong += story.failures(found, wait_ready=place.own) + story.unsaid(refused[0])
        good = [w for w in found if w.reason is Reason.INJECTED]
        others = [w for w in found if w.pods and w.reason is not Reason.INJECTED]
        if good:
            page.injected(good, simulated=place.own)
        page.skipped(others)
        page.refused(*refused)
        wrong += scene.rings_now(place.cluster, found)
        page.counted(webhook.counts(), found)
        page.kept(*controller.counts())
        wrong += controller.complaints()
        page.verdict(wrong)
        if not once:
            _play(place, webhook, controller)
        return 1 if wrong else 0


def _register(place: Place, webhook: Webhook, cleanup: contextlib.ExitStack) -> None:
    """Namespaces first, then the configuration; then wait until the API server acts on it, which takes it a moment."""
    cluster = place.cluster
    cluster.apply(story.namespaces())
    name = "habitat-webhook" if place.own else "habitat-webhook-demo"
    namespaces = () if place.own else story.NAMESPACES
    configuration = registration(webhook.url, webhook.ca, name=name, namespaces=namespaces)
    if not place.own:
        cleanup.callback(cluster.kubectl, "delete", "mutatingwebhookconfiguration", name, "--ignore-not-found")
    cluster.apply(json.dumps(configuration))
    probe = (story.SCENES / "probe.yaml").read_text()

    def is_called() -> bool:
        answer = cluster.run_kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", input=probe)
        return "habitat.sh/injected" in answer.stdout

    _wait("the API server to call the webhook", is_called)
    step(f"registered: MutatingWebhookConfiguration {name}, as deploy/install.yaml has it")


def _controller(place: Place, directory: Path, cleanup: contextlib.ExitStack) -> Controller:
    """Its rights and its fence in force, then the process."""
    made = installation(place)
    if not place.own:
        place.cluster.kubectl("create", "namespace", made.namespace)
        cleanup.callback(remove, made)
    applied(made)
    controller = Controller(made, directory)
    cleanup.callback(controller.stop)
    controller.wait_leading()
    where = "" if place.own else ", writing in the demo's namespaces only"
    step(f"controller: with the rights of deploy/install.yaml and no others, behind its fence{where}")
    return controller


def _apply(place: Place) -> list[story.Workload]:
    cluster, (rings, others) = place.cluster, story.manifests()
    if place.own:
        cluster.kubectl("apply", "-f", str(story.SCENES / "volume.yaml"))
    say()
    with Progress("applying the other examples") as progress:
        for path in others:
            story.apply(cluster, path)
            progress.tick()
    found = story.workloads([others[0], *rings, *others[1:]])
    step(f"applied: {len(found)} workloads of deploy/examples and tests/demo/scenes")

    def settled() -> bool:
        story.observe(cluster, found, [])
        return all(len(w.pods) == w.replicas and (not place.own or all(map(story.ready, w.pods))) for w in found)

    # A workload that does not get there is a line of the verdict, not the end of the page.
    with contextlib.suppress(WaitError):
        _wait(f"pods of {len(found)} workloads", settled)
    return found


def _mistakes(place: Place) -> tuple[str, dict[str, str], str | None]:
    cluster = place.cluster
    answer = cluster.run_kubectl("apply", "-f", str(story.SCENES / "wrong-pod.yaml"))
    if answer.returncode == 0:
        raise ProcessError("the API server accepted tests/demo/scenes/wrong-pod.yaml, which has three mistakes")
    cluster.kubectl("apply", "-f", str(story.SCENES / "wrong-deployment.yaml"))
    complaint = _wait("the wrong Deployment's ReplicaFailure", lambda: story.complaint(cluster, "wrong"))
    event = story.event(cluster, "ReplicaSet", "FailedCreate")
    cluster.kubectl("delete", "-f", str(story.SCENES / "wrong-deployment.yaml"))  # it would be refused for ever
    return answer.stderr, complaint, event


def _wait(what: str, attempt: Callable[[], T | None]) -> T:
    with Progress(f"waiting for {what}") as progress:

        def ticking() -> T | None:
            progress.tick()
            return attempt()

        return wait_for(what, ticking, seconds=WAIT_SECONDS)


def _play(place: Place, webhook: Webhook, controller: Controller) -> None:
    kubectl = place.cluster.access.kubectl
    tools = [str(HABITAT_WEBHOOK.parent)]
    missing = shutil.which("kubectl") is None
    if missing:
        tools.append(str(kubectl.parent))
    page.play(str(place.cluster.kubeconfig), str(kubectl) if missing else "", ":".join(tools))
    reviewed, done = len(webhook.reviews()), len(controller.lines())
    while True:
        time.sleep(0.5)
        webhook.process.check()
        controller.check()
        reviews, deeds = webhook.reviews(), controller.lines()
        for review in reviews[reviewed:]:
            page.decision(review)
        for line in deeds[done:]:
            page.deed(line)
        reviewed, done = len(reviews), len(deeds)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

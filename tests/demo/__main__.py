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
from pathlib import Path
from types import FrameType

from tests.controlplane.build import BuildError
from tests.controlplane.client import KubectlError, WaitError
from tests.controlplane.cluster import ClusterError
from tests.controlplane.processes import ProcessError
from tests.controlplane.progress import Progress
from tests.controlplane.toolchain import ToolchainError
from tests.demo import page, scene, story
from tests.demo.commands import HABITAT_WEBHOOK
from tests.demo.control import Controller
from tests.demo.install import installed
from tests.demo.place import Place, PlaceError, existing, own_control_plane
from tests.demo.server import Webhook
from tests.demo.terminal import paint, say, step, waiting_for
from webhook.decide import Reason
from webhook.kube.errors import ConfigError

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
    with contextlib.ExitStack() as cleanup:
        roles = installed(place, directory, cleanup)
        webhook, controller = roles.webhook, roles.controller
        wrong = [*roles.wrong, *scene.play(place.cluster)]
        found = _apply(place)
        refused = _mistakes(place)
        story.observe(place.cluster, found, webhook.reviews())
        wrong += story.failures(found, wait_ready=place.own) + story.unsaid(*refused)
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
        page.verdict(wrong, own=place.own)
        if not once:
            _play(place, webhook, controller)
        return 1 if wrong else 0


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
        waiting_for(f"pods of {len(found)} workloads", settled)
    return found


def _mistakes(place: Place) -> tuple[str, str, str]:
    """What kubectl says of a wrong pod, of a wrong Deployment, and of one that will surprise."""
    answers = []
    for name in ("wrong-pod", "wrong-deployment"):
        answer = place.cluster.run_kubectl("apply", "-f", str(story.SCENES / f"{name}.yaml"))
        if answer.returncode == 0:
            raise ProcessError(f"the API server accepted tests/demo/scenes/{name}.yaml, which cannot work")
        answers.append(answer.stderr)
    warned = place.cluster.run_kubectl("apply", "--dry-run=server", "-f", str(story.SCENES / "surprising.yaml"))
    return answers[0], answers[1], warned.stderr + warned.stdout


def _play(place: Place, webhook: Webhook, controller: Controller) -> None:
    kubectl = place.cluster.access.kubectl
    tools = [str(HABITAT_WEBHOOK.parent)]
    missing = shutil.which("kubectl") is None
    if missing:
        tools.append(str(kubectl.parent))
    page.play(str(place.cluster.kubeconfig), str(kubectl) if missing else "", ":".join(tools), own=place.own)
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

"""Where the pods run: the node of ../shared/node, left as it was found, or a cluster that somebody named."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.controlplane.build import ensure_binaries
from tests.controlplane.client import Cluster, existing_cluster
from tests.controlplane.locks import FileLock
from tests.node import product, standin

PROJECT = Path(__file__).resolve().parents[2]
NODE = PROJECT.parent / "shared" / "node"
MKIMAGE = NODE / "mkimage.py"
NETWORK = "habnode"
IMAGES = (standin, product)
ARCHIVES = PROJECT / "build"

LOAD = """\
{image} is not on that cluster's node. It is in {archive}; load it and run again:
  kind: kind load image-archive FILE      minikube: minikube image load FILE
  k3s: k3s ctr images import FILE         containerd: ctr -n k8s.io images import FILE"""


class PlaceError(RuntimeError):
    """It should have worked here and did not; the message says what to do."""


def obstacle(kubeconfig: Path | None) -> str | None:
    """Why this machine has nothing to run on, or nothing to make the image of; None when it has."""
    if kubeconfig is None and not (NODE / "up.sh").is_file():
        return "it needs the one-node Kubernetes of ../shared/node beside the project, or KUBECONFIG=FILE"
    if kubeconfig is None and os.geteuid() != 0:
        return "the one-node Kubernetes of ../shared/node needs root; KUBECONFIG=FILE names another cluster"
    if not MKIMAGE.is_file():
        return "the images are made by ../shared/node/mkimage.py, which is not beside the project"
    return next((reason for image in IMAGES if (reason := image.obstacle())), None)


@contextlib.contextmanager
def existing(kubeconfig: Path, scratch: Path) -> Iterator[Cluster]:
    """Somebody's cluster; the images are only made, since its owner alone knows how to load them."""
    if not kubeconfig.is_file():
        raise PlaceError(f"KUBECONFIG={kubeconfig} is not a file; name one kubeconfig")
    ARCHIVES.mkdir(exist_ok=True)
    for image in IMAGES:
        image.build(_archive(ARCHIVES, image.name()), MKIMAGE)
    kubectl = Path(shutil.which("kubectl") or ensure_binaries()["kubectl"])
    cluster = existing_cluster(kubeconfig.absolute(), scratch, kubectl=kubectl)
    for image in IMAGES:
        name = image.name()
        _expect_image(cluster, name, LOAD.format(image=name, archive=_archive(ARCHIVES, name)))
    yield cluster


@contextlib.contextmanager
def own_node(scratch: Path) -> Iterator[Cluster]:
    """The node of ../shared/node: down at the end if it was down, without the images that it did not have."""
    state = Path(_run("bash", "-c", '. "$0" && echo "$N"', NODE / "env.sh").strip())
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / "test-node.lock")
    if not lock.try_acquire():
        raise PlaceError(f"another make test-node uses the node of {state}; wait for its end")
    with contextlib.ExitStack() as undo:
        undo.callback(lock.release)
        if subprocess.run([NODE / "k", "get", "--raw=/readyz", "--request-timeout=5s"], capture_output=True).returncode:
            undo.callback(_run, NODE / "down.sh")
            print("bringing up ../shared/node (the first time it is built for minutes)", flush=True)
            if subprocess.run([NODE / "up.sh"]).returncode:
                raise PlaceError(f"{NODE}/up.sh failed, see above")
        before = _images(state)
        undo.callback(lambda: [_ctr(state, "rm", image) for image in _images(state) - before])
        cluster = existing_cluster(state / "kubeconfig", scratch, kubectl=NODE / "k")
        for image in IMAGES:
            name, archive = image.name(), _archive(scratch, image.name())
            image.build(archive, MKIMAGE)
            said = _run(NODE / "import", archive)
            _expect_image(cluster, name, f"../shared/node/import did not bring {name} to the node:\n{said}")
        yield cluster


def inside(cluster: Cluster) -> list[str]:
    """What to put before a command so that it reaches the API server: the own node has a network of its own."""
    return ["ip", "netns", "exec", NETWORK] if cluster.access.kubectl == NODE / "k" else []


@contextlib.contextmanager
def namespace(cluster: Cluster, **labels: str) -> Iterator[str]:
    """A fresh namespace with labels of Pod Security, gone at the end: a node may be taken down after it."""
    name = ""
    try:
        with cluster.namespace(labels={f"pod-security.kubernetes.io/{k}": v for k, v in labels.items()}) as name:
            yield name
    finally:
        if name:
            cluster.kubectl("wait", f"namespace/{name}", "--for=delete", "--timeout=180s")


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise PlaceError(f"{command[0]} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _ctr(state: Path, *arguments: str) -> str:
    return _run(NODE / "nse", state / "bin" / "ctr", "-n", "k8s.io", "images", *arguments)


def _images(state: Path) -> set[str]:
    return set(_ctr(state, "ls", "-q").split())


def _archive(folder: Path, name: str) -> Path:
    return folder / f"{name.rpartition('/')[2].replace(':', '-')}.tar"


def _expect_image(cluster: Cluster, image: str, otherwise: str) -> None:
    """Raises PlaceError unless a pod of the image starts. It is never pulled: no registry is asked for the name."""
    with namespace(cluster) as name:
        options = [f"--namespace={name}", f"--image={image}", "--image-pull-policy=Never"]
        cluster.kubectl("run", "image", *options, "--restart=Never", "--command", "--", "/bin/true")

        def seen() -> str | None:
            status = cluster.get("pod", "image", f"--namespace={name}")["status"]
            waiting = [c["state"].get("waiting", {}).get("reason") for c in status.get("containerStatuses", ())]
            return "missing" if "ErrImageNeverPull" in waiting else {"Succeeded": "there"}.get(status["phase"])

        if cluster.wait(f"a first pod of {image}", seen, seconds=120) == "missing":
            raise PlaceError(otherwise)

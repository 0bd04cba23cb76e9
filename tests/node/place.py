"""Where the pods run: the node of ../shared/node, left as it was found, or a cluster that somebody named.

A machine that cannot have such a node is no mistake of the project's, and says so by `obstacle` and NoNodeError; what
fails on a node that is there is one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.controlplane.build import ensure_binaries
from tests.controlplane.client import Cluster, existing_cluster
from tests.controlplane.locks import FileLock
from tests.controlplane.toolchain import ToolchainError, find_toolchain, required_version
from tests.image.base import BaseError
from tests.node import product, standin

PROJECT = Path(__file__).resolve().parents[2]
NODE = PROJECT.parent / "shared" / "node"
MKIMAGE = NODE / "mkimage.py"
BUILD_SECONDS, UP_SECONDS = 15 * 60, 5 * 60
"""For Kubernetes and containerd from their sources, ten minutes on two cores; and until the node is Ready, 15 s."""
NETWORK = "habnode"
IMAGES = (standin, product)
ARCHIVES = PROJECT / "build"

LOAD = """\
{image} is not on that cluster's node. It is in {archive}; load it and run again:
  kind: kind load image-archive FILE      minikube: minikube image load FILE
  k3s: k3s ctr images import FILE         containerd: ctr -n k8s.io images import FILE"""


PROGRAMS = ("runc", "nft", "ip", "curl", "openssl", "pgrep", "nsenter", "unshare")
PLUGINS = Path("/usr/lib/cni/bridge")
PACKAGES = "runc containernetworking-plugins nftables iproute2 curl openssl procps util-linux"
OWN_PODS = ("deployment/coredns", "--namespace=kube-system")
KERNEL = "ip link add one type veth peer name two && ip link add three type bridge && nft list ruleset"
"""What a node's network is made of, tried in a network that ends with the command."""


class PlaceError(RuntimeError):
    """It should have worked here and did not; the message says what to do."""


class NoNodeError(RuntimeError):
    """This machine, as it is now, cannot bring a node up; the message says why."""


def obstacle(kubeconfig: Path | None) -> str | None:
    """Why this machine has nothing to run on, or nothing to make the image of; None when it has."""
    if kubeconfig is None and not (NODE / "up.sh").is_file():
        return "it needs the one-node Kubernetes of ../shared/node beside the project, or KUBECONFIG=FILE"
    if kubeconfig is None and os.geteuid() != 0:
        return "the one-node Kubernetes of ../shared/node needs root; KUBECONFIG=FILE names another cluster"
    if not MKIMAGE.is_file():
        return "the images are made by ../shared/node/mkimage.py, which is not beside the project"
    reasons = [image.obstacle() for image in IMAGES]
    return next(filter(None, reasons), None) or (_own_obstacle() if kubeconfig is None else None)


def _own_obstacle() -> str | None:
    """What the one-node Kubernetes misses here, as far as it can be told before it is built."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    missing += [] if PLUGINS.exists() else [str(PLUGINS)]
    if missing:
        return f"the one-node Kubernetes needs {', '.join(missing)}: apt-get install {PACKAGES}"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "the one-node Kubernetes writes to /sys/fs/cgroup, which is read-only or not there"
    namespaces = ("--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc")
    environment = os.environ | {"PATH": _path()}
    trial = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", KERNEL], capture_output=True, text=True, env=environment
    )
    said = trial.stderr.strip() or f"exit code {trial.returncode}"
    return f"the kernel does not let root make a node's namespaces and network: {said}" if trial.returncode else None


def _path(*first: str) -> str:
    """A PATH that has what root's usually has."""
    return os.pathsep.join((*first, os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


@contextlib.contextmanager
def existing(kubeconfig: Path, scratch: Path) -> Iterator[Cluster]:
    """Somebody's cluster; the images are only made, since its owner alone knows how to load them."""
    if not kubeconfig.is_file():
        raise PlaceError(f"KUBECONFIG={kubeconfig} is not a file; name one kubeconfig")
    ARCHIVES.mkdir(exist_ok=True)
    archives = _archives(ARCHIVES)
    kubectl = Path(shutil.which("kubectl") or ensure_binaries()["kubectl"])
    cluster = existing_cluster(kubeconfig.absolute(), scratch, kubectl=kubectl)
    for name, archive in archives.items():
        _expect_image(cluster, name, LOAD.format(image=name, archive=archive))
    yield cluster


@contextlib.contextmanager
def own_node(scratch: Path) -> Iterator[Cluster]:
    """The node of ../shared/node: down at the end if it was down, without the images that it did not have.

    Raises NoNodeError where none can be had, PlaceError where one that is there does not do what it should.
    """
    state = Path(_run("bash", "-c", '. "$0" && echo "$N"', NODE / "env.sh").strip())
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / "test-node.lock")
    if not lock.try_acquire():
        raise NoNodeError(f"another make test-node uses the node of {state}; wait for its end")
    with contextlib.ExitStack() as undo:
        undo.callback(lock.release)
        archives = _archives(scratch)
        if subprocess.run([NODE / "k", "get", "--raw=/readyz", "--request-timeout=5s"], capture_output=True).returncode:
            undo.callback(_run, NODE / "down.sh")
            _bring_up()
        before = _images(state)
        undo.callback(lambda: [_ctr(state, "rm", image) for image in _images(state) - before])
        cluster = existing_cluster(state / "kubeconfig", scratch, kubectl=NODE / "k")
        for name, archive in archives.items():
            said = _run(NODE / "import", archive)
            _expect_image(cluster, name, f"../shared/node/import did not bring {name} to the node:\n{said}")
        yield cluster


def _archives(folder: Path) -> dict[str, Path]:
    """The archive of every image by its name. Raises NoNodeError where there is no Debian to be had for one."""
    found = {}
    try:
        for image in IMAGES:
            found[image.name()] = archive = _archive(folder, image.name())
            image.build(archive, MKIMAGE)
    except BaseError as error:
        raise NoNodeError(str(error)) from error
    return found


def _bring_up() -> None:
    """Raises NoNodeError when it cannot be built or started, or not in time."""
    try:
        toolchain = find_toolchain(required_version(NODE / "src" / "kubernetes" / "go.mod"))
    except ToolchainError as error:
        raise NoNodeError(str(error)) from error
    print("bringing up ../shared/node (the first time it is built for minutes)", flush=True)
    environment = toolchain.environment() | {"PATH": _path(str(toolchain.go.parent))}
    _bounded(BUILD_SECONDS, environment, "build.sh")
    _bounded(UP_SECONDS, environment, "up.sh")
    # A machine may let a kubelet run and no container.
    _bounded(UP_SECONDS, environment, "k", "rollout", "status", *OWN_PODS)


def _bounded(seconds: float, environment: Mapping[str, str], script: str, *arguments: str) -> None:
    """Run a script of ../shared/node, and end it with all that it has started and not set free."""
    said = " ".join((f"../shared/node/{script}", *arguments))
    process = subprocess.Popen([NODE / script, *arguments], env=environment, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise NoNodeError(f"{said} was not done after {seconds / 60:g} minutes") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise NoNodeError(f"{said} ended with exit code {code}, see above")


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

"""`python -m bench.informer_memory [PODS]`: what a list of injected pods costs our informer, and the shipped one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.reviews import VARIANTS, reviews
from tests.kube.server import Request, scripted
from webhook.inject import Situation, apply, inject
from webhook.kube.client import Client
from webhook.kube.informer import Informer
from webhook.log import Log

OURS, WHOLE, THEIRS = FOLLOWERS = ("webhook.kube", "webhook.kube, whole objects", "kubernetes.informer")
STATUS = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "message": "x" * 40}] * 5}


def project(raw: dict[str, Any]) -> tuple[str, ...]:
    about = raw["metadata"]
    return about["namespace"], about["name"], about["uid"], about["creationTimestamp"], raw["status"]["podIP"]


def pod(number: int, injected: list[dict[str, Any]]) -> bytes:
    shape = injected[number % VARIANTS]
    own = {"name": f"redis-{number}", "namespace": "shop", "uid": f"{number:036}", "resourceVersion": "1"}
    metadata = shape["metadata"] | {"creationTimestamp": "2026-01-15T08:42:20Z"} | own
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return json.dumps({**shape, "metadata": metadata, "status": STATUS | {"podIP": address}}).encode()


def follow(which: str, kubeconfig: str) -> None:
    """In a process of its own: MiB before the list, at the highest, and after it; CPU seconds."""
    if which == THEIRS:
        import kubernetes

        kubernetes.config.load_kube_config(kubeconfig)
        theirs = kubernetes.informer.SharedInformer(kubernetes.client.CoreV1Api().list_pod_for_all_namespaces)
        start, done = theirs.start, lambda: len(theirs.cache.list_keys())
    else:
        client, keep = Client.connect(Path(kubeconfig)), project if which == OURS else dict
        ours: Any = Informer(client, "/api/v1/pods", keep, lambda *_: None, name="pods", log=Log())
        start, done = ours.start, lambda: ours.synced
    before, cpu = memory("VmRSS"), time.process_time()
    start()
    while not done():
        time.sleep(0.05)
    print(json.dumps([before, memory("VmHWM"), memory("VmRSS"), time.process_time() - cpu]), flush=True)
    os._exit(0)  # the watch of the shipped informer has no end


def memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main(count: int) -> None:
    shapes = [review.pod for review in reviews("7 KiB", {"habitat.sh/service": "redis"})]
    injected = [apply(shape, inject(shape, Situation(namespace="shop")).operations) for shape in shapes]
    items = [pod(number, injected) for number in range(count)]

    def answer(request: Request) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if "watch" in query:
            time.sleep(60)  # nothing happens, until the follower has gone
        begin, limit = int(query.get("continue", 0)), int(query.get("limit", count))
        more = {"continue": str(begin + limit)} if begin + limit < count else {}
        head = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1", **more}})
        request.send(200, head[:-1].encode() + b', "items": [' + b",".join(items[begin : begin + limit]) + b"]}")

    print(f"{count:,} injected pods of {len(items[0]) / 1024:.1f} KiB; MiB of RSS, and CPU seconds of the list\n")
    print(f"{'informer':<28} {'before':>8} {'highest':>8} {'after':>8} {'CPU s':>8}")
    with tempfile.TemporaryDirectory() as folder, scripted(answer) as server:
        path = str(server.kubeconfig(Path(folder) / "config"))
        for which in FOLLOWERS:
            child = [sys.executable, "-m", "bench.informer_memory", which, path]
            found = json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout)
            print(f"{which:<28} {found[0]:>8.1f} {found[1]:>8.1f} {found[2]:>8.1f} {found[3]:>8.2f}", flush=True)


if __name__ == "__main__":
    follow(*sys.argv[1:]) if len(sys.argv) == 3 else main(int([*sys.argv, "2000"][1]))

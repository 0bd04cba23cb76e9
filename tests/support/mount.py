"""A Secret as a kubelet mounts it: a directory that is turned to the next version in one step.

Every name in it is a symlink into `..data`, itself a symlink that is replaced as a whole, so that nobody ever sees one
file of one version beside another of the next.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.controlplane.client import Cluster

_POLL_SECONDS = 0.1


class Mount:
    """Follows the Secret until `stop`. versions: what it has shown, oldest first; nothing while there is no Secret."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, directory: Path) -> None:
        self.directory = directory
        self.versions: list[dict[str, bytes]] = []
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        self._over = threading.Event()
        directory.mkdir()
        self._thread = threading.Thread(target=self._run, name="mount", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def show(self, data: dict[str, bytes]) -> None:
        """Turn to this content."""
        self.versions.append(data)
        place = self.directory / f"..{len(self.versions)}"
        place.mkdir()
        for name, content in data.items():
            (place / name).write_bytes(content)
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        following = self.directory / "..data_tmp"
        following.symlink_to(place.name)
        following.replace(self.directory / "..data")

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            # The API server may be gone for a moment; a kubelet tries again, too.
            with contextlib.suppress(OSError):
                status, found = self._cluster.request("GET", self._path)
                if status == 200:
                    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
                    if not self.versions or data != self.versions[-1]:
                        self.show(data)


@contextlib.contextmanager
def mounted(cluster: Cluster, namespace: str, name: str, directory: Path) -> Iterator[Mount]:
    mount = Mount(cluster, namespace, name, directory)
    try:
        yield mount
    finally:
        mount.stop()

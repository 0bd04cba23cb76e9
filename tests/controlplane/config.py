"""The command lines and configuration files of the control plane's programs.

All programs run with the cluster's folder as working directory, so that files are named without it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import yaml

from tests.controlplane.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.controlplane.pki import Pair

# Sockets in the cluster's private folder instead of ports: nobody else on the machine reaches this unprotected etcd.
ETCD_CLIENTS = "unix://etcd-clients.sock"
ETCD_PEERS = "unix://etcd-peers.sock"
SERVICE_ADDRESSES = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
POD_ADDRESSES = "10.128.0.0/9"
TOKEN_ISSUER = "https://kubernetes.default.svc.cluster.local"
# Clients of a test or a benchmark create hundreds of objects at once; the defaults (20 and 50 per second) would be what
# one measures.
CLIENT_QPS, CLIENT_BURST = 500, 1000
NODE_LEASE_SECONDS = 40


def write_kubeconfig(path: Path, *, url: str, ca: Path, client: Pair | None = None, token: str | None = None) -> Path:
    """A kubeconfig (mode 0600) that holds its certificates itself, for one user."""
    user: dict[str, str] = {}
    if client is not None:
        user["client-certificate-data"] = _base64(client.certificate)
        user["client-key-data"] = _base64(client.key)
    if token is not None:
        user["token"] = token
    name = "habitat-test"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": _base64(ca)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path


def write_scheduler_config(path: Path, *, kubeconfig: Path) -> Path:
    content = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": CLIENT_QPS, "burst": CLIENT_BURST},
    }
    path.write_text(json.dumps(content))
    return path


def etcd_flags() -> list[str]:
    return [
        "--name=habitat",
        "--data-dir=etcd",
        f"--listen-client-urls={ETCD_CLIENTS}",
        f"--advertise-client-urls={ETCD_CLIENTS}",
        f"--listen-peer-urls={ETCD_PEERS}",
        f"--initial-advertise-peer-urls={ETCD_PEERS}",
        f"--initial-cluster=habitat={ETCD_PEERS}",
        # The data need not survive the machine's death, only etcd's.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_flags(*, port: int, ca: Path, serving: Pair, token_key: Path, extra: Sequence[str]) -> list[str]:
    """`extra` comes last, so that it wins over what is said here."""
    return [
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--permit-port-sharing",  # see ReservedPort
        # Without both, it looks for a default route, which a machine without a network does not have.
        f"--advertise-address={LOOPBACK}",
        "--endpoint-reconciler-type=none",
        f"--etcd-servers={ETCD_CLIENTS}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={ca}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={TOKEN_ISSUER}",
        f"--service-account-signing-key-file={token_key}",
        f"--service-account-key-file={token_key}",
        f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
        "--allow-privileged",
        *extra,
    ]


def controller_manager_flags(*, kubeconfig: Path, ca: Path, extra: Sequence[str]) -> list[str]:
    """`extra` comes last, so that it wins over what is said here."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={ca}",
        # Each controller has its own service account and rights, as in a real cluster.
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
        *extra,
    ]


def scheduler_flags(*, config: Path) -> list[str]:
    return [f"--config={config}", "--secure-port=0"]


def kwok_flags(*, kubeconfig: Path, stages: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        "--manage-all-nodes",
        f"--cidr={POD_ADDRESSES}",
        f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
    ]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

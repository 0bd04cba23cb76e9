"""Keeps a TCP port of the loopback address for a server that cannot be told to bind port 0."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


class ReservedPort:
    """A port that nobody else gets, from now until `release`, also while its server is stopped.

    The port is bound here with SO_REUSEPORT and never listened on: the kernel hands it to nobody as an ephemeral port,
    and lets a server of the same user bind it that sets SO_REUSEPORT too (socket(7); the flag --permit-port-sharing of
    kube-apiserver). Connections go to listening sockets only, so they all reach that server.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        self._socket.close()

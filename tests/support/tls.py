"""Serving certificates for tests: written like the real ones, replaced like the real ones."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from certs import dev
from certs.authority import Authority

NAMES = ("localhost", "127.0.0.1")


class Files:
    """A directory with ca.crt, tls.crt and tls.key, and the CA to sign further leaves with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority: Authority | None = None
        self.certificate = directory / dev.CERTIFICATE
        self.key = directory / dev.KEY
        self.ca = directory / dev.CA_CERTIFICATE

    def issue(self, *, days: int = 30, ago: timedelta = timedelta(0)) -> int:
        """Write a new leaf of the same CA, begun `ago`; returns its serial number."""
        bundle = dev.issue(NAMES, now=datetime.now(UTC) - ago, ca=self.authority, days=days)
        self.authority = bundle.authority
        dev.write(bundle, self.directory)
        return x509.load_pem_x509_certificate(bundle.certificate).serial_number

    def client(self) -> ssl.SSLContext:
        """What a client that trusts this CA, as the API server does by caBundle, connects with."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2", "http/1.1"])  # as Go's client offers
        return context


def serial(connection: ssl.SSLSocket) -> int:
    """The serial number of the certificate that the server has shown."""
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number

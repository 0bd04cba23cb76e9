"""The serving certificate: read again when its files are replaced, kept when the new ones cannot be used.

A handshake takes the context that is current when it begins, so connections that are open keep theirs: a renewed
certificate costs none of them.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from webhook.files import Identity, identity


class Certificate:
    """A pair of PEM files and the context that serves them.

    loaded: called after a pair was read, with its date of expiry. refused: called when one could not be used, with a
    text that says why.
    """

    def __init__(
        self, certificate: Path, key: Path, *, loaded: Callable[[datetime], None], refused: Callable[[str], None]
    ) -> None:
        self.paths = (certificate, key)
        self.context: ssl.SSLContext | None = None
        self.validity: tuple[datetime, datetime] | None = None
        self._loaded, self._refused = loaded, refused
        self._seen: tuple[Identity, ...] | None = None

    def current(self) -> ssl.SSLContext | None:
        """The context for a new handshake; None until a pair has been read.

        Costs two stat calls. A pair is tried once: one that was refused is not read again before a file changes.
        """
        try:
            seen = tuple(identity(path) for path in self.paths)
        except OSError as error:
            seen = ()
            if seen != self._seen:
                self._refused(f"{error.filename}: {error.strerror}; {self._fallback}")
        if seen and seen != self._seen:
            self._read()
        self._seen = seen
        return self.context

    def _read(self) -> None:
        certificate, key = self.paths
        try:
            read = x509.load_pem_x509_certificate(certificate.read_bytes())
            context = _context(certificate, key)
        except (OSError, ValueError, x509.InvalidVersion) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or error
            self._refused(
                f"{certificate} and {key} are no pair of certificate and key in PEM ({reason}); {self._fallback}"
            )
            return
        self.context, self.validity = context, (read.not_valid_before_utc, read.not_valid_after_utc)
        self._loaded(read.not_valid_after_utc)

    @property
    def _fallback(self) -> str:
        return "the previous certificate is served on" if self.context else "there is none to serve yet"

    def expires_in(self) -> float:
        """Seconds until the served certificate expires by wall clock; NaN while there is none."""
        return (self.validity[1] - datetime.now(UTC)).total_seconds() if self.validity else math.nan

    def lifetime(self) -> float:
        """Seconds from the beginning of its validity to the end; NaN while there is none."""
        return (self.validity[1] - self.validity[0]).total_seconds() if self.validity else math.nan


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Tickets are for clients that resume sessions; the API server does not. Unread, they turn a client's close into a
    # reset that can take its last request with it.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one without a passphrase")

"""Certificates for development and for tests: a CA and one leaf, as PEM bytes or as files of a directory.

Not for production: there the controller keeps the CA in a Secret and rotates both (design.md §8).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from certs.authority import Authority, CertificateError

LEAF_DAYS = 30
AUTHORITY_DAYS = 3650

CA_CERTIFICATE, CA_KEY = "ca.crt", "ca.key"
CERTIFICATE, KEY = "tls.crt", "tls.key"
_PUBLIC, _PRIVATE = 0o644, 0o600


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM bytes of the CA's certificate, of the leaf, and of the leaf's key; `authority` can sign the next leaf."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)
    not_after: datetime
    authority: Authority


def issue(names: Sequence[str], *, now: datetime, ca: Authority | None = None, days: int = LEAF_DAYS) -> Bundle:
    """A leaf for DNS names and IP addresses, signed by `ca` or by a new CA.

    Raises certs.authority.CertificateError for names that are neither, for days < 1 and for a CA that has expired.
    """
    authority = ca or Authority.create(now=now, lifetime=timedelta(days=AUTHORITY_DAYS))
    leaf = authority.issue(names, now=now, lifetime=timedelta(days=days))
    return Bundle(authority.certificate_pem(), leaf.certificate, leaf.key, leaf.not_after, authority)


def load_authority(directory: Path) -> Authority | None:
    """The CA of an earlier run, or None when the directory holds none.

    Raises CertificateError when only half of it is there or the two files do not belong together.
    """
    certificate, key = directory / CA_CERTIFICATE, directory / CA_KEY
    present = [path for path in (certificate, key) if path.exists()]
    if not present:
        return None
    if len(present) == 1:
        missing = key if present == [certificate] else certificate
        raise CertificateError(
            f"{present[0]} is there but {missing} is not, so this CA cannot sign; restore the file, "
            "or remove both to begin with a new CA"
        )
    try:
        return Authority.load(certificate.read_bytes(), key.read_bytes())
    except CertificateError as error:
        raise CertificateError(f"{certificate} and {key}: {error}; remove both to begin with a new CA") from error


def write(bundle: Bundle, directory: Path) -> None:
    """The bundle as ca.crt, ca.key, tls.crt and tls.key, each replaced in one step; keys are their owner's alone.

    The leaf's key goes before its certificate, back to back: a server that reads in between sees a pair that does not
    match and keeps its old one. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_files(
        directory,
        {
            CA_KEY: bundle.authority.key_pem(),
            CA_CERTIFICATE: bundle.ca,
            KEY: bundle.key,
            CERTIFICATE: bundle.certificate,
        },
    )


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Files of an existing directory, in this order, each replaced in one step; *.key are their owner's alone.

    All are written beside their places before the first is put there. Raises OSError.
    """
    with contextlib.ExitStack() as staged:
        ready = [
            _stage(staged, directory / name, content, _PRIVATE if name.endswith(".key") else _PUBLIC)
            for name, content in files.items()
        ]
        for temporary, target in ready:
            temporary.replace(target)


def _stage(staged: contextlib.ExitStack, target: Path, content: bytes, mode: int) -> tuple[Path, Path]:
    """Write `content` beside `target`; what is still there at the end, because a later step failed, is removed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    staged.callback(temporary.unlink, missing_ok=True)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary, target

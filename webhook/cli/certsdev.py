"""`habitat-webhook certs dev`: certificates for development."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from certs.authority import CertificateError
from certs.dev import CA_CERTIFICATE, CERTIFICATE, KEY, LEAF_DAYS, issue, load_authority, write
from webhook.cli.errors import Failure
from webhook.cli.group import Command

_EPILOG = """\b
Example:
  habitat-webhook certs dev --dns localhost --ip 127.0.0.1 --out ./certificates
  habitat-webhook serve --tls-cert ./certificates/tls.crt --tls-key ./certificates/tls.key
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.option("--dns", multiple=True, metavar="NAME", help="A DNS name of the server; may be given several times.")
@click.option("--ip", multiple=True, metavar="ADDRESS", help="An IP address of the server; may be given several times.")
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write ca.crt, ca.key, tls.crt and tls.key.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=LEAF_DAYS,
    show_default=True,
    help="How long the server's certificate is valid.",
)
def dev(dns: tuple[str, ...], ip: tuple[str, ...], out: Path, days: int) -> None:
    """Make a CA and a server certificate, for development.

    Run it again to renew the server's certificate under the same CA: what trusts ca.crt goes on to trust it. In a
    cluster the controller makes and renews the certificate by itself.
    """
    if not dns and not ip:
        raise click.UsageError("give the names of the server: --dns NAME or --ip ADDRESS, one at least")
    try:
        ca = load_authority(out)
        bundle = issue((*dns, *ip), now=datetime.now(UTC), ca=ca, days=days)
        write(bundle, out)
    except CertificateError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"cannot use {out}: {error.strerror or error}") from error
    which = "the CA that was there" if ca else "a new CA"
    click.echo(f"{out / CERTIFICATE}, {out / KEY}: for {', '.join((*dns, *ip))}, until {bundle.not_after:%F %H:%M} UTC")
    click.echo(f"{out / CA_CERTIFICATE}: {which}, valid until {bundle.authority.not_after:%F %H:%M} UTC")

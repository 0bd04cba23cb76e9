"""`habitat-webhook certs`: the certificates of the webhook's TLS."""

from __future__ import annotations

from webhook.cli.group import LazyGroup

_COMMANDS = {
    "status": ("webhook.cli.certscluster:status", "Show CA, certificate and caBundles, and what is wrong with them."),
    "rotate": ("webhook.cli.certscluster:rotate", "Have the controller change over to a new CA."),
    "renew": ("webhook.cli.certscluster:renew", "Have the controller issue a new certificate."),
    "dev": ("webhook.cli.certsdev:dev", "Make a CA and a server certificate, for development."),
}

certs = LazyGroup(
    name="certs",
    table=_COMMANDS,
    help="Look at the webhook's certificates, renew them, or make some for development.",
)

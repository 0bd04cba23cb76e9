"""`habitat-webhook serve`: answer the API server's AdmissionReviews."""

from __future__ import annotations

from typing import Any

import click

from webhook.cli.options import settings_of, settings_options
from webhook.server.settings import ServeSettings


@click.command()
@settings_options(ServeSettings)
def serve(**values: Any) -> None:
    """Answer AdmissionReviews on /mutate, over TLS, until SIGTERM.

    Namespaces, with their labels and defaults, are watched on the API server; --namespaces=none does without one.

    /livez, /readyz and /metrics are on a port of their own, in plain HTTP. The log is one JSON object a line on stdout;
    the line "serving" names both ports.
    """
    settings = settings_of(ServeSettings, values)
    from webhook.kube.errors import ConfigError
    from webhook.server.run import Server

    try:
        server = Server(settings)
    except ConfigError as error:
        raise click.ClickException(f"{error}; or make no call to an API server: --namespaces=none") from None
    server.run()

"""`habitat-webhook controller`: keep the rings of a cluster, and the webhook's certificates."""

from __future__ import annotations

from typing import Any

import click

from webhook.cli.options import settings_of, settings_options
from webhook.controller.settings import Settings
from webhook.settings import SettingError

_EPILOG = """\b
Example, from a workstation, with the rights of the current context:
  habitat-webhook controller --namespace=habitat-webhook --metrics-listen=127.0.0.1:0
"""


@click.command(epilog=_EPILOG)
@settings_options(Settings)
def controller(**values: Any) -> None:
    """Give the Supervisors of every ring their peers, keys and configuration, and the webhook its certificates.

    Until SIGTERM. Run two or more: one acts, by a Lease, and the others take over within seconds. /livez, /readyz and
    /metrics are in plain HTTP. The log is one JSON object a line on stdout; the line "controlling" names the port.
    """
    settings = settings_of(Settings, values)
    from webhook.controller.run import run
    from webhook.kube.errors import ConfigError

    try:
        run(settings)
    except (ConfigError, SettingError) as error:
        raise click.ClickException(str(error)) from None

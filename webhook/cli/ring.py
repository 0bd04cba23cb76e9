"""`habitat-webhook ring`: one ring looked at closely; so far its peer graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from webhook.cli.cluster import Place, connected, place_options
from webhook.cli.drawing import as_dot, as_svg, as_text
from webhook.cli.errors import Failure
from webhook.cli.group import PROGRAM, Command, LazyGroup
from webhook.ring.report import Report, RingStatus

_EPILOG = f"""\b
Examples:
  {PROGRAM} ring graph
  {PROGRAM} ring graph -A -o svg shared.infra > shared.svg
  {PROGRAM} ring graph -o dot | dot -Tpng > rings.png
"""

_GRAPH_EPILOG = f"""{_EPILOG}
\b
Exit status:
  0  done
  2  wrong usage, no such ring, or the cluster cannot be asked
"""

_WRITERS: dict[str, Callable[[Sequence[RingStatus]], str]] = {"text": as_text, "dot": as_dot, "svg": as_svg}


@click.group(
    cls=LazyGroup,
    table={"graph": ("webhook.cli.ring:graph", "Draw which pod has been told of which.")},
    epilog=_EPILOG,
)
def ring() -> None:
    """Look at a ring closely."""


@click.command(cls=Command, epilog=_GRAPH_EPILOG)
@place_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(list(_WRITERS)),
    default="text",
    show_default=True,
    help="dot: for Graphviz. svg: a drawing, made without any other program.",
)
@click.argument("name", metavar="[RING]", default="")
def graph(name: str, output: str, **place: Any) -> None:
    """Draw which pod has been told of which.

    An arrow leads from a pod to each pod that its list of peers names; the lists are how Supervisors find their ring,
    and gossip does the rest. Live pods that get a list are drawn, and the addresses in lists that no pod has.

    RING is a ring's name, or name.namespace; without it all rings of the namespace are drawn.
    """
    with connected(Place(**place)) as cluster:
        report = cluster.report(cluster.look())
    click.echo((_WRITERS[output](_chosen(report, name)) + "\n").encode(), nl=False)


def _chosen(report: Report, name: str) -> Sequence[RingStatus]:
    where = f"in namespace {report.scope.namespace}" if report.scope.namespace else "in any namespace"
    if not report.rings:
        raise Failure(f"no ring {where}; -n NAME looks into another namespace, -A into all")
    found = [status for status in report.rings if name in ("", status.ring.name, str(status.ring))]
    if not found:
        known = ", ".join(str(status.ring) for status in report.rings)
        raise Failure(f"no ring {name} {where}; there are: {known}")
    return found

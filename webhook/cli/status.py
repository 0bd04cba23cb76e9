"""`habitat-webhook status`: the rings of a namespace or of the cluster, and what is wrong with them."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from webhook.cli.cluster import SECRETS_SECONDS, Cluster, Following, Place, connected, place_options
from webhook.cli.group import PROGRAM, Command
from webhook.cli.jsonstream import dump_json
from webhook.cli.statusjson import as_json
from webhook.cli.statustext import Style, render
from webhook.ring.findings import Severity
from webhook.ring.report import Report

_EPILOG = f"""\b
Examples:
  {PROGRAM} status
  {PROGRAM} status -A -o wide
  {PROGRAM} status -n shop -w
  {PROGRAM} status -n shop -o json | jq '.rings[].findings'

\b
Exit status:
  0    nothing is wrong
  1    something is
  2    wrong usage, or the cluster cannot be asked
  130  ended by Ctrl-C (-w)
"""

EXIT_WRONG, EXIT_INTERRUPTED = 1, 130
_FIRST_PICTURE_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
"""Changes come in crowds; so long they are gathered."""

_CLEAR = "\x1b[H\x1b[2J"
"""Without the lines that the terminal has scrolled away: they are the user's."""


@click.command(cls=Command, epilog=_EPILOG)
@place_options
@click.option("-w", "--watch", is_flag=True, help="Follow: show it again whenever something changes, until Ctrl-C.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "wide", "json"]),
    default="text",
    show_default=True,
    help="wide: also service group, owner and node of each pod, and nothing shortened.",
)
def status(output: str, *, watch: bool, **place: Any) -> None:
    """Show rings, their pods and peers, and what is wrong with them.

    Reads pods and Services with the rights of your kubeconfig, and of Secrets whether a managed ring key is there.
    Every finding has a code, which docs/troubleshooting.md explains.
    """
    with connected(Place(**place)) as cluster:
        if watch:
            _follow(cluster, output)
        report = cluster.report(cluster.look())
        _write(_text(report, output, _style(output)))
        if report.count(Severity.ERROR):
            click.get_current_context().exit(EXIT_WRONG)


def _follow(cluster: Cluster, output: str) -> NoReturn:
    following = Following(cluster)
    screen = _Screen(cluster, following, output)
    try:
        following.start(_FIRST_PICTURE_SECONDS)
        while True:
            following.changed.clear()
            screen.show()
            if following.changed.wait(SECRETS_SECONDS):
                time.sleep(_PAUSE_SECONDS)
    except KeyboardInterrupt:
        click.get_current_context().exit(EXIT_INTERRUPTED)
    finally:
        following.stop()


class _Screen:
    """Shows what has changed: on a terminal in the place of what was there, else as one more block."""

    def __init__(self, cluster: Cluster, following: Following, output: str) -> None:
        self._cluster = cluster
        self._following = following
        self._output = output
        self._shown: tuple[Report, str] | None = None
        self._drawn = ""

    def show(self) -> None:
        report = self._cluster.report(self._following.seen())
        trouble = self._following.trouble.text
        style = _style(self._output)
        if self._output != "json" and sys.stdout.isatty():
            self._draw(_text(report, self._output, style), trouble, style)
        elif self._shown is None or self._differs(report, trouble, style):
            self._append(_text(report, self._output, style), trouble, style)
        self._shown = report, trouble

    def _differs(self, report: Report, trouble: str, style: Style) -> bool:
        """By what would be written at one and the same time: ages grow, and a pod has more fields than are shown."""
        before, trouble_before = self._shown or (report, "")
        said = (_text(r, self._output, style) for r in (before, report))
        return trouble != trouble_before or len(set(said)) > 1

    def _append(self, text: str, trouble: str, style: Style) -> None:
        at = datetime.fromtimestamp(style.now, UTC).astimezone().isoformat(timespec="seconds")
        if self._output == "json":
            if trouble:
                click.echo(f"{at}: {_stale(trouble)}", err=True)
            _write(text)
        else:
            _write("\n".join([f"--- {at}", *([_stale(trouble)] if trouble else []), text, ""]))

    def _draw(self, text: str, trouble: str, style: Style) -> None:
        lines = text.split("\n")
        if trouble:
            lines.insert(0, style.paint(_stale(trouble), "red"))
        lines = _fitting(lines)
        drawn = "\n".join(lines)
        if drawn != self._drawn:
            _write(_CLEAR + drawn)
            self._drawn = drawn


def _fitting(lines: list[str]) -> list[str]:
    """As many of the lines as the terminal can show, and how many it cannot."""
    width, height = shutil.get_terminal_size()
    rows = [max(1, math.ceil(len(click.unstyle(line)) / max(1, width))) for line in lines]
    if sum(rows) < height:
        return lines
    # Two rows are for the line that says so, and for the cursor.
    shown = sum(1 for total in itertools.accumulate(rows) if total <= height - 2)
    return [*lines[:shown], f"… {len(lines) - shown} more lines: make the window larger, or ask without -w"]


def _stale(trouble: str) -> str:
    return f"the cluster cannot be watched now, and this is what was known before: {trouble}"


def _text(report: Report, output: str, style: Style) -> str:
    return dump_json(as_json(report, style.now)) if output == "json" else render(report, style)


def _style(output: str) -> Style:
    terminal = sys.stdout.isatty()
    return Style(
        now=time.time(),
        wide=output == "wide",
        width=shutil.get_terminal_size().columns if terminal else None,
        colour=terminal and not os.environ.get("NO_COLOR"),
        program=click.get_current_context().find_root().info_name or PROGRAM,
    )


def _write(text: str) -> None:
    """As UTF-8 whatever the locale says: names of pods are ASCII, the lines of the tree are not."""
    click.echo((text + "\n").encode(), nl=False)

"""`python -m bench.rings`: both designs at every scale, one after the other, and one table."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.__main__ import FAILURES
from bench.errors import BenchError
from bench.machine import describe
from bench.report import Section, document, markdown, table
from bench.rings.figures import section
from bench.rings.ground import OURS, REFERENCE, Design
from bench.rings.run import Result, measure
from bench.rings.scale import Scale
from tests.controlplane.rundir import RunDirectory

_RATE = 20
"""Pods a second: what a kube-controller-manager with default flags makes, and half of what two cores can carry with all
of a cluster's programs on them."""

FULL = (
    Scale(100, rate=_RATE),
    Scale(1000, rate=_RATE),
    Scale(1000, rings=25, rate=_RATE),
    Scale(1000),  # as many at once as the machine can: what is slow then is the machine
    Scale(5000, rate=_RATE),
)
QUICK = (Scale(100, rate=_RATE), Scale(300))
_FEWEST = 40
"""In a ring: fewer than a tenth of these are those that are in the most lists."""

_PACKAGES = ("kubernetes", "urllib3", "orjson")
_BEGIN, _END = "<!-- written by `make bench-rings` -->", "<!-- to here -->"


def main() -> int:
    arguments = _parser().parse_args()
    if not sys.platform.startswith("linux"):
        print("The benchmarks read CPU time and memory from Linux's /proc; run them on Linux.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that clusters and files go
    head = describe(_PACKAGES)  # before any load of ours
    results: list[Result] = []
    code = 0
    try:
        for design, scale in _plan(arguments):
            results.append(_measure(design, scale))
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    if results:  # what there is of them: a whole run takes 20 minutes
        made = section(results)
        print(_OUTPUTS[arguments.output](made, head))
        if arguments.write and code == 0:
            write(arguments.write, markdown(made, head))
    return code


_OUTPUTS: dict[str, Callable[[Section, dict[str, str]], str]] = {
    "table": lambda made, head: table([made], head),
    "markdown": markdown,
    "json": lambda made, head: json.dumps(document([made], head), indent=2),
}


def _plan(arguments: argparse.Namespace) -> Iterator[tuple[Design, Scale]]:
    for scale in arguments.scale or (QUICK if arguments.quick else FULL):
        yield OURS, scale
        if not arguments.alone:
            yield REFERENCE, scale


def _measure(design: Design, scale: Scale) -> Result:
    run = RunDirectory()  # a later run removes it when this one is killed
    try:
        return measure(design, scale, run.path)
    finally:
        run.remove()


def write(file: Path, text: str) -> None:
    """Put a section between its marks. Raises BenchError when there are none."""
    before, begin, rest = file.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise BenchError(f"{file} has no lines {_BEGIN} and {_END}; add them where the table should be")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def scale(text: str) -> Scale:
    """PODS, PODS/RINGS, and @RATE behind either."""
    found = re.fullmatch(r"(\d+)(?:/(\d+))?(?:@(\d+))?", text)
    given = found.groups() if found else ("0", None, None)
    pods, rings, rate = (int(part or least) for part, least in zip(given, (0, 1, 0), strict=True))
    if not rings or pods < _FEWEST * rings:
        raise argparse.ArgumentTypeError(f"{text}: allowed is PODS[/RINGS][@RATE], {_FEWEST} pods or more in each ring")
    return Scale(pods, rings, rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.rings", description="What it costs to tell pods of each other, beside another design."
    )
    parser.add_argument("--quick", action="store_true", help="small scales: shows that all works")
    parser.add_argument(
        "--scale",
        action="append",
        type=scale,
        metavar="PODS[/RINGS][@RATE]",
        help="instead of the usual ones: so many pods in so many rings (1), made at about so many a second (as many as "
        "the machine can); may be repeated",
    )
    parser.add_argument("--alone", action="store_true", help="without the reference")
    parser.add_argument("-o", "--output", choices=_OUTPUTS, default="table")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the section into this page, between its marks")
    return parser


if __name__ == "__main__":
    sys.exit(main())

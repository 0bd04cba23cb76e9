"""`python -m bench`: runs what is asked for and prints one table."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys

from bench import engine, memory, mutate, pod_create, policy
from bench.budget import FULL, QUICK
from bench.errors import BenchError
from bench.load import build_load
from bench.machine import describe
from bench.process import ProcessGoneError
from bench.report import Section, document, table
from bench.servers import Starter, named
from tests.controlplane.build import BuildError
from tests.controlplane.client import KubectlError, WaitError
from tests.controlplane.cluster import ClusterError
from tests.controlplane.processes import ProcessError
from tests.controlplane.rundir import RunDirectory
from tests.controlplane.toolchain import ToolchainError

PARTS = {
    "a": "the engine alone",
    "b": "/mutate over TLS beside other servers",
    "c": "Pod create on a real API server",
    "d": "memory",
    "e": "a cluster-wide policy",
}
FAILURES = (
    BenchError, BuildError, ClusterError, KubectlError, ProcessError, ProcessGoneError, ToolchainError, WaitError,
)  # fmt: skip


def main() -> int:
    arguments = _parser().parse_args()
    if not sys.platform.startswith("linux"):
        print("The benchmarks read CPU time and memory from Linux's /proc; run them on Linux.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers and files go
    head = describe()  # before any load of ours
    try:
        sections = _run(arguments)
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.output == "json":
        print(json.dumps(document(sections, head), indent=2))
    else:
        print(table(sections, head))
    return 0


def _run(arguments: argparse.Namespace) -> list[Section]:
    parts = arguments.only or list(PARTS)
    budget = QUICK if arguments.quick else FULL
    others = [named(text) for text in arguments.server]
    annotations = dict(_annotation(text) for text in arguments.annotation)
    sections = []
    if "a" in parts:
        sections.append(engine.measure(budget))
    if "e" in parts:
        sections.append(policy.measure(budget))
    if not {"b", "c", "d"} & set(parts):
        return sections
    with contextlib.ExitStack() as swept:
        run = RunDirectory()  # a later run removes it when this one is killed
        swept.callback(run.remove)
        directory = run.path
        binary = build_load()
        starter = Starter(directory)
        if "b" in parts:
            with contextlib.ExitStack() as beside:
                servers = [beside.enter_context(start()) for start in (starter.bare, starter.flask, starter.ours)]
                sections.append(mutate.measure(budget, binary, [*servers, *others], directory, annotations))
        if "c" in parts:
            with starter.ours() as ours, starter.bare() as bare:
                sections.append(pod_create.measure(budget, binary, ours, bare, directory))
        if "d" in parts:
            sections.append(memory.measure(budget, binary, [starter.bare, starter.ours, starter.watching], directory))
    return sections


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BenchError(f"--annotation {text}: allowed: NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What habitat-webhook costs, beside references."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: shows that all works, figures are rough")
    parts = "; ".join(f"{letter}: {what}" for letter, what in PARTS.items())
    parser.add_argument("--only", action="append", choices=PARTS, help=f"one part, may be repeated ({parts})")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=URL,PID[,CA]",
        help="another running webhook to put beside ours in (b): https URL with port and path, process id, PEM file of "
        "its CA (else the system's); may be repeated",
    )
    parser.add_argument(
        "--annotation",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a further annotation of the pods in (b), that other webhook acts on; may be repeated",
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


if __name__ == "__main__":
    sys.exit(main())

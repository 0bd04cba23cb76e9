"""What an injection put into the demo's pods, as short lines for people, grouped by part.

A name that differs from workload to workload stands as `<service>`, `<group>`, `<ring>`, so that what is alike in all
of them is seen to be alike.
"""

from __future__ import annotations

from webhook.admission.parts import PARTS, Lines, parts
from webhook.inject import Pod

_MOST = 0.75
"""Share of the workloads from which on a line is usual."""


def added(pod: Pod, container: str) -> Lines:
    """Part -> lines."""
    return {part: [_general(line, pod) for line in found] for part, found in parts(pod, container).items()}


def usual(all_lines: list[Lines]) -> Lines:
    """The lines that most of them have, in the order of the first."""
    seen = {part: list(dict.fromkeys(x for lines in all_lines for x in lines[part])) for part in PARTS}
    most = len(all_lines) * _MOST

    def frequent(part: str, line: str) -> bool:
        return sum(line in lines[part] for lines in all_lines) >= most

    return {part: [x for x in seen[part] if frequent(part, x)] for part in PARTS}


def minus(lines: Lines, others: Lines) -> Lines:
    return {part: [x for x in lines[part] if x not in others[part]] for part in PARTS}


def _general(line: str, pod: Pod) -> str:
    labels, namespace = pod["metadata"].get("labels", {}), pod["metadata"]["namespace"]
    service, group, ring = (labels.get(f"habitat.sh/{name}") for name in ("service", "group", "ring"))
    for said, meant in (
        (f"/services/{service}/{group}/", "/services/<service>/<group>/"),
        (f"habitat-ring-{ring}.{namespace}.", "habitat-ring-<ring>.<namespace>."),
    ):
        line = line.replace(said, meant)
    whole = {
        f"HABITAT_RING={ring}": "HABITAT_RING=<ring>",
        f"habitat.sh/service={service}": "habitat.sh/service=<service>",
        f"habitat.sh/group={group}": "habitat.sh/group=<group>",
        f"habitat.sh/ring={ring}": "habitat.sh/ring=<ring>",
        f"habitat.sh/topology={labels.get('habitat.sh/topology')}": "habitat.sh/topology=<topology>",
    }
    return whole.get(line, line)

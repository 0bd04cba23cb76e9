"""What the kubelet makes of `$(VAR)` in a container's env, command and args.

The rules are Kubernetes' own (third_party/forked/golang/expansion and pkg/kubelet/kubelet_pods.go, 1.37): `$(NAME)` is
replaced where NAME is known, kept where it is not; `$$` is one `$`; anything else after a `$` stays. A variable sees
those before it in the list, and envFrom; command and args see all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.supervisor.world import World


def expand(text: str, values: Mapping[str, str]) -> str:
    """One string with its references replaced; unknown ones stay as they are written."""
    out: list[str] = []
    at = 0
    while at < len(text):
        here = text[at]
        following = text[at + 1 : at + 2]
        if here != "$" or not following:
            out.append(here)
            at += 1
        elif following == "$":
            out.append("$")
            at += 2
        elif following == "(" and (end := text.find(")", at + 2)) >= 0:
            name = text[at + 2 : end]
            out.append(values.get(name, f"$({name})"))
            at = end + 1
        else:
            out.append(here + following)
            at += 2
    return "".join(out)


def environment(container: Mapping[str, Any], pod: Mapping[str, Any], world: World) -> dict[str, str]:
    """The variables a container's process sees, by name; a name given twice has its last value."""
    known: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        known.update(world.env_from(source))
    for entry in container.get("env") or ():
        if entry.get("value"):
            known[entry["name"]] = expand(entry["value"], known)
        elif entry.get("valueFrom"):
            known[entry["name"]] = world.value_from(entry["valueFrom"], pod, container)
        else:
            known[entry["name"]] = ""
    return known


def arguments(container: Mapping[str, Any], known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The container's command and args after expansion; an empty list is the same as an absent one."""
    command = [expand(word, known) for word in container.get("command") or ()]
    args = [expand(word, known) for word in container.get("args") or ()]
    return command, args

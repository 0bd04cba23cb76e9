"""How an exported image starts: the kubelet's words, /init.sh, `hab sup`, the licence, clap.

From supervisor.md §0, §1.3, §1.4, §3 and §12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.supervisor import clap
from tests.support.supervisor.expansion import arguments, environment
from tests.support.supervisor.verdict import Exit, Foreign, Running, Start
from tests.support.supervisor.world import Image, World

ASKS_FOR_HELP = ("-h", "--help", "help", "-V", "--version")
OTHER_SUBCOMMANDS = ("bash", "depart", "restart", "secret", "sh", "status", "term")
LICENCE_SINCE = (0, 81)


def start(
    container: Mapping[str, Any],
    pod: Mapping[str, Any] | None = None,
    image: Image | None = None,
    world: World | None = None,
) -> Start:
    """Start one container of a pod, as far as the parsed command line."""
    pod, image, world = pod or {}, image or Image(), world or World()
    env = environment(container, pod, world)
    command, args = arguments(container, env)
    if not command:
        # An image's CMD counts only where the pod gives neither command nor args.
        return init_sh(args or image.default_args, env, image, world)
    if command[0] == "/init.sh":
        return init_sh(command[1:] + args, env, image, world)
    if command[0].rpartition("/")[2] == "hab" and command[1:2] == ["sup"]:
        return hab_sup(command[2:] + args, env, image, world)
    if image.entrypoint_passes_args:
        return init_sh(args or image.default_args, env, image, world)
    return Foreign(f"the container runs its own command {command[0]!r}")


def init_sh(words: Sequence[str], env: Mapping[str, str], image: Image, world: World) -> Start:
    """The image's entrypoint looks at its first word only."""
    first = words[0] if words else ""
    if first in ASKS_FOR_HELP or not first.startswith("-"):
        return hab_sup(list(words), env, image, world)
    return hab_sup([*image.default_args, *words], env, image, world)


def hab_sup(words: Sequence[str], env: Mapping[str, str], image: Image, world: World) -> Start:
    """`hab sup WORDS`: the licence first, then the line."""
    helps = any(word in {"-h", "--help", "-V", "--version"} for word in words)
    licensed = env.get("HAB_LICENSE") in {"accept", "accept-no-persist"}
    if image.version >= LICENCE_SINCE and not helps and not licensed:
        return Exit(1, "the licence is not accepted: HAB_LICENSE is " + repr(env.get("HAB_LICENSE")))
    if not words:
        return Exit(2, "hab sup without a subcommand")
    if words[0] in image.subcommands:
        return _run(words[1:], env, image, world)
    if words[0] in ASKS_FOR_HELP:
        return Exit(0, "prints help or its version")
    if words[0] in OTHER_SUBCOMMANDS:
        return Foreign(f"hab sup {words[0]} is not a Supervisor")
    return Exit(2, f"unrecognized subcommand {words[0]!r}")


def _run(words: Sequence[str], env: Mapping[str, str], image: Image, world: World) -> Start:
    try:
        parsed = clap.parse(words, env, world, image.version)
    except clap.UsageError as why:
        return Exit(2, str(why))
    except clap.HelpAsked:
        return Exit(0, "prints help")
    if parsed.values["generate-config"]:
        return Exit(0, "prints a configuration")
    return Running(
        ident=parsed.ident,
        flags=parsed.values,
        given=frozenset(name for name in parsed.values if parsed.given(name)),
        env=env,
        words=tuple(words),
        image_ident=image.ident,
    )

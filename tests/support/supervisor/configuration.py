"""Where a service's configuration, its files and its ring key come from (supervisor.md §6, §7)."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from tests.support.supervisor.filesystem import Place
from tests.support.supervisor.verdict import Running
from tests.support.supervisor.world import World


def user_toml_path(package: str) -> str:
    return f"/hab/user/{package}/config/user.toml"


def env_name(package: str) -> str:
    """HAB_<PKG>: the package's name in capitals, dashes as underscores."""
    return f"HAB_{package}".upper().replace("-", "_")


def read_env_config(text: str) -> dict[str, Any] | None:
    """TOML is tried first, then a JSON object; None is what keeps the service from loading."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        pass
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def file_at(path: str, place: Place, pod: Mapping[str, Any], world: World) -> str | None:
    """The text of a file that a volume brings, None where no volume puts one there."""
    mount = place.covering(path)
    if mount is None or mount.sub_path:
        return None
    inside = path.removeprefix(mount.path).lstrip("/")
    return _volume_file(mount.volume, inside, pod, world)


def _volume_file(volume: Mapping[str, Any], inside: str, pod: Mapping[str, Any], world: World) -> str | None:
    for kind, name_field, read in (("secret", "secretName", world.secret), ("configMap", "name", world.config_map)):
        if source := volume.get(kind):
            key = _key_of(source, inside)
            return None if key is None else read(source.get(name_field, ""), key)
    if source := volume.get("downwardAPI"):
        for item in source.get("items") or ():
            if item.get("path") == inside:
                return world.field((item.get("fieldRef") or {}).get("fieldPath", ""), pod)
    if source := volume.get("projected"):
        for part in source.get("sources") or ():
            renamed = {kind: dict(what) for kind, what in part.items() if isinstance(what, Mapping)}
            if "secret" in renamed:
                renamed["secret"]["secretName"] = renamed["secret"].get("name", "")
            if (found := _volume_file(renamed, inside, pod, world)) is not None:
                return found
    return None


def _key_of(source: Mapping[str, Any], inside: str) -> str | None:
    items = source.get("items")
    if not items:
        return inside
    return next((item["key"] for item in items if item.get("path") == inside), None)


def ring_key_name(text: str) -> str | None:
    """The name in a ring key's text, None for a text that is no key: the Supervisor exits with 86."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != "SYM-SEC-1":
        return None
    name = re.fullmatch(r"(.+)-\d{14}", lines[1])
    return name[1] if name and re.fullmatch(r"[A-Za-z0-9+/]{43}=", lines[3].strip()) else None


def service_problem(supervisor: Running, place: Place, pod: Mapping[str, Any], world: World) -> str | None:
    """Why the gateway would answer 404 for the service for ever; None when it loads."""
    if supervisor.ident is None:
        return "no package ident: a Supervisor without a service"
    for name, value in (("group", supervisor.group), ("org", supervisor.org)):
        if value is not None and not re.fullmatch(r"[^#@.]+", value):
            return f"--{name}={value!r} makes an invalid service group"
    variable = env_name(supervisor.package)
    if variable in supervisor.env and read_env_config(supervisor.env[variable]) is None:
        return f"{variable} is neither TOML nor a JSON object"
    text = file_at(user_toml_path(supervisor.package), place, pod, world)
    if text is not None:
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as why:
            return f"user.toml is not TOML: {why}"
    return None

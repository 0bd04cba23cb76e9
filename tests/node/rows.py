"""The pods of both namespaces: each row of the table of users and groups (supervisor.md §0), controls, and the rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from tests.node import standin
from tests.node.pods import Manifest, inject, pod, secret, without

USERS: Mapping[str, Mapping[str, Any]] = {
    "root": {},
    "1000": {"runAsUser": 1000},
    "1000-0": {"runAsUser": 1000, "runAsGroup": 0},
    "42": {"runAsUser": 42},
    "42-0": {"runAsUser": 42, "runAsGroup": 0},
    "1000-1000": {"runAsUser": 1000, "runAsGroup": 1000},
    "42-42": {"runAsUser": 42, "runAsGroup": 42},
}
ROOTS: Mapping[str, Mapping[str, Any]] = {"": {}, "-read-only": {"readOnlyRootFilesystem": True}}
MOUNTS: Mapping[str, Mapping[str, str]] = {
    "": {},
    "-mounts": {"files_secret": "files", "config_secret": "conf", "data_volume": "data"},
}
ROWS = {
    f"{user}{root}{mounts}": ({**USERS[user], **ROOTS[root]}, MOUNTS[mounts])
    for user, root, mounts in itertools.product(USERS, ROOTS, MOUNTS)
}
NOT_ROOT = [name for name in ROWS if not name.startswith("root")]
LOCKED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

FIVE = ("habitat-sup", "habitat-svc", "habitat-launcher", "habitat-cache", "habitat-tmp")
EXITS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "42-bare": ("42", {"volumes": FIVE, "home": True}, "cannot write /hab/sup"),
    "1000-1000-bare": ("1000-1000", {"volumes": FIVE, "home": True}, "cannot write /hab/sup"),
    "1000-1000-homeless": ("1000-1000", {"home": True}, "cannot open //.hab/cache/keys"),
    "1000-0-read-only-bare": ("1000-0-read-only", {"volumes": FIVE}, "cannot write /hab/sup"),
    "root-read-only-bare": ("root-read-only", {"volumes": FIVE}, "cannot write /hab/sup"),
}
"""Control -> the row it is made of, what it lacks, and what its Supervisor says before it exits with 1."""
NEVER_READY = {"1000-0-mounts-bare": "1000-0-mounts", "1000-1000-mounts-bare": "1000-1000-mounts"}
"""Control -> the row it is made of. They lack the emptyDir on the service's folder: the Supervisor runs, unhealthy."""

TOML = 'plain = "$(HOSTNAME)"\nknown = "$(POD_IP)"\ndollars = "$$ $$(POD_IP) $x"\n'
RING_KEY = f"SYM-SEC-1\nring-20260101000000\n\n{'A' * 43}=\n"
SECRETS = [
    secret("files", **{"a.pem": "A", ".hidden": "H"}),
    secret("conf", **{"user.toml": "a = 1\n", "other": "x"}),
    secret("gateway", token="s3cret"),
]


def plain(namespace: str) -> list[Manifest]:
    rows = [pod(name, user, **more) for name, (user, more) in ROWS.items()]
    others = [
        pod("config", config=TOML, http_port="9700"),
        pod("token", gateway_auth_secret="gateway"),
        pod("late-key", ring_key="late"),
        _native_sidecar(),
    ]
    injected = {item["metadata"]["name"]: item for item in inject([*rows, *others], namespace)}
    controls = [without(injected[row], name, **lacks) for name, (row, lacks, _) in EXITS.items()]
    controls += [without(injected[row], name, volumes=["habitat-service"]) for name, row in NEVER_READY.items()]
    return [*SECRETS, *injected.values(), *controls]


def restricted(namespace: str) -> list[Manifest]:
    pods = [pod(name, {**LOCKED, **ROWS[name][0]}, **ROWS[name][1]) for name in NOT_ROOT]
    return [*SECRETS, *inject(pods, namespace)]


def _native_sidecar() -> Manifest:
    made = pod("native-sidecar", container="web", files_secret="files")
    image = {"image": standin.name(), "imagePullPolicy": "Never"}
    supervisor = made["spec"]["containers"][0] | {"restartPolicy": "Always"}
    made["spec"]["initContainers"] = [{"name": "setup", **image, "command": ["/bin/true"]}, supervisor]
    made["spec"]["containers"] = [{"name": "work", **image, "command": ["/bin/sleep", "1000000"]}]
    return made

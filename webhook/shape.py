"""The types of the fields that the engine reads.

The webhook only ever gets pods that the API server has decoded, so it looks here after the engine has stumbled; a file
can say `value: 6379` or `value: yes` where Kubernetes takes a text, so the command line looks before. The API server
would refuse such a file in terms of Go; here it is said in terms of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.problems import Problem, shown


@dataclass(frozen=True, slots=True)
class _Object:
    """An object with these fields and any others; `required`: fields that must be there, and not empty."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _List:
    items: Any


@dataclass(frozen=True, slots=True)
class _Map:
    """An object with keys of the user's own, all of one type."""

    values: Any


_NAMES: Mapping[type[Any], str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
}
_FOUND: Mapping[type[Any], str] = {**_NAMES, bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
_TEXTS = _Map(str)
_SECURITY = _Object({"runAsUser": int, "runAsGroup": int, "fsGroup": int, "readOnlyRootFilesystem": bool})
_ENV = _Object({"name": str, "value": str, "valueFrom": _Object()}, frozenset({"name"}))
_PORT = _Object({"name": str, "containerPort": int, "hostPort": int, "protocol": str}, frozenset({"containerPort"}))
_MOUNT = _Object({"name": str, "mountPath": str, "subPath": str}, frozenset({"name", "mountPath"}))
_CONTAINER = _Object(
    {
        "name": str,
        "image": str,
        "command": _List(str),
        "args": _List(str),
        "env": _List(_ENV),
        "ports": _List(_PORT),
        "volumeMounts": _List(_MOUNT),
        "securityContext": _SECURITY,
        "readinessProbe": _Object(),
        "startupProbe": _Object(),
        "livenessProbe": _Object(),
        "restartPolicy": str,
    },
    frozenset({"name"}),
)
_TEMPLATE = _Object(
    {
        "metadata": _Object({"annotations": _TEXTS, "labels": _TEXTS}),
        "spec": _Object(
            {
                "containers": _List(_CONTAINER),
                "initContainers": _List(_CONTAINER),
                "volumes": _List(_Object({"name": str}, frozenset({"name"}))),
                "securityContext": _SECURITY,
                "hostNetwork": bool,
                "restartPolicy": str,
            }
        ),
    }
)


def problems_of(template: Any, place: str) -> list[Problem]:
    """Every field of a pod template that has another type than Kubernetes takes; `place`: "spec.template"."""
    return list(_check(template, _TEMPLATE, place))


def type_problem(value: Any, kind: type[Any], place: str) -> Problem | None:
    """What is wrong with a value of another type than Kubernetes takes; kind: dict, list, str, bool or int."""
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return None
    return Problem(place, f"{_shown(value)} is {_FOUND[type(value)]}", _advice(value, kind))


def _check(value: Any, shape: Any, place: str) -> Iterator[Problem]:
    problem = type_problem(value, _kind(shape), place)
    if problem is not None:
        yield problem
    elif isinstance(shape, _List):
        for index, item in enumerate(value):
            yield from _check(item, shape.items, f"{place}[{_item(item, index)}]")
    elif isinstance(shape, _Map):
        for key, item in value.items():
            yield from _check(item, shape.values, f"{place}[{key}]")
    elif isinstance(shape, _Object):
        for name in sorted(shape.required - {key for key, item in value.items() if item not in (None, "")}):
            yield Problem(place, f"there is no {name}", f"write {name}: {_NAMES[_kind(shape.fields[name])]}")
        for name, inner in shape.fields.items():
            if value.get(name) is not None:  # null means absent to Kubernetes
                yield from _check(value[name], inner, f"{place}.{name}".removeprefix("."))


def _kind(shape: Any) -> type[Any]:
    if isinstance(shape, type):
        return shape
    return list if isinstance(shape, _List) else dict


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "this"}[value]
    return shown(value) if isinstance(value, str) else shown(value).strip('"')


def _advice(value: Any, kind: type[Any]) -> str:
    advice = f"Kubernetes takes {_NAMES[kind]} here"
    if kind is str and isinstance(value, bool):
        return f"{advice}: put it in quotes (YAML reads yes, no, on and off without quotes as true and false)"
    if kind is str and isinstance(value, int | float):
        return f"{advice}: put it in quotes"
    if kind is int and isinstance(value, str) and value.isdigit():
        return f"{advice}: remove the quotes"
    return advice


def _item(item: Any, index: int) -> str:
    """What a list's item is called: its name, as in the engine's messages, else its number."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and name else str(index)

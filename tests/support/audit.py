"""What a user asked of the API server, from the API server's own audit log: which calls, and how they were answered.

with ControlPlane(apiserver_flags=audit.flags(tmp_path, user)) as cluster:
    ...
    done = audit.calls(tmp_path, user)
    assert audit.forbidden(done) == []
    assert audit.unused_rules(roles, done) == []

`kubectl auth can-i` and a SelfSubjectAccessReview are calls of their own: neither exercises the rule it asks about. A
call under impersonation is the impersonator's here, since RBAC has looked at another user's rights by then.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import yaml

REFUSED = (401, 403)
_LOG, _POLICY = "audit.log", "audit-policy.yaml"


class Reference(TypedDict, total=False):
    """A part of an audit event: what it is about. Absent when empty."""

    apiGroup: str
    resource: str
    subresource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One request: verb as RBAC has it ("list", "patch"…), api_group "" for the core. name "" when RBAC was given none:
    a list, and a create, whatever the object is called. code: the HTTP status. resource "" for a path such as /version.
    """

    verb: str
    api_group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    path: str = field(default="", compare=False)
    message: str = field(default="", compare=False)  # of a refusal


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One call that a role allows: (verb, group, resource or resource/subresource, name, role). name "" is any."""

    verb: str
    api_group: str
    resource: str
    name: str
    role: str


def flags(directory: Path, *users: str) -> list[str]:
    """Flags of kube-apiserver that log the calls of these users into a folder, and all whose token is not known.

    Metadata: the answers' codes are wanted, no bodies. Mode blocking: an event is a line in the file before its answer
    is complete, so that a test may read the log as soon as it has the answer; batches wait for up to a timeout, and are
    dropped when the buffer is full, which would make a rule look unused and a refusal unseen. It costs one write() to
    the page cache for each call of a few users. Never rotated: the reader wants one file.
    """
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        # Otherwise each call had a second event that knows no answer.
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "users": list(users)},
            {"level": "None", "userGroups": ["system:authenticated", "system:unauthenticated"]},
            # What is left has no user at all: refused with 401.
            {"level": "Metadata"},
        ],
    }
    (directory / _POLICY).write_text(yaml.safe_dump(policy))
    return [
        f"--audit-policy-file={directory / _POLICY}",
        f"--audit-log-path={log(directory)}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=0",
    ]


def calls(directory: Path, user: str) -> list[Call]:
    """The calls of one user so far, in the order of their answers, and those refused because nobody was known by their
    token: they may be the same user's. A watch counts from its first byte."""
    return parse(log(directory).read_text(), user)


def log(directory: Path) -> Path:
    """The log itself, of `flags`."""
    return directory / _LOG


def parse(log: str, user: str) -> list[Call]:
    """See `calls`; log: lines of JSON, the last perhaps unfinished."""
    found: dict[str, Call] = {}
    for line in log.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        event = json.loads(line)
        # A watch has an event when it starts and another when it ends.
        if "responseStatus" in event and _is_of(event, user):
            found[event["auditID"]] = _call(event)
    return list(found.values())


def _is_of(event: Mapping[str, Any], user: str) -> bool:
    name = event.get("user", {}).get("username", "")
    return name == user or (not name and event["responseStatus"].get("code") == 401)


def _call(event: Mapping[str, Any]) -> Call:
    reference: Reference = event.get("objectRef", {})
    status = event["responseStatus"]
    verb, subresource = event["verb"], reference.get("subresource", "")
    # The log fills in the name from the body; RBAC knows that of the path only.
    nameless = verb == "create" and not subresource
    return Call(
        verb,
        reference.get("apiGroup", ""),
        reference.get("resource", ""),
        subresource,
        reference.get("namespace", ""),
        "" if nameless else reference.get("name", ""),
        status.get("code", 0),
        urllib.parse.urlsplit(event["requestURI"]).path,
        status.get("message", "") if status.get("code", 0) in REFUSED else "",
    )


def forbidden(calls: Iterable[Call], expected: Iterable[tuple[str, str]] = ()) -> list[Call]:
    """The calls that were answered with 401 or 403, by RBAC or by an admission policy, each kind once.

    expected: (verb, resource) of calls that are to be refused, resource as in a rule ("pods", "pods/status").
    """
    allowed = set(expected)
    refused = {c: c for c in calls if c.code in REFUSED and (c.verb, _resource(c)) not in allowed}
    return sorted(refused.values())


def unused_rules(roles: Sequence[Mapping[str, Any]], calls: Iterable[Call]) -> list[Right]:
    """What the roles allow and no call used: (verb, group, resource, name) of each rule, one by one.

    roles: ClusterRole and Role objects. A Role counts calls in its namespace only. A refused call uses nothing. Raises
    ValueError for a rule with "*" or with URLs: what it allows cannot be counted.
    """
    done = {
        (c.verb, c.api_group, _resource(c), name, namespace)
        for c in calls
        if c.code not in REFUSED and c.resource
        for name in {c.name, ""}
        for namespace in {c.namespace, ""}
    }
    return sorted(
        right
        for role in roles
        for right in _rights(role)
        if (right.verb, right.api_group, right.resource, right.name, _namespace(role)) not in done
    )


def _resource(call: Call) -> str:
    return f"{call.resource}/{call.subresource}" if call.subresource else call.resource


def _namespace(role: Mapping[str, Any]) -> str:
    """The only namespace of a role, "" for all."""
    return str(role["metadata"]["namespace"]) if role["kind"] == "Role" else ""


def _rights(role: Mapping[str, Any]) -> list[Right]:
    name = f"{role['kind']} {role['metadata']['name']}"
    rights = []
    for rule in role["rules"]:
        if "nonResourceURLs" in rule or any("*" in text for part in rule.values() for text in part):
            raise ValueError(f"{name}: {rule} allows what nobody can list; name each verb, group and resource")
        rights += [
            Right(verb, group, resource, only, name)
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for only in rule.get("resourceNames", [""])
        ]
    return rights

"""What the API server's audit log keeps of a decision, for pods that a controller creates."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.ring.live.installation import deployment
from tests.support import audit
from tests.support.server import webhook_server
from tests.support.webhook_config import registration

CREATOR = "system:serviceaccount:kube-system:replicaset-controller"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, str]]]:
    """What the audit log says of the webhook's decisions about the pods of three Deployments, without the prefix."""
    directory = tmp_path_factory.mktemp("audited")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(ControlPlane(nodes=1, apiserver_flags=audit.flags(directory, CREATOR)))
        server = stack.enter_context(webhook_server(directory))
        cluster.apply(json.dumps(registration(server.url, server.files.ca.read_bytes())))
        namespace = stack.enter_context(cluster.namespace(labels={"habitat.sh/injection": "enabled"}))
        probe = (
            "run",
            "probe",
            "--image=i",
            "-n",
            namespace,
            "--annotations=habitat.sh/service=a b",
            "--dry-run=server",
        )
        cluster.wait("the webhook to be called", lambda: cluster.run_kubectl(*probe).returncode != 0)
        for name, annotations in {
            "good": {},
            "surprising": {"topologie": "leader"},
            "wrong": {"topology": "hunter2"},
        }.items():
            cluster.apply(json.dumps(deployment(namespace, name, 1, **annotations)))

        def found() -> list[dict[str, str]] | None:
            decisions: list[dict[str, str]] = []
            for line in audit.log(directory).read_text().splitlines()[:-1]:
                marks = json.loads(line).get("annotations", {})
                ours = {k.partition("/")[2]: v for k, v in marks.items() if k.startswith("inject.habitat.sh/")}
                if ours and ours not in decisions:  # a pod that is refused is tried again
                    decisions.append(ours)
            return decisions if len(decisions) == 3 else None

        yield cluster.wait("three decisions in the audit log", found)


def test_the_audit_log_says_why(kept: list[dict[str, str]]) -> None:
    good, surprising, wrong = sorted(kept, key=lambda marks: (marks["reason"], len(marks)))
    assert good == {"reason": "Injected", "container": "main"}
    assert surprising["warnings"].startswith("habitat.sh/topologie is unknown and has no effect")
    assert (wrong["reason"], wrong["problems"]) == ("Invalid", "habitat.sh/topology")


def test_the_audit_log_holds_no_value(kept: list[dict[str, str]]) -> None:
    assert "hunter2" not in str(kept)

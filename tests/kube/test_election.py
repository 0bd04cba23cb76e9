from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import Cluster, wait_for
from tests.kube.candidate import DURATION, RENEW_DEADLINE, RETRY, Candidate, Look, both_led
from tests.kube.conftest import KeptLog
from webhook.kube.client import ApiError, Client
from webhook.kube.election import Election

REPOSITORY = Path(__file__).parents[2]


def leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


@contextlib.contextmanager
def standing(client: Client, namespace: str, log: KeptLog, count: int) -> Iterator[list[Candidate]]:
    candidates = [Candidate(client, namespace, f"candidate-{number}", log) for number in range(count)]
    for candidate in candidates:
        candidate.start()
    try:
        yield candidates
    finally:
        for candidate in candidates:
            candidate.end()


def leader_of(candidates: list[Candidate]) -> Candidate | None:
    return next((candidate for candidate in candidates if candidate.election.leading and candidate.told), None)


def assert_never_two(looks: list[list[Look]]) -> None:
    for some, others in itertools.combinations(looks, 2):
        assert both_led(some, others) == []


@pytest.mark.parametrize("count", [2, 5])
def test_one_leads_at_a_time_and_the_next_takes_over_when_it_is_asked_to_stop(
    client: Client, namespace: str, log: KeptLog, count: int
) -> None:
    with standing(client, namespace, log, count) as candidates:
        left = list(candidates)
        while left:
            leader = wait_for("a leader that has begun its work", lambda: leader_of(left))
            assert leader.told == ["started"]
            wait_for("somebody to have seen it lead", lambda leader=leader: leader.looks)
            leader.end()
            assert leader.told == ["started", "stopped"]
            assert not leader.election.leading
            left.remove(leader)
        lease = client.get(f"{leases(namespace)}/test")["spec"]
        assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("", 1)
        assert lease["leaseTransitions"] == count - 1
        assert all(candidate.looks for candidate in candidates)
        assert_never_two([candidate.looks for candidate in candidates])
    assert not log.said("lease not released")


def test_lease_tells_who_leads_and_since_when(client: Client, namespace: str, log: KeptLog) -> None:
    path = f"{leases(namespace)}/test"
    with standing(client, namespace, log, 1) as (candidate,):
        wait_for("the leader", lambda: candidate.election.leading)
        first = client.get(path)["spec"]
        assert first["holderIdentity"] == "candidate-0"
        assert first["leaseDurationSeconds"] == DURATION
        assert first["acquireTime"] == first["renewTime"]

        def renewed() -> Any:
            spec = client.get(path)["spec"]
            return spec if spec["renewTime"] != first["renewTime"] else None

        later = wait_for("a renewal", renewed)
        assert later["acquireTime"] == first["acquireTime"]
        assert later["leaseTransitions"] == first["leaseTransitions"]


def test_fields_of_others_in_the_lease_stay(client: Client, namespace: str, log: KeptLog) -> None:
    body = {"metadata": {"name": "test", "labels": {"by": "somebody"}}, "spec": {}}
    client.create(leases(namespace), body)
    with standing(client, namespace, log, 1) as (candidate,):
        wait_for("the leader", lambda: candidate.election.leading)
    lease = client.get(f"{leases(namespace)}/test")
    assert lease["metadata"]["labels"] == {"by": "somebody"}
    assert lease["spec"]["leaseTransitions"] == 1


def test_lease_that_somebody_else_takes_or_deletes_ends_the_leadership(
    client: Client, namespace: str, log: KeptLog
) -> None:
    path = f"{leases(namespace)}/test"
    with standing(client, namespace, log, 1) as (candidate,):
        wait_for("the leader", lambda: candidate.told == ["started"])
        client.patch(path, {"spec": {"holderIdentity": "an administrator", "leaseDurationSeconds": 1}})
        wait_for("the end", lambda: candidate.told == ["started", "stopped"])
        wait_for("a new term, after the second that the other one promised", lambda: len(candidate.told) == 3)
        client.delete(path)
        wait_for("the lease made anew", lambda: _get(client, path))
    assert candidate.told[-1] == "stopped"


def _get(client: Client, path: str) -> dict[str, Any] | None:
    with contextlib.suppress(ApiError):
        return client.get(path)
    return None


@contextlib.contextmanager
def process(cluster: Cluster, namespace: str, identity: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.kube.candidate", str(cluster.kubeconfig), namespace, "test", identity]
    with (folder / identity).open("wb") as output, (folder / f"{identity}.log").open("wb") as errors:
        running = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=errors)
    with running:
        try:
            yield running
        finally:
            running.kill()


def looks_of(path: Path) -> list[Look]:
    lines = path.read_text().rpartition("\n")[0].splitlines()  # a killed one may have written half a line
    return [(float(before), float(after)) for before, after in (line.split() for line in lines)]


def test_leader_that_is_paused_or_killed_is_followed_and_does_not_lead_when_it_wakes_up(
    cluster: Cluster, namespace: str, client: Client, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    def leads(path: Path, *, since: int = 0) -> bool:
        return path.exists() and len(looks_of(path)) > since

    with process(cluster, namespace, "one", tmp_path) as first:
        wait_for("the first leader", lambda: leads(one))
        with process(cluster, namespace, "two", tmp_path) as second:
            first.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, first.pid, os.WSTOPPED)
            paused = len(looks_of(one))
            wait_for("the second to take over", lambda: leads(two))
            first.send_signal(signal.SIGCONT)
            seen = len(looks_of(two))
            wait_for("the second to go on leading", lambda: leads(two, since=seen + 500))
            # One look may have been under way when it was paused.
            assert len(looks_of(one)) <= paused + 1
            second.kill()
            second.wait()
            wait_for("the first to take over", lambda: leads(one, since=paused + 1))
        first.terminate()
        assert first.wait(60) == 0
    assert client.get(f"{leases(namespace)}/test")["spec"]["holderIdentity"] == ""
    assert_never_two([looks_of(one), looks_of(two)])


# on a client that answers as written down


class Answers:
    """A Lease in memory, with the optimistic locking of the API server, that may be late or fail."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.failure: Exception | None = None
        self.lost = False
        self.hold = threading.Event()
        self.hold.set()

    def get(self, path: str, *, seconds: float) -> dict[str, Any]:
        self._answer()
        if self.lease is None:
            raise ApiError(404, "NotFound", "no lease")
        return self.lease

    def create(self, path: str, body: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        self._answer()
        return self._store(body)

    def replace(self, path: str, body: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        self._answer()
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "changed meanwhile")
        return self._store(body)

    def _answer(self) -> None:
        self.hold.wait(60)
        if self.failure is not None:
            raise self.failure

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        if self.lost:
            raise ApiError(0, "ReadTimeoutError", "the answer was lost")
        return self.lease


def test_call_that_hangs_does_not_keep_the_deadline_from_being_noticed(log: KeptLog) -> None:
    answers = Answers()
    candidate = Candidate(answers, "shop", "me", log)  # type: ignore[arg-type]
    candidate.start()
    wait_for("the leader", lambda: candidate.told == ["started"])
    answers.hold.clear()
    wait_for("the end of the work", lambda: candidate.told == ["started", "stopped"])
    assert not candidate.election.leading
    answers.hold.set()
    wait_for("the next term", lambda: len(candidate.told) == 3)
    candidate.end()
    assert candidate.told == ["started", "stopped"] * 2


def test_stop_while_a_call_hangs_stops_the_work_and_leaves_the_lease_alone(log: KeptLog) -> None:
    answers = Answers()
    candidate = Candidate(answers, "shop", "me", log)  # type: ignore[arg-type]
    candidate.start()
    wait_for("the leader", lambda: candidate.told == ["started"])
    answers.hold.clear()
    wait_for("a call that hangs", lambda: candidate.election._lease is None)
    candidate.end()
    assert candidate.told == ["started", "stopped"]
    answers.hold.set()
    assert answers.lease is not None
    assert answers.lease["spec"]["holderIdentity"] == "me"
    assert not candidate.election.leading


def test_renewal_whose_answer_was_lost_does_not_count_and_the_next_reads_first(log: KeptLog) -> None:
    answers = Answers()
    candidate = Candidate(answers, "shop", "me", log)  # type: ignore[arg-type]
    candidate.start()
    wait_for("the leader", lambda: candidate.told == ["started"])
    answers.lost = True
    wait_for("the end of the work", lambda: candidate.told == ["started", "stopped"])
    answers.lost = False
    wait_for("the next term", lambda: len(candidate.told) == 3)
    candidate.end()
    assert answers.lease is not None
    assert answers.lease["spec"]["holderIdentity"] == ""
    assert answers.lease["spec"]["leaseTransitions"] == 0
    assert len(log.said("the lease cannot be had")) == 1
    assert len(log.said("the lease can be had again")) == 1


def test_work_that_cannot_be_started_gives_the_lease_to_others(log: KeptLog) -> None:
    answers = Answers()
    stop = threading.Event()
    told: list[str] = []

    def fail() -> None:
        told.append("started")
        if len(told) >= 3:
            stop.set()
        raise RuntimeError("no")

    election = Election(
        answers,  # type: ignore[arg-type]
        "shop",
        "test",
        "me",
        duration=DURATION,
        renew_deadline=RENEW_DEADLINE,
        retry=RETRY,
        started=fail,
        stopped=lambda: told.append("stopped"),
        log=log,
    )
    election.run(stop)
    assert told == ["started", "stopped"] * 2
    assert answers.lease is not None
    assert answers.lease["spec"]["holderIdentity"] == ""
    assert answers.lease["spec"]["leaseTransitions"] == 1
    assert len(log.said("what should start with the leadership failed")) == 2


def test_holder_whose_duration_is_longer_than_ours_is_waited_for(log: KeptLog, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1000.0, 1000.0, 1059.9, 1060.0, 1060.0])
    monkeypatch.setattr("webhook.kube.election.elapsed", lambda: next(clock))
    answers = Answers()
    answers.lease = {"metadata": {"resourceVersion": "0"}, "spec": {"holderIdentity": "it", "leaseDurationSeconds": 60}}
    election = Candidate(answers, "shop", "me", log).election  # type: ignore[arg-type]
    for holder in ("it", "it", "me"):
        election._try()
        assert answers.lease["spec"]["holderIdentity"] == holder
    for now, leading in ((1060.0 + RENEW_DEADLINE - 0.01, True), (1060.0 + RENEW_DEADLINE, False)):
        clock = iter([now])
        assert election.leading is leading


@pytest.mark.parametrize(("duration", "deadline", "retry"), [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_under_which_two_could_lead_are_refused(duration: int, deadline: int, retry: int, log: KeptLog) -> None:
    with pytest.raises(ValueError, match="0 < retry < renew_deadline < duration, and got"):
        Election(
            Answers(),  # type: ignore[arg-type]
            "shop",
            "test",
            "me",
            duration=duration,
            renew_deadline=deadline,
            retry=retry,
            started=lambda: None,
            stopped=lambda: None,
            log=log,
        )

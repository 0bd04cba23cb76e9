"""The keeper's thread, its watches and its Secrets over HTTP, with an API server that has bad moments."""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from certs import leaf
from certs.stores import stored
from tests.certs.making import POLICY
from tests.controlplane.client import wait_for
from tests.kube.server import Request, Scripted, scripted
from webhook.certificates import part
from webhook.certificates.metrics import CertificateMetrics
from webhook.certificates.part import Certificates
from webhook.kube.client import Client
from webhook.log import Log
from webhook.metrics import Exposition

SECRETS = "/api/v1/namespaces/shop/secrets"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def status(code: int, reason: str, message: str = "played") -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


@dataclass
class Api:
    """Objects by their path, versions, watches, and events. trouble: answers instead of what was asked, in turn."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    trouble: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    log: list[dict[str, Any]] = field(default_factory=list)  # what watches tell of
    over: bool = False

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            version = str(int(time.monotonic_ns()))
            self.objects[path] = body | {
                "metadata": body["metadata"] | {"resourceVersion": version, "uid": f"uid-{path}"}
            }
            if path.startswith(HOOKS):
                self.log.append({"type": "MODIFIED", "object": self.objects[path]})
            self.changed.notify_all()
            return self.objects[path]

    def answer(self, request: Request) -> None:
        path, _, query = request.path.partition("?")
        if "watch=true" in query:
            self._watch(request, path)
            return
        body = orjson.loads(request.body) if request.body else {}
        if "/events" in path:
            self.events.append(body)
            request.send(201, body)
            return
        if path.startswith(SECRETS) and self.trouble:
            request.send(*self.trouble.pop(0))
            return
        if request.command != "GET":
            self.writes.append(f"{request.command} {path}")
        request.send(*self._carry_out(request.command, path, body))

    def _carry_out(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path.endswith("webhookconfigurations"):
            found = [o for p, o in self.objects.items() if p.startswith(path + "/")]
            return 200, {"metadata": {"resourceVersion": "1"}, "items": found}
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return 409, status(409, "AlreadyExists")
            return 201, self.put(path, body)
        there = self.objects.get(path)
        if there is None:
            return 404, status(404, "NotFound")
        if method == "GET":
            return 200, there
        if method == "PATCH":
            copy = orjson.loads(orjson.dumps(there))
            for step in body[1:]:
                place = int(step["path"].split("/")[2])
                copy["webhooks"][place]["clientConfig"]["caBundle"] = step["value"]
            given, body = body[0]["value"], copy
        else:
            given = body["metadata"]["resourceVersion"]
        if given != there["metadata"]["resourceVersion"]:
            return 409, status(409, "Conflict")
        return 200, self.put(path, body)

    def _watch(self, request: Request, path: str) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for told in itertools.count():
            with self.changed:
                while not self.over and len(self.log) <= told:
                    self.changed.wait()
                if self.over:
                    request.close_connection = True
                    return
                event = self.log[told]
            if path == HOOKS:
                line = orjson.dumps(event) + b"\n"
                request.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def bundles(self) -> list[str]:
        return [w["clientConfig"].get("caBundle", "") for w in self.objects[f"{HOOKS}/ours"]["webhooks"]]

    def blank(self) -> None:
        copy = orjson.loads(orjson.dumps(self.objects[f"{HOOKS}/ours"]))
        for webhook in copy["webhooks"]:
            webhook["clientConfig"].pop("caBundle", None)
        self.put(f"{HOOKS}/ours", copy)


@dataclass
class Running:
    api: Api
    part: Certificates
    output: io.BytesIO
    exposition: Exposition
    leading: bool = True

    @property
    def log(self) -> str:
        return self.output.getvalue().decode()

    def whole(self) -> bool:
        return (
            f"{SECRETS}/tls" in self.api.objects and len(set(self.api.bundles())) == 1 and self.api.bundles()[0] != ""
        )


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(part, "_FIRST_DELAY", 0.05)
    api = Api()
    webhooks = [{"name": f"{n}.habitat.sh", "clientConfig": {"url": "https://x"}} for n in range(2)]
    api.put(f"{HOOKS}/ours", {"metadata": {"name": "ours"}, "webhooks": webhooks})
    api.log.clear()
    with contextlib.ExitStack() as stack:
        server: Scripted = stack.enter_context(scripted(api.answer))
        client = Client.connect(server.kubeconfig(tmp_path / "kubeconfig"))
        stack.callback(client.close)
        output, exposition = io.BytesIO(), Exposition()
        made = Running(api, None, output, exposition)  # type: ignore[arg-type]
        made.part = Certificates(
            client,
            POLICY,
            namespace="shop",
            authority="ca",
            serving="tls",
            resync=0,
            leading=lambda: made.leading,
            identity="test",
            metrics=CertificateMetrics(exposition),
            log=Log("debug", output),
        )
        made.part.start()

        def end() -> None:
            with api.changed:
                api.over = True
                api.changed.notify_all()
            made.part.stop()

        stack.callback(end)
        wait_for("both watches", lambda: not made.part.waiting())
        yield made


def test_nothing_is_written_before_it_begins_and_everything_after(running: Running) -> None:
    time.sleep(0.3)
    assert running.api.writes == []
    assert b'ca_state{state="standby"} 1.0' in running.exposition.text()
    running.part.begin()
    wait_for("everything", running.whole)
    assert running.api.writes == [f"POST {SECRETS}", f"PATCH {HOOKS}/ours", f"POST {SECRETS}"]
    found = stored(running.api.objects[f"{SECRETS}/tls"])
    assert found.ours
    assert not leaf.names_differ(leaf.decode(found.data).certificate, POLICY.names)
    assert running.api.objects[f"{SECRETS}/tls"]["type"] == "kubernetes.io/tls"
    wait_for("the events", lambda: {e["reason"] for e in running.api.events} >= {"CaCreated", "LeafIssued"})


def test_change_that_a_watch_tells_of_is_answered_at_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "LOOK_SECONDS", 3600.0)
    running.part.begin()
    wait_for("everything", running.whole)
    running.api.blank()
    wait_for("the repair", running.whole)


def test_bad_moments_of_the_api_server_are_got_over(running: Running) -> None:
    running.api.trouble = [
        (500, status(500, "InternalError")),
        (503, status(503, "ServiceUnavailable")),
        (403, status(403, "Forbidden", "may not get secrets")),
        (200, {"metadata": {}}),  # an answer that is no Secret
    ]
    running.part.begin()
    wait_for("everything", running.whole)
    lines = [orjson.loads(line) for line in running.log.splitlines()]
    assert [line["level"] for line in lines if line["message"] == "certificates not looked at"] == [
        "warning",
        "warning",
        "warning",
        "error",
    ]


def test_message_of_the_api_server_that_quotes_a_secret_is_not_repeated(running: Running) -> None:
    quoting = status(422, "Invalid", 'data: Invalid value: "LS0tLS1CRUdJTiBQUklWQVRF"')
    running.api.trouble = [(422, quoting)] * 2
    running.part.begin()
    wait_for("everything", running.whole)
    assert "certificates not looked at" in running.log
    assert "LS0t" not in running.log


def test_pause_ends_all_writes_and_begin_takes_them_up_again(running: Running) -> None:
    running.part.begin()
    wait_for("everything", running.whole)
    running.part.pause()
    count = len(running.api.writes)
    running.api.blank()
    time.sleep(0.5)
    assert len(running.api.writes) == count
    assert b'ca_state{state="standby"} 1.0' in running.exposition.text()
    running.part.begin()
    wait_for("the repair", running.whole)


def test_who_leads_no_more_but_was_not_told_writes_nothing(running: Running) -> None:
    running.part.begin()
    wait_for("everything", running.whole)
    running.leading = False
    count = len(running.api.writes)
    running.api.blank()
    time.sleep(0.5)
    assert len(running.api.writes) == count

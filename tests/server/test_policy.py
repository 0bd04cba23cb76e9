"""`serve --policy`: read at the start and whenever it is replaced; an invalid one never takes effect."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

from tests.advise.workloads import workload
from tests.policy.making import text_of
from tests.policy.test_loaded import BAD, Mounted
from tests.support.reviews import encoded, review
from tests.support.server import wait_for, webhook_server
from tests.unit.making import a_pod, with_redis


def generation(name: str) -> str:
    """Says its name by every way that a policy has."""
    return text_of(f"""
        - {{name: one-{name}, force: {{group: {name}}}, defaults: {{org: {name}}}}}
        - {{name: two-{name}, force: {{channel: {name}}}, require: [service]}}
        - {{name: three-{name}, action: warn, deny: {{topology: [standalone]}}, message: {name}}}
    """)


def seen(response: dict[str, Any], names: tuple[str, ...]) -> set[str]:
    """Which generations an answer speaks of."""
    args = next(op["value"] for op in json.loads(b64decode(response["patch"])) if op["path"].endswith("/args"))
    texts = [*(arg for arg in args if arg.startswith(("--group", "--org", "--channel"))), *response["warnings"]]
    texts.append(response["auditAnnotations"]["policy-rules"])
    assert len(texts) == 5, texts
    return {name for name in names for text in texts if name in text}


def test_everything_a_policy_does_is_in_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        text_of("""
            - {name: forced, force: {group: forced}}
            - {name: warned, action: warn, deny: {channel: [unstable]}, message: Ask Ann.}
            - {name: audited, action: audit, deny: {org: [sword*]}}
            - {name: denied, match: {namespaces: [strict]}, require: [license]}
        """)
    )
    with webhook_server(tmp_path, "--policy", str(file)) as server:
        answer = server.review(a_pod(with_redis(channel="unstable", org="swordfish")), namespace="shop")
        assert answer["allowed"]
        assert (
            "habitat.sh/channel: policy rule warned: its value is not allowed; not allowed: unstable; Ask Ann."
            in (answer["warnings"])
        )
        audit = answer["auditAnnotations"]
        assert audit["policy-rules"] == "forced,warned,audited"
        assert audit["policy-audit"].startswith(
            "habitat.sh/org: policy rule audited: its value is not allowed; not allowed: sword*"
        )
        assert len(audit["policy"]) == 12

        refused = server.review(a_pod({"service": "redis"}), namespace="strict")
        assert not refused["allowed"]
        assert refused["status"]["code"] == 422
        assert "habitat.sh/license: policy rule denied: it is missing" in refused["status"]["message"]
        assert refused["auditAnnotations"]["reason"] == "PolicyDenied"

        unmet = [server.metric("policy_unmet_total", action=action) for action in ("enforce", "warn", "audit")]
        assert unmet == [1, 1, 1]
        line = server.wait_for_line("review", namespace="shop")
        assert line["rules"] == ["forced", "warned", "audited"]
        assert line["unmet"] == [["policy rule warned", "warn"], ["policy rule audited", "audit"]]
        assert "swordfish" not in str(server.lines())


def test_workload_that_comes_under_a_rule_by_its_change_is_refused_and_recorded(tmp_path: Path) -> None:
    """What its pods were before is judged by the rules that were about them then."""
    file = tmp_path / "policy.yaml"
    match = "match: {podSelector: {matchLabels: {tier: production}}}"
    file.write_text(text_of(f"- {{name: strict, {match}, require: [group]}}"))
    lab, production = workload(), workload()
    production["spec"]["template"]["metadata"]["labels"]["tier"] = "production"
    labelled = production | {"metadata": {"name": "web", "labels": {"more": "yes"}}}
    with webhook_server(tmp_path, "--policy", str(file)) as server:

        def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
            body = encoded(review(after, operation="UPDATE", oldObject=before))
            answer: dict[str, Any] = server.post(body, path="/validate")[1]["response"]
            return answer

        refused = changed(lab, production)
        assert not refused["allowed"]
        assert "policy rule strict: it is missing" in refused["status"]["message"]
        assert refused["auditAnnotations"]["policy-rules"] == "strict"
        line = server.wait_for_line("workload review")
        assert (line["rules"], line["unmet"]) == (["strict"], [["policy rule strict", "enforce"]])
        assert changed(production, labelled)["allowed"]
        assert server.metric("policy_unmet_total", action="enforce") == 0, "pods are counted, not who makes them"


def test_without_a_policy_nothing_is_said_of_one(tmp_path: Path) -> None:
    with webhook_server(tmp_path) as server:
        answer = server.review(a_pod(), namespace="shop")
        assert set(answer["auditAnnotations"]) == {"reason", "container"}
        assert server.get("/readyz") == (200, "ok\n")
        assert "policy" not in server.wait_for_line("review")


def test_server_that_has_no_good_policy_yet_is_not_ready_and_decides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(BAD)
    with webhook_server(tmp_path, "--policy", str(file)) as server:
        status, text = server.get("/readyz")
        assert status == 503
        assert f'[-] policy: {file}:4:15: a rule has no key "forse"' in text
        assert server.get("/livez")[0] == 200
        assert server.post(encoded(review(a_pod(), namespace="shop")))[0] == 500
        assert (server.metric("policy_generation"), server.metric("policy_last_error")) == (0, 1)
        file.write_text(generation("alpha"))
        wait_for("the policy", lambda: server.get("/readyz")[0] == 200 or None)
        assert server.review(a_pod(), namespace="shop")["allowed"]
        assert (server.metric("policy_generation"), server.metric("policy_last_error")) == (1, 0)
        assert server.metric("policy_rules") == 3


def test_reload_under_load_mixes_no_generations_and_an_invalid_one_changes_nothing(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    names = ("alpha", "bravo", "cecil", "delta")
    mounted.show(generation("alpha"))
    with webhook_server(tmp_path, "--policy", str(mounted.file)) as server:
        over, failures, answers = threading.Event(), [], []

        def ask() -> None:
            try:
                while not over.is_set():
                    answers.append(seen(server.review(a_pod(), namespace="shop"), names))
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(error)

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        for count, name in enumerate(names[1:], start=2):
            refusals = server.metric("policy_loads_total", result="refused")
            mounted.show(BAD)
            wait_for(
                "the refusal", lambda n=refusals: server.metric("policy_loads_total", result="refused") > n or None
            )
            assert server.metric("policy_last_error") == 1
            assert server.get("/readyz")[0] == 200
            mounted.show(generation(name))
            wait_for("the reload", lambda n=count: server.metric("policy_generation") == n or None)
            before = len(answers)
            wait_for("answers", lambda n=before: len(answers) > n + 6 or bool(failures) or None)
        over.set()
        for client in clients:
            client.join()
        assert failures == []
        assert all(len(found) == 1 for found in answers)
        assert {name for found in answers for name in found} == set(names)
        refusal = server.wait_for_line("policy not loaded, the last good one stays")
        assert "did you mean force?" in refusal["message"]

"""`habitat-webhook convert`: what is read, what is written where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.running import SERVICE, inject, jsons, run, values

HABITAT: dict[str, Any] = {
    "apiVersion": "habitat.sh/v1beta1",
    "kind": "Habitat",
    "metadata": {"name": "cache"},
    "customVersion": "v1beta2",
    "spec": {"v1beta2": {"image": "acme/redis:4", "count": 1, "service": {"name": "redis", "topology": "standalone"}}},
}
BROKEN = {"apiVersion": "habitat.sh/v1beta1", "kind": "Habitat", "metadata": {"name": "b"}, "spec": {}}


def convert(text: str, *options: str) -> Result:
    return run("convert", "-f", "-", *options, stdin=text)


def annotations(workload: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["annotations"]
    return found


def test_manifests_go_to_standard_output_and_the_report_to_standard_error() -> None:
    result = convert(json.dumps(HABITAT))
    assert result.exit_code == 0
    assert [w["kind"] for w in jsons(result.stdout)] == ["Deployment"]
    assert result.stderr.startswith(
        "Habitat/cache: converted to Deployment/cache; fields: 7 converted, 1 dropped, 0 by"
    )


@pytest.mark.parametrize(("output", "read"), [("yaml", values), ("json", jsons)])
def test_output_comes_in_the_format_that_is_asked_for(output: str, read: Any) -> None:
    text = convert(json.dumps(HABITAT) + "\n", "-o", output).stdout
    assert text.startswith("{") is (output == "json")
    assert [w["metadata"]["name"] for w in read(text)] == ["cache"]


def test_report_alone_goes_to_standard_output() -> None:
    result = convert(json.dumps(HABITAT), "-o", "report")
    assert result.stdout.startswith("Habitat/cache: converted")
    assert result.stderr == ""


def test_there_is_no_patch_of_one_kind_into_another() -> None:
    assert convert(json.dumps(HABITAT), "-o", "patch").exit_code == 2


def test_one_habitat_that_cannot_be_converted_holds_back_all_output() -> None:
    result = convert(json.dumps(HABITAT) + json.dumps(BROKEN))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "spec.service.name: there is none" in result.stderr
    assert "nothing is written to standard output: mend the 2 errors above first" in result.stderr


def test_licence_is_the_user_s_word_alone() -> None:
    without = convert(json.dumps(HABITAT))
    [workload] = jsons(without.stdout)
    assert "habitat.sh/license" not in annotations(workload)
    assert "no licence is accepted" in without.stderr
    given = convert(json.dumps(HABITAT), "--license", "accept-no-persist")
    [workload] = jsons(given.stdout)
    assert annotations(workload)["habitat.sh/license"] == "accept-no-persist"
    assert "licence" not in given.stderr
    assert convert(json.dumps(HABITAT), "--license", "yes").exit_code == 2


def test_what_is_no_habitat_passes_through_as_it_came() -> None:
    text = f"# first\n---\n{SERVICE}---\n{json.dumps(HABITAT)}\n---\n# last\n{SERVICE}"
    result = convert(text)
    assert result.stdout.startswith(f"# first\n---\n{SERVICE}---\napiVersion: apps/v1\nkind: Deployment\n")
    assert result.stdout.endswith(f"---\n# last\n{SERVICE}")
    assert [value["kind"] for value in values(result.stdout)] == ["Service", "Deployment", "Service"]


def test_manifests_without_any_habitat_come_out_byte_for_byte() -> None:
    result = convert(SERVICE)
    assert (result.exit_code, result.stdout) == (0, SERVICE)


def test_output_is_what_inject_takes() -> None:
    converted = convert(json.dumps(HABITAT), "--license", "accept")
    injected = inject(converted.stdout)
    assert injected.exit_code == 0
    assert "injected into container habitat-service" in injected.stderr


def test_items_of_nested_lists_are_converted_in_their_place() -> None:
    stateful = json.loads(json.dumps(HABITAT))
    stateful["spec"]["v1beta2"]["persistentStorage"] = {"size": "1Gi", "storageClassName": "a", "mountPath": "/data"}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    untouched = {"apiVersion": "v1", "kind": "List", "items": [other], "x": 1}
    inner = {"apiVersion": "habitat.sh/v1beta1", "kind": "HabitatList", "items": [stateful]}
    [outer] = jsons(
        convert(json.dumps({"apiVersion": "v1", "kind": "List", "items": [other, inner, untouched]})).stdout
    )
    assert (outer["apiVersion"], outer["kind"]) == ("v1", "List")
    assert [outer["items"][0], outer["items"][2]] == [other, untouched]
    middle = outer["items"][1]
    assert (middle["apiVersion"], middle["kind"]) == ("v1", "List")
    assert [item["kind"] for item in middle["items"]] == ["Service", "StatefulSet"]


def test_every_file_of_a_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(json.dumps(HABITAT))
    (tmp_path / "b.yaml").write_text(SERVICE)
    result = run("convert", "-f", tmp_path)
    assert [value["kind"] for value in values(result.stdout)] == ["Deployment", "Service"]
    assert "2 objects: 1 converted, 1 skipped" in result.stderr


@pytest.mark.parametrize(("namespace", "said"), [("", False), ("shop", True), ("other", False)])
def test_only_a_secret_of_the_same_namespace_is_looked_at(namespace: str, *, said: bool) -> None:
    habitat = json.loads(json.dumps(HABITAT))
    habitat["metadata"]["namespace"] = "shop"
    habitat["spec"]["v1beta2"]["service"]["configSecretName"] = "settings"
    where = {"namespace": namespace} if namespace else {}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "settings"} | where, "data": {"a": "c2VjcmV0"}}
    report = convert(json.dumps(secret) + json.dumps(habitat), "-o", "report").stdout
    assert ("has no key user.toml (its keys: a)" in report) is said
    assert "c2VjcmV0" not in report


def test_namespace_option_says_where_objects_without_one_are() -> None:
    habitat = json.loads(json.dumps(HABITAT))
    habitat["spec"]["v1beta2"]["service"]["ringSecretName"] = "ring-20180101000000"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ring-20180101000000", "namespace": "shop"}}
    report = convert(json.dumps(secret) + json.dumps(habitat), "-n", "shop", "-o", "report").stdout
    assert "has no key ring-key" in report
    assert "will not be injected: NamespaceExcluded" in convert(json.dumps(HABITAT), "-n", "kube-system").stderr


def test_what_the_operator_has_made_is_left_out() -> None:
    reference = {"apiVersion": "habitat.sh/v1beta1", "kind": "Habitat", "name": "cache", "uid": "1"}
    metadata = {"name": "peer-watch-file", "ownerReferences": [reference]}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"peer-watch-file": "10.0.0.1"}}
    alone = convert(json.dumps(HABITAT) + "\n" + json.dumps(made))
    assert [value["kind"] for value in jsons(alone.stdout)] == ["Deployment"]
    assert "ConfigMap/peer-watch-file: left out: the operator made it of Habitat/cache" in alone.stderr
    [together] = jsons(convert(json.dumps({"apiVersion": "v1", "kind": "List", "items": [made, HABITAT]})).stdout)
    assert [item["kind"] for item in together["items"]] == ["Deployment"]

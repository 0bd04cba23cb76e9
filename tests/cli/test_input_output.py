"""Files, directories and standard input; YAML, JSON, patches and reports; exit statuses and colours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonpath
import pytest
from click.testing import CliRunner

from tests.cli.running import DEPLOYMENT, SERVICE, inject, jsons, run, template, values
from webhook.cli.main import cli

SERVICE_JSON = '{"apiVersion": "v1",\t"kind": "Service",\n\n "metadata": {"name": "é😀"}}'


def as_json(text: str) -> str:
    return json.dumps(values(text)[0])


def test_yaml_stays_yaml_and_json_stays_json() -> None:
    assert inject(SERVICE).stdout == SERVICE
    assert inject(SERVICE_JSON).stdout == SERVICE_JSON + "\n"
    (injected,) = jsons(inject(as_json(DEPLOYMENT)).stdout)
    assert [injected] == values(inject(DEPLOYMENT).stdout)


def test_json_documents_one_after_the_other_are_read_and_written_so() -> None:
    result = inject(f"{SERVICE_JSON}\n{as_json(DEPLOYMENT)}{SERVICE_JSON}")
    assert result.stdout.startswith(SERVICE_JSON + "\n{\n")
    assert result.stdout.endswith("}\n" + SERVICE_JSON + "\n")
    assert [o["kind"] for o in jsons(result.stdout)] == ["Service", "Deployment", "Service"]


def test_output_can_be_asked_for_in_the_other_format() -> None:
    expected = values(inject(f"---\n{SERVICE}---\n{DEPLOYMENT}").stdout)
    assert jsons(inject(f"---\n{SERVICE}---\n{DEPLOYMENT}", "-o", "json").stdout) == expected
    assert values(inject(f"{as_json(SERVICE)}{as_json(DEPLOYMENT)}", "-o", "yaml").stdout) == expected


def test_json_in_flow_style_that_is_only_yaml_is_read_as_yaml() -> None:
    text = "{apiVersion: v1, kind: Service, metadata: {name: a}} # yes\n"
    assert inject(text).stdout == text


def test_patch_is_for_each_changed_object_from_its_own_root() -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": [values(SERVICE)[0], *values(DEPLOYMENT)]}
    (patch,) = jsons(inject(json.dumps(whole), "-o", "patch").stdout)
    assert {k: v for k, v in patch.items() if k != "patch"} == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "redis",
        "namespace": "shop",
    }
    assert {operation["op"] for operation in patch["patch"]} <= {"add", "replace"}
    (deployment,) = values(DEPLOYMENT)
    applied = jsonpath.patch.apply(patch["patch"], deployment)
    assert [applied] == values(inject(DEPLOYMENT).stdout)


def test_patch_of_nothing_is_nothing() -> None:
    result = inject(SERVICE, "-o", "patch")
    assert (result.exit_code, result.stdout) == (0, "")


def test_report_alone_goes_to_standard_output() -> None:
    report = inject(DEPLOYMENT, "-o", "report")
    assert report.stderr == ""
    assert report.stdout == inject(DEPLOYMENT).stderr


def test_report_of_an_error_still_ends_with_one() -> None:
    wrong = DEPLOYMENT.replace("habitat.sh/service: redis", "habitat.sh/service: a b")
    report = inject(wrong, "-o", "report")
    assert report.exit_code == 1
    assert "cannot be injected, 1 problem:" in report.stdout
    assert report.stderr == ""


def test_files_and_directories_make_one_stream(tmp_path: Path) -> None:
    (tmp_path / "d" / "deeper").mkdir(parents=True)
    (tmp_path / "a.yaml").write_text("# only a comment")
    (tmp_path / "b.yml").write_text(f"%YAML 1.1\n---\n{SERVICE.rstrip()}")
    (tmp_path / "d" / "2.yaml").write_text(DEPLOYMENT)
    (tmp_path / "d" / "1.json").write_text(SERVICE_JSON)
    (tmp_path / "d" / "notes.txt").write_text("not: [read")
    (tmp_path / "d" / "deeper" / "3.yaml").write_text(SERVICE)
    files = ("-f", tmp_path / "a.yaml", "-f", tmp_path / "b.yml", "-f", tmp_path / "d")
    result = run("inject", *files)
    assert [v["kind"] for v in values(result.stdout)] == ["Service", "Service", "Deployment"]
    assert result.stdout.startswith(f"# only a comment\n%YAML 1.1\n---\n{SERVICE.rstrip()}\n---\napiVersion: v1\n")
    assert [v["kind"] for v in values(run("inject", *files, "-R").stdout)] == [
        "Service",
        "Service",
        "Deployment",
        "Service",
    ]


def test_document_with_directives_follows_one_that_is_not_closed(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text("a: 1")
    (tmp_path / "2.yaml").write_text("# between")
    (tmp_path / "3.yaml").write_text("%YAML 1.1\n---\nb: 2\n...\n")
    (tmp_path / "4.yaml").write_text("%YAML 1.1\n--- {c: 3}")
    result = run("inject", "-f", tmp_path)
    assert result.stdout == "a: 1\n# between\n...\n%YAML 1.1\n---\nb: 2\n...\n%YAML 1.1\n--- {c: 3}"
    assert values(result.stdout) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_standard_input_can_stand_among_files(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(SERVICE)
    result = run("inject", "-f", file, "-f", "-", stdin=DEPLOYMENT)
    assert [v["kind"] for v in values(result.stdout)] == ["Service", "Deployment"]


def test_utf16_and_byte_order_marks_of_windows_are_read() -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        result = inject(SERVICE.replace("how", "hów 😀").encode(encoding))
        assert result.stdout == SERVICE.replace("how", "hów 😀")


def test_output_is_utf8_whatever_the_locale() -> None:
    result = CliRunner(charset="ascii").invoke(cli, ["inject", "-f", "-"], input=SERVICE.replace("how", "😀").encode())
    assert result.stdout_bytes.decode() == SERVICE.replace("how", "😀")


UNREADABLE = {
    b"a: [1\n": r"standard input:2:1: .*expected ',' or ']'",
    b"a: \xff\n": r"standard input:1:4: byte 0xFF is not UTF-8; save the file as UTF-8",
    b"# nothing\n": r"standard input: no Kubernetes object in it; is it the right file\?",
    b"": r"standard input: no Kubernetes object in it",
    b"---\n---\n": r"standard input: no Kubernetes object in it",
    b"{{ .Values.a }}: 1": r"standard input:1:1: a mapping as a key; .*render it first",
    b"{a: [}": r"standard input:1:6: did not find expected node content",
    b'{"a": "b" "c"}': r"standard input:1:11: not JSON: Expecting ',' delimiter",
    b'{"a": 1, "a": 2}': r"standard input: the key 'a' stands twice in one object; remove one of the two",
    b'{"a": NaN}': r"standard input: NaN is not JSON; write a number",
    b'{"a": 1e999}': r"standard input: the number 1e999 is out of range",
    rb'{"a": "\ud83d"}': r"standard input: '\\ud83d' has half of a surrogate pair",
    b'{"a": ' * 300 + b"1" + b"}" * 300: r"standard input: nested more than 200 levels deep",
    b'{"a": ' * 100000 + b"1" + b"}" * 100000: r"standard input: nested more than 200 levels deep",
}


@pytest.mark.parametrize("content", UNREADABLE, ids=lambda c: repr(c[:20]))
def test_unreadable_input_ends_with_two_and_its_place(content: bytes) -> None:
    result = inject(content)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.match("Error: " + UNREADABLE[content], result.stderr), result.stderr
    assert "Traceback" not in result.stderr


def test_file_that_is_called_json_must_be_json(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("{kind: Service}")
    result = run("inject", "-f", file)
    assert result.exit_code == 2
    assert f"{file}:1:2: not JSON: Expecting property name" in result.stderr


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for arguments, expected in (
        (("-f", tmp_path / "none.yaml"), "none.yaml: No such file or directory"),
        (("-f", tmp_path), "the directory has no .json, .yaml, .yml file; give -R to look into its directories too"),
        (("-f", tmp_path, "-R"), "the directory has no .json, .yaml, .yml file\n"),
        (
            ("-f", "https://example.com/a.yaml"),
            "nothing is downloaded; pipe it in: curl -fsSL https://example.com/a.yaml |",
        ),
        (("-f", "-", "-f", "-"), "standard input: named twice"),
        ((), "Missing option '-f' / '--filename'"),
        (("-f", "-", "-o", "xml"), "'xml' is not one of 'yaml', 'json', 'patch', 'report'"),
        (("-f", "-", "--what"), "No such option"),
    ):
        result = run("inject", *arguments, stdin=SERVICE)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert expected in result.stderr


def test_colour_is_for_terminals_and_no_color_is_obeyed() -> None:
    for color, environment, coloured in ((False, {}, False), (True, {}, True), (True, {"NO_COLOR": "1"}, False)):
        result = CliRunner(env={"NO_COLOR": "", **environment}).invoke(
            cli, ["inject", "-f", "-"], input=DEPLOYMENT, color=color
        )
        assert ("\x1b[" in result.stderr) is coloured
        assert "\x1b[" not in result.stdout


def test_object_without_a_name_is_reported_all_the_same() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **template()}
    assert inject(json.dumps(pod)).stderr.startswith("Pod/(no name): injected")
    pod["metadata"]["generateName"] = "redis-"
    assert inject(json.dumps(pod)).stderr.startswith("Pod/redis-*: injected")

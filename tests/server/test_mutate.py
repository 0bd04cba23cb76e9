"""What the API server, and anybody else, gets from the TLS port."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import jsonpatch
import pytest

from tests.support.reviews import answered, encoded, pod, review
from tests.support.server import WebhookServer, read_response, request_bytes
from webhook.server.app import MAX_BODY
from webhook.server.settings import ServeSettings


def test_review_is_answered_as_the_contract_says(server: WebhookServer) -> None:
    status, answer = server.post(encoded(review(uid="abc-1")))
    assert status == 200
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("abc-1", True, "JSONPatch")
    patched = jsonpatch.apply_patch(pod(), json.loads(base64.b64decode(response["patch"])))
    assert "habitat.sh/injected" in patched["metadata"]["annotations"]


def test_server_gives_the_bytes_that_the_review_function_gives(server: WebhookServer) -> None:
    body = encoded(review(uid="same"))
    with contextlib.closing(server.client()) as client:
        client.request("POST", "/mutate?timeout=5s", body, {"Content-Type": "application/json"})
        response = client.getresponse()
        assert response.getheader("Content-Type") == "application/json"
        assert response.read() == answered(body, ServeSettings().engine()).body


def test_pod_without_annotations_is_allowed_without_patch(server: WebhookServer) -> None:
    _, answer = server.post(encoded(review(pod({}))))
    assert answer["response"]["allowed"] is True
    assert not {"patch", "patchType"} & answer["response"].keys()


def test_connection_is_kept_for_further_reviews(server: WebhookServer) -> None:
    with contextlib.closing(server.client()) as client:
        for number in range(5):
            client.request("POST", "/mutate", encoded(review(uid=f"r{number}")), {"Content-Type": "application/json"})
            response = client.getresponse()
            assert response.getheader("Connection") == "keep-alive"
            assert json.loads(response.read())["response"]["uid"] == f"r{number}"
            if number == 0:
                first = client.sock
        assert client.sock is first


def test_requests_sent_at_once_are_answered_in_their_order(server: WebhookServer) -> None:
    bodies = [encoded(review(uid=f"p{number}")) for number in range(20)]
    with server.connect() as connection:
        connection.sendall(b"".join(request_bytes(body) for body in bodies))
        uids = [json.loads(_next_body(connection))["response"]["uid"] for _ in bodies]
    assert uids == [f"p{number}" for number in range(20)]


def _next_body(connection: Any) -> bytes:
    """Reads byte by byte up to the head's end, so that the next response stays on the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return body


def test_refused_body_is_not_taken_for_the_next_request(server: WebhookServer) -> None:
    smuggled = request_bytes(encoded(review(uid="smuggled")))
    with contextlib.closing(server.client()) as client:
        for path, content_type, status in (
            ("/mutate", "text/plain", 415),
            ("/nowhere", "application/json", 404),
            ("/mutate", "application/json", 400),
        ):
            client.request("POST", path, smuggled, {"Content-Type": content_type})
            response = client.getresponse()
            response.read()
            assert (response.status, response.getheader("Connection")) == (status, "keep-alive")
            client.request("POST", "/mutate", encoded(review(uid="next")), {"Content-Type": "application/json"})
            assert json.loads(client.getresponse().read())["response"]["uid"] == "next"
    assert not [line for line in server.lines() if line.get("uid") == "smuggled"]


def test_dry_run_gets_the_same_patch(server: WebhookServer) -> None:
    answers = [server.post(encoded(review(uid="dry", dryRun=dry)))[1] for dry in (False, True)]
    assert answers[0] == answers[1]
    assert answers[0]["response"]["patch"]


def test_wrong_annotation_denies_the_pod_with_422(server: WebhookServer) -> None:
    status, answer = server.post(encoded(review(pod({"habitat.sh/service": "redis", "habitat.sh/topology": "ring"}))))
    assert status == 200
    assert answer["response"]["allowed"] is False
    assert (answer["response"]["status"]["code"], answer["response"]["status"]["reason"]) == (422, "Invalid")
    assert "habitat.sh/topology" in answer["response"]["status"]["message"]


def test_annotation_of_120_kib_becomes_configuration(server: WebhookServer) -> None:
    config = "".join(f'key{n} = "{"x" * 90}"\n' for n in range(1200))
    assert len(config) > 115 * 1024
    status, answer = server.post(encoded(review(pod({"habitat.sh/service": "redis", "habitat.sh/config": config}))))
    assert status == 200
    assert answer["response"]["allowed"] is True
    assert config in json.dumps(json.loads(base64.b64decode(answer["response"]["patch"]))).replace("\\n", "\n").replace(
        '\\"', '"'
    )


def test_annotation_of_200_kib_that_cannot_work_is_refused_in_a_short_answer(server: WebhookServer) -> None:
    config = "a = '" + "x" * 200 * 1024 + "'"
    _, answer = server.post(encoded(review(pod({"habitat.sh/service": "redis", "habitat.sh/config": config}))))
    assert answer["response"]["allowed"] is False
    assert len(answer["response"]["status"]["message"]) < 1000


BAD_BODIES = {
    "empty": (b"", "not JSON"),
    "text": (b"hello", "not JSON"),
    "truncated": (encoded(review())[:-20], "not JSON"),
    "NUL": (b"\0" * 10, "not JSON"),
    "deeply nested": (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
    "deep object in the pod": (
        b'{"kind":"AdmissionReview","request":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        "not JSON",
    ),
    "not UTF-8": (b'{"kind": "\xff\xfe"}', "not JSON"),
    "array": (b"[]", "not a JSON object"),
    "empty object": (b"{}", "AdmissionReview"),
    "another kind": (encoded({"kind": "Pod", "apiVersion": "v1"}), "AdmissionReview"),
    "v1beta1": (encoded({**review(), "apiVersion": "admission.k8s.io/v1beta1"}), "admission.k8s.io/v1"),
    "no request": (encoded({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}), "no request"),
    "request is a list": (
        encoded({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": []}),
        "no request",
    ),
    "no uid": (encoded(review(uid="x") | {"request": {"object": {}}}), "uid"),
    "empty pod": (encoded(review({})), "request.object"),
    "pod is a list": (encoded(review([])), "request.object"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_body_is_refused_with_400_and_counted(server: WebhookServer, name: str) -> None:
    body, words = BAD_BODIES[name]
    before = server.errors("bad_request")
    status, answer = server.post(body)
    assert status == 400
    assert (answer["kind"], answer["code"], answer["status"]) == ("Status", 400, "Failure")
    assert words in answer["message"]
    assert server.errors("bad_request") == before + 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/yaml", ""])
def test_other_content_type_is_refused_with_415(server: WebhookServer, content_type: str) -> None:
    before = server.errors("media_type")
    status, answer = server.post(encoded(review()), content_type=content_type)
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert "application/json" in answer["message"]
    assert server.errors("media_type") == before + 1


def test_content_type_may_have_a_charset(server: WebhookServer) -> None:
    assert server.post(encoded(review()), content_type="Application/JSON; charset=utf-8")[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_method_is_refused_with_405(server: WebhookServer, method: str) -> None:
    before = server.errors("method")
    with contextlib.closing(server.client()) as client:
        client.request(method, "/mutate")
        response = client.getresponse()
        assert (response.status, response.getheader("Allow")) == (405, "POST")
        assert json.loads(response.read())["code"] == 405
    assert server.errors("method") == before + 1


@pytest.mark.parametrize("path", ["/", "/mutate/", "/validate/", "/metrics", "/livez", "/static/x"])
def test_other_path_is_refused_with_404_that_names_the_right_one(server: WebhookServer, path: str) -> None:
    before = server.errors("not_found")
    status, answer = server.post(encoded(review()), path=path)
    assert status == 404
    assert "/mutate" in answer["message"]
    assert server.errors("not_found") == before + 1


def test_body_over_the_cap_is_refused_before_it_is_sent(server: WebhookServer) -> None:
    before = server.errors("too_large")
    with server.connect() as connection:
        connection.sendall(request_bytes(b"{", length=MAX_BODY + 1))
        status, headers, body = read_response(connection)
    assert (status, headers["connection"]) == (413, "close")
    assert str(MAX_BODY) in json.loads(body)["message"]
    assert server.errors("too_large") == before + 1


def test_client_that_sends_an_oversized_body_nevertheless_gets_413(server: WebhookServer) -> None:
    with contextlib.closing(server.client()) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.request("POST", "/mutate", b" " * (MAX_BODY + 1), {"Content-Type": "application/json"})
        assert client.getresponse().status == 413


def test_body_just_under_the_cap_is_read(server: WebhookServer) -> None:
    body = encoded(review())
    assert server.post(body + b" " * (MAX_BODY - len(body)))[0] == 200


def test_chunked_body_is_refused_with_411(server: WebhookServer) -> None:
    before = server.errors("length")
    with server.connect() as connection:
        connection.sendall(
            b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\n\r\n"
        )
        status, headers, _ = read_response(connection)
    assert (status, headers["connection"]) == (411, "close")
    assert server.errors("length") == before + 1


def test_body_that_ends_early_is_refused_and_counted(server: WebhookServer) -> None:
    before = server.errors("truncated")
    with server.connect() as connection:
        connection.sendall(request_bytes(b'{"kind":', length=5000))
    server.wait_for_line("the body ended after 8 of 5000 bytes")
    assert server.errors("truncated") == before + 1


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\r\n\r\n\r\n\r\n", 400),
        (b"POST /mutate HTTP/9.9\r\n\r\n", 400),
        (b"POST /mutate HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /mutate HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /mutate HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"POST /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"POST /mutate HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(99)) + b"\r\n", 431),
        (b"POST /mutate HTTP/1.1\r\n" + b"".join(b"a%d: %s\r\n" % (n, b"b" * 8000) for n in range(12)) + b"\r\n", 431),
        (b"POST /mutate HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n{}", 417),
    ],
)
def test_what_is_not_http_is_refused_with_its_status(server: WebhookServer, text: bytes, status: int) -> None:
    before = server.errors("bad_request")
    with server.connect() as connection:
        connection.sendall(text)
        answer, headers, body = read_response(connection)
    assert (answer, headers["connection"]) == (status, "close")
    assert json.loads(body)["code"] == status
    assert server.errors("bad_request") == before + 1


def test_client_that_expects_100_continue_gets_it_once(server: WebhookServer) -> None:
    body = encoded(review(uid="expecting"))
    with server.connect() as connection:
        connection.sendall(request_bytes(b"", length=len(body), extra="Expect: 100-continue\r\n"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        raw = connection.recv(100_000)
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


def test_http_1_0_client_is_answered_and_closed(server: WebhookServer) -> None:
    with server.connect() as connection:
        connection.sendall(request_bytes(encoded(review())).replace(b"HTTP/1.1", b"HTTP/1.0"))
        status, headers, _ = read_response(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_no_refusal_has_left_a_traceback_in_the_log(server: WebhookServer) -> None:
    server.post(b"nonsense")
    assert not [line for line in server.lines() if "exception" in line or "Traceback" in line["message"]]
    assert server.errors("internal") == 0

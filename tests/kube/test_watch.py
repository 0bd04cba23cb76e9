from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.kube.server import Request, scripted
from webhook.kube.client import ApiError, Client
from webhook.kube.watch import Lines

SECONDS = 60

EVENTS = [b'{"a":1}', '{"ü":"✓"}'.encode(), b"{}", b'{"long":"' + b"x" * 500 + b'"}', b"[]"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 64, 10_000])
def test_lines_are_the_same_however_the_stream_is_cut(size: int) -> None:
    stream = b"\n".join(EVENTS) + b"\n"
    lines = Lines()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [line for chunk in chunks for line in lines.feed(chunk)] == EVENTS


def test_line_without_an_end_is_not_given_out_and_empty_ones_are_left_out() -> None:
    lines = Lines()
    assert lines.feed(b"\n\na") == []
    assert lines.feed(b"") == []
    assert lines.feed(b"b") == []
    assert lines.feed(b"c\n\nd\ne") == [b"abc", b"d"]
    assert lines.feed(b"\n") == [b"e"]


def event(kind: str, /, **content: Any) -> bytes:
    return orjson.dumps({"type": kind, "object": content}) + b"\n"


def stream(request: Request, *chunks: bytes) -> None:
    """A chunked answer that has a beginning only; the server's hand-over decides how it ends."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    for chunk in chunks:
        request.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        request.wfile.flush()


def collect(client: Client) -> list[tuple[str, dict[str, Any]]]:
    with client.watch("/api/v1/pods", "1") as watch:
        return list(watch)


def test_end_of_the_answer_is_the_end_of_the_watch(tmp_path: Path) -> None:
    def answer(request: Request) -> None:
        both = event("ADDED", n=1) + event("BOOKMARK", n=2)
        stream(request, both[:10], both[10:70], both[70:])
        request.wfile.write(b"0\r\n\r\n")

    with scripted(answer) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
        assert collect(client) == [("ADDED", {"n": 1}), ("BOOKMARK", {"n": 2})]
        query = "watch=true&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=300"
        assert server.requests[0].path == f"/api/v1/pods?{query}"
        client.close()


def test_broken_connection_is_an_error_after_what_came(tmp_path: Path) -> None:
    def answer(request: Request) -> None:
        stream(request, event("ADDED", n=1), b'{"type":"ADDED","obj')
        request.hang_up()

    with scripted(answer) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
        with client.watch("/api/v1/pods", "1") as watch:
            assert next(watch) == ("ADDED", {"n": 1})
            with pytest.raises(ApiError) as broken:
                next(watch)
        assert (broken.value.status, broken.value.reason) == (0, "ProtocolError")
        client.close()


@pytest.mark.parametrize("line", [b"<html>s3cr3t\n", b'{"s3cr3t":1}\n', b'["s3cr3t"]\n'])
def test_line_that_is_no_event_is_an_error_that_does_not_quote_it(tmp_path: Path, line: bytes) -> None:
    with scripted(lambda request: stream(request, line)) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
        with pytest.raises(ApiError, match="a line of the watch is no event") as odd:
            collect(client)
        assert "s3cr3t" not in repr(odd.value)
        client.close()


@pytest.mark.parametrize("as_event", [False, True])
def test_version_that_is_too_old_is_410_as_answer_and_as_event(tmp_path: Path, as_event: bool) -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (9)"}

    def answer(request: Request) -> None:
        if as_event:
            stream(request, event("ERROR", **status))
        else:
            request.send(410, status)

    with scripted(answer) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
        with pytest.raises(ApiError, match="too old") as expired:
            collect(client)
        assert (expired.value.status, expired.value.reason) == (410, "Expired")
        client.close()


def test_silence_of_a_dead_server_ends_after_the_watch_should_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhook.kube.client.WATCH_GRACE_SECONDS", 0.2)
    with scripted(lambda request: stream(request, event("ADDED"))) as server:
        client = Client.connect(server.kubeconfig(tmp_path / "config"))
        with client.watch("/api/v1/pods", "1", seconds=0) as watch:
            next(watch)
            with pytest.raises(ApiError) as silent:
                next(watch)
        assert (silent.value.status, silent.value.reason) == (0, "ReadTimeoutError")
        client.close()


# on the real API server


def test_real_events_come_in_order(client: Client, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    ((_, version),) = client.list(path)
    client.create(path, {"metadata": {"name": "a", "labels": {"x": "1"}}})
    client.patch(f"{path}/a", {"data": {"k": "1" * 200_000}})
    client.create(path, {"metadata": {"name": "not-ours"}})
    client.patch(f"{path}/a", {"data": {"k": None}})
    client.patch(f"{path}/a", {"metadata": {"labels": {"x": "2"}}})
    with client.watch(path, version, labels="x=1", seconds=1) as watch:
        seen = [(kind, found["metadata"]["name"]) for kind, found in watch if kind != "BOOKMARK"]
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_watch_that_waits_ends_as_soon_as_it_is_stopped(client: Client, namespace: str) -> None:
    """Over TLS; without `stop` it would go on for five minutes."""
    watch = client.watch(f"/api/v1/namespaces/{namespace}/secrets", "")
    waiting = threading.Event()

    def follow() -> int:
        count = 0
        for _ in watch:
            count += 1
            waiting.set()
        watch.close()
        return count

    client.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "a"}})
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        assert waiting.wait(SECONDS)
        watch.stop()
        following.result(SECONDS)
    watch.stop()
    assert client.get("/version")


def test_dead_peers_are_asked_for_by_the_kernel(client: Client, namespace: str) -> None:
    with client.watch(f"/api/v1/namespaces/{namespace}/pods", "") as watch:
        connection = watch._response.connection
        assert connection is not None
        found = [
            connection.sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found == [15, 5, 3]

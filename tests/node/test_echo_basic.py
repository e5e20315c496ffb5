"""The echo-basic image beyond plain HTTP: HTTP/2, gRPC, WebSocket, TLS with the client's certificate, failures, TCP and UDP."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import casekeys
import pytest
from asking import ECHO, ask
from test_test_images import Running, free_port

from seaway.cluster.node import hpack
from seaway.cluster.node.programs import http2
from seaway.cluster.node.programs.http import Answer, Request

WHO = {"POD_NAME": "pod-1", "NAMESPACE": "ns"}


def until(question: dict[str, Any]) -> dict[str, Any]:
    """The answer, once the program listens."""
    end = time.monotonic() + 10
    while (told := ask({"address": "127.0.0.1", "host": "e.example", **question})).get("error") == "refused":
        assert time.monotonic() < end
        time.sleep(0.02)
    return told


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The HTTP server, with certificates."""
    folder = tmp_path_factory.mktemp("tls")
    pair = casekeys.issue("backend", ("e.example", "spiffe://cluster.local/ns/ns/sa/e"))
    for name, text in (("crt", pair.certificate), ("key", pair.key), ("ca", casekeys.authority("edge"))):
        (folder / name).write_text(text)
    found = {"http": free_port(), "h2c": free_port(), "https": free_port()}
    env = {**WHO, "HTTP_PORT": str(found["http"]), "H2C_PORT": str(found["h2c"]), "HTTPS_PORT": str(found["https"]),
           "TLS_SERVER_CERT": str(folder / "crt"), "TLS_SERVER_PRIVKEY": str(folder / "key"), "TLS_CLIENT_CACERTS": str(folder / "ca")}
    with Running("echo_basic", ["echo-basic"], env):
        yield found


def test_http2_without_tls_is_spoken_on_its_own_port(ports: dict[str, int]) -> None:
    told = until({"protocol": "h2c", "port": ports["h2c"], "path": "/a?x=1", "headers": [("X-One", "a"), ("x-one", "b")]})
    seen = json.loads(told["body"])
    assert told["status"] == 200 and (seen["proto"], seen["host"], seen["path"]) == ("HTTP/2.0", "e.example", "/a?x=1")
    assert seen["headers"]["X-One"] == ["a", "b"] and seen["pod"] == "pod-1" and seen["httpPort"] == str(ports["http"])
    old = until({"protocol": "http/1.1", "port": ports["h2c"]})
    assert (old["status"], old["body"]) == (400, "Expected h2c request")


def test_curl_agrees_on_http2_also_with_large_bodies(ports: dict[str, int]) -> None:
    until({"protocol": "h2c", "port": ports["h2c"]})
    args = ["curl", "-sS", "--http2-prior-knowledge", "-H", "X-Echo-Set-Header: a:1", "-D", "-", "--data-binary", "@-"]
    value = "v" * 15_000  # headers in several frames
    done = subprocess.run([*args, "-H", f"X-Big: {value}", f"http://127.0.0.1:{ports['h2c']}/b"], input=b"x" * 200_000, capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 200") and b"\na: 1" in head and json.loads(body)["headers"]["X-Big"] == [value]


def test_tls_tells_the_protocol_and_the_clients_certificate(ports: dict[str, int]) -> None:
    mine = casekeys.issue("edge", ("client.example",))
    base = {"port": ports["https"], "tls": True, "sni": "e.example", "ca": casekeys.authority("backend")}
    seen = json.loads(until({**base, "protocol": "h2", "certificate": mine.certificate, "key": mine.key})["body"])
    assert seen["tls"]["negotiatedProtocol"] == "h2" and seen["tls"]["serverName"] == "e.example" and seen["proto"] == "HTTP/2.0"
    assert [casekeys.names(pem) for pem in seen["tls"]["peerCertificates"]] == [["client.example"]]
    bare = json.loads(until({**base, "protocol": "http/1.1"})["body"])
    assert "peerCertificates" not in bare["tls"] and bare["proto"] == "HTTP/1.1"
    theirs = casekeys.issue("other", ("client.example",))
    assert "error" in until({**base, "protocol": "http/1.1", "certificate": theirs.certificate, "key": theirs.key})


def test_a_websocket_echoes(ports: dict[str, int]) -> None:
    told = until({"protocol": "websocket", "port": ports["http"], "path": "/ws", "send": ["one", "two"]})
    assert (told["status"], told["messages"]) == (101, ["one", "two"])
    assert until({"protocol": "http/1.1", "port": ports["http"], "path": "/ws"})["status"] == 400


def test_requests_fail_as_often_as_asked(ports: dict[str, int]) -> None:
    def tries(path: str) -> list[Any]:
        found = [until({"protocol": "http/1.1", "port": ports["http"], "path": path}) for _ in range(3)]
        return [t.get("status") or t["error"].partition(":")[0] for t in found]

    assert tries("/retry/x?uuid=1&succeedAfter=2&responseCode=503") == [503, 503, 200]
    assert tries("/retry/x?uuid=2&succeedAfter=1") == ["closed", 200, 200]
    assert tries("/retry/x?uuid=3&succeedAfter=x") == tries("/retry/x?succeedAfter=1") == [400] * 3
    slow = until({"protocol": "http/1.1", "port": ports["http"], "path": "/retry/x?uuid=4&succeedAfter=1&responseCode=500&delayRetry=300ms"})
    assert slow["status"] == 500 and slow["took"] >= 0.3


def test_grpc_tells_the_call_and_says_what_it_does_not_know() -> None:
    port, secure = free_port(), free_port()
    with Running("echo_basic", ["echo-basic"], {**WHO, "GRPC_ECHO_SERVER": "1", "HTTP_PORT": str(port), "HTTPS_PORT": str(secure)}):
        told = until({"protocol": "grpc", "port": port, "path": f"/{ECHO}/EchoTwo", "headers": [("X-Team", "blue")]})
        assert told["grpc"] == 0 and told["echo"]["path"] == f"/{ECHO}/EchoTwo" and told["echo"]["pod"] == "pod-1"
        assert told["echo"]["host"] == "e.example" and told["echo"]["headers"]["x-team"] == ["blue"]
        for path, text in ((f"/{ECHO}/EchoThree", "EchoThree"), (f"/{ECHO}/Nope", "unknown method"), ("/a.B/C", "unknown service a.B")):
            said = until({"protocol": "grpc", "port": port, "path": path})
            assert said["grpc"] == 12 and text in said["grpcMessage"]


def test_lines_and_datagrams_are_answered() -> None:
    tcp, udp = free_port(), free_port()
    with Running("echo_basic", ["echo-basic"], {**WHO, "TCP_ECHO_SERVER": "1", "TCP_PORT": str(tcp)}):
        told = until({"protocol": "tcp", "port": tcp, "send": ["TEST", "PING", "IS_TLS"]})
        assert json.loads(told["messages"][0])["pod"] == "pod-1" and told["messages"][1:] == ["PONG", "false"]
    program = Running("echo_basic", ["echo-basic"], {**WHO, "UDP_ECHO_SERVER": "1", "UDP_PORT": str(udp)})
    try:
        told = until({"protocol": "udp", "port": udp, "send": ["hello"], "timeout": 5})
        assert json.loads(told["messages"][0]) == {"request": "hello", "namespace": "ns", "ingress": "", "service": "", "pod": "pod-1"}
    finally:
        program.process.kill()
        program.process.wait()


def test_hpack_reads_the_examples_of_the_rfc() -> None:
    """RFC 7541 C.4: three requests on one connection, with Huffman codes and a dynamic table."""
    decoder = hpack.Decoder()
    blocks = ("828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")
    found = [decoder.decode(bytes.fromhex(block)) for block in blocks]
    assert [h[-1] for h in found] == [(":authority", "www.example.com"), ("cache-control", "no-cache"), ("custom-key", "custom-value")]
    assert found[2][3] == (":authority", "www.example.com") and len(decoder.table) == 3
    for bad in ("80", "ff", "c0", "418c", "7f", "0085ffffffffff00"):
        with pytest.raises(ValueError):
            hpack.Decoder().decode(bytes.fromhex(bad))
    assert hpack.Decoder().decode(hpack.encode((("X-Long", "y" * 300),))) == [("x-long", "y" * 300)]


def test_http2_sends_no_more_than_the_windows_let() -> None:
    connection = http2.Connection2(None, ("", 0), http2.PREFACE)  # type: ignore[arg-type]
    block = hpack.encode(((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")))
    settings = http2.frame(http2.SETTINGS, 0, 0, (4).to_bytes(2, "big") + (10).to_bytes(4, "big"))
    connection.data += settings + http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, block)

    def handle(request: Request) -> Answer:
        return Answer(200, b"0123456789abcdef")

    connection.feed(handle)
    assert connection.out.endswith(b"0123456789") and 1 in connection.streams
    connection.data += http2.frame(http2.WINDOW_UPDATE, 0, 1, (100).to_bytes(4, "big"))
    connection.feed(handle)
    assert connection.out.endswith(b"abcdef") and not connection.streams and not connection.close
    connection.data += http2.frame(http2.HEADERS, http2.END_HEADERS, 2, block)  # a client's streams are odd
    connection.feed(handle)
    assert connection.close

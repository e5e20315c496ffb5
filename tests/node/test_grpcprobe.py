"""A gRPC health check without a gRPC library."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seaway.cluster.node import hpack, probes
from seaway.cluster.node.grpcprobe import DATA, HEADERS, PREFACE, SETTINGS, Answer, frame, request


def header(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def reply(status: int | None = None, code: bytes = b"0", text: bytes = b"") -> bytes:
    """What a server says: settings, headers, a HealthCheckResponse, trailers."""
    body = b"" if status is None else b"\0\0\0\0\x02\x08" + bytes([status])
    said = frame(SETTINGS, 0, 0, b"") + frame(HEADERS, 4, 1, b"\x88" + header(b"content-type", b"application/grpc"))
    said += frame(DATA, 0, 1, body) if body else b""
    return said + frame(HEADERS, 5, 1, header(b"grpc-status", code) + (header(b"grpc-message", text) if text else b""))


@pytest.mark.parametrize(
    ("said", "want"),
    [
        (reply(1), (True, "")),
        (reply(2), (False, 'service unhealthy (responded with "NOT_SERVING")')),
        (reply(0), (False, 'service unhealthy (responded with "UNKNOWN")')),
        (reply(None, b"5", b"no such"), (False, "error: health rpc probe failed: rpc error: code = NotFound desc = no such")),
        (reply(None, b"12", b"unknown service"), (False, "error: this server does not implement the grpc health protocol "
                                                         "(grpc.health.v1.Health): unknown service")),
        (frame(7, 0, 0, b"\0" * 8), (False, "error: health rpc probe failed: the server closes the connection")),
        (frame(3, 0, 1, b"\0" * 4), (False, "error: health rpc probe failed: the server resets the stream")),
    ],
)
def test_answers_become_verdicts_in_the_kubelets_words(said: bytes, want: tuple) -> None:
    for step in (len(said), 1):  # whole, and byte by byte
        answer = Answer()
        for at in range(0, len(said), step):
            answer.feed(said[at : at + step])
        assert answer.done and answer.verdict("") == want


def test_settings_and_pings_are_acknowledged() -> None:
    assert Answer().feed(frame(SETTINGS, 0, 0, b"") + frame(6, 0, 0, b"12345678")) == frame(SETTINGS, 1, 0, b"") + frame(6, 1, 0, b"12345678")
    assert Answer().feed(frame(SETTINGS, 1, 0, b"")) == b""


def test_fields_are_read_as_rfc_7541_has_them() -> None:
    assert hpack.unhuffman(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")) == b"www.example.com"  # C.4.1
    assert hpack.unhuffman(bytes.fromhex("25a849e95ba97d7f")) == b"custom-key"  # C.4.3
    read = hpack.Decoder()
    first = read.decode(bytes.fromhex("400a637573746f6d2d6b65790d637573746f6d2d686561646572"))  # C.2.1
    assert first == [("custom-key", "custom-header")] == read.decode(b"\xbe")  # then by its index
    assert read.decode(b"\x88") == [(":status", "200")]


@pytest.mark.parametrize("block", [b"\x88\x00\x05ab", b"\xfe", b"\xff\xff\xff\xff\xff\xff\xff"])
def test_headers_that_cannot_be_read_fail_the_probe_and_break_nothing(block: bytes) -> None:
    answer = Answer()
    answer.feed(frame(HEADERS, 4, 1, block))
    assert answer.verdict("") == (False, "error: health rpc probe failed: the server's headers cannot be read")


def test_a_request_names_its_service() -> None:
    said = request("10.0.0.1:80", "db")
    assert said.startswith(PREFACE) and b"/grpc.health.v1.Health/Check" in said and said.endswith(b"\0\0\0\0\x04\x0a\x02db")
    assert request("a", "").endswith(b"\0\0\0\0\0")


def test_probes_ask_a_server_of_their_own_protocol() -> None:
    async def run() -> list[Any]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.readexactly(4)
            if first == b"PRI ":
                while b"/Check" not in first:
                    first += await reader.read(4096)
                writer.write(reply(2 if b"\x02db" in first else 1))
            else:
                line = first + await reader.readuntil(b"\r\n\r\n")
                path = line.split()[1]
                if path == b"/moved":
                    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /fine\r\n\r\n")
                elif path == b"/away":
                    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n")
                elif path == b"/loop":
                    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\n\r\n")
                elif path == b"/fine" and b"x-mine: 1" in line.lower():
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                elif path == b"/silent":
                    await asyncio.sleep(5)
                else:
                    writer.write(b"HTTP/1.1 503 Busy\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def ask(**probe: Any) -> tuple[bool, str]:
            async def nothing(command: list[str], timeout: float) -> tuple[int, str]:
                return 1, "no"

            ok, why = await probes.attempt({"timeoutSeconds": 1, **probe}, {"ports": []}, "127.0.0.1", nothing)
            return ok, why.replace(str(port), "PORT")

        mine = [{"name": "X-Mine", "value": "1"}]
        found = [
            await ask(grpc={"port": port, "service": ""}),
            await ask(grpc={"port": port, "service": "db"}),
            await ask(grpc={"port": 1, "service": ""}),
            await ask(httpGet={"port": port, "path": "/moved", "httpHeaders": mine}),
            await ask(httpGet={"port": port, "path": "/moved"}),
            await ask(httpGet={"port": port, "path": "/away"}),
            await ask(httpGet={"port": port, "path": "/loop"}),
            await ask(timeoutSeconds=0.1, httpGet={"port": port, "path": "/silent"}),
            await ask(tcpSocket={"port": port}),
        ]
        server.close()
        return found

    found = asyncio.run(run())
    assert found[:2] == [(True, ""), (False, 'service unhealthy (responded with "NOT_SERVING")')]
    assert not found[2][0] and found[2][1].startswith('error: failed to connect service at "127.0.0.1:1"')
    assert found[3:6] == [(True, ""), (False, "HTTP probe failed with statuscode: 503"), (True, "")]
    assert found[6] == (False, 'Get "http://127.0.0.1:PORT/loop": stopped after 10 redirects')
    assert found[7] == (False, 'Get "http://127.0.0.1:PORT/silent": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    assert found[8] == (True, "")

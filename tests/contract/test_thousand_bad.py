"""A thousand bad requests: none is the server's fault, each answer names what is wrong, and nothing is left of them."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
from bad import CORE, GOOD, MAPS, Bad
from badcustom import DEFINITIONS, SCHEMA, WIDGET, WIDGETS, definition
from badrequests import REQUESTS
from crowd import memory
from server import Server

MIB = 1 << 20


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("bad"), BODY_SECONDS=2, HEADER_SECONDS=2).start().wait()
    server.create(f"{CORE}/serviceaccounts", {"metadata": {"name": "default"}})
    for path, tree in GOOD.items():
        server.create(path, tree)
    server.create(DEFINITIONS, definition(SCHEMA))
    end = time.monotonic() + 20
    while server.request("POST", WIDGETS, {**WIDGET, "metadata": {"name": "x"}, "spec": {"size": 5}})[0] != 201:
        assert time.monotonic() < end
        time.sleep(0.05)
    for group in REQUESTS:  # once for what the server computes once
        ask(server, group)
    yield server
    server.close()


def version(server: Server) -> str:
    """The storage's version: it grows with whatever is written anywhere."""
    found: str = server.request("GET", "/api/v1/nodes")[1]["metadata"]["resourceVersion"]
    return found


def ask(server: Server, group: str) -> list[tuple[Bad, int, Any]]:
    """The answers to a group of requests, over one connection where it is not closed."""
    connection = server.connect(timeout=60)
    found: list[tuple[Bad, int, Any]] = []
    for bad in REQUESTS[group]:
        try:
            status, answer = server.request(
                bad.method, bad.path, bad.body, dict(bad.query), bad.media, connection=connection, headers=bad.headers
            )
        except OSError as e:
            connection.close()  # closed on us before the whole was sent
            status, answer = 0, str(e)
        found.append((bad, status, answer))
    connection.close()
    return found


def problem(bad: Bad, status: int, answer: Any) -> str:
    """What is wrong with an answer to a bad request, "" where it is right."""
    if status >= 500 or not status:
        return "the server's fault"
    if status < 400:
        return "taken" if bad.sure else ""
    if status == 404 and answer == b"404 page not found\n":
        return ""  # upstream's words for a path that is none of the API's
    if not isinstance(answer, dict) or answer.get("kind") != "Status" or answer.get("code") != status:
        return "no Status"
    if not answer.get("message") or not answer.get("reason"):
        return "no message"
    text = json.dumps(answer, ensure_ascii=False)
    return "" if not bad.names or any(name in text or json.dumps(name)[1:-1] in text for name in bad.names) else "does not name it"


def test_there_are_a_thousand_of_them() -> None:
    assert sum(map(len, REQUESTS.values())) + len(RAW) > 1000


@pytest.mark.parametrize("group", REQUESTS)
def test_each_answer_names_what_is_wrong_and_nothing_changes(target: Server, group: str) -> None:
    before = version(target)
    found = ask(target, group)
    wrong = [(p, bad.why, bad.names, status, str(answer)[:300]) for bad, status, answer in found if (p := problem(bad, status, answer))]
    assert wrong == []
    assert version(target) == before


HEAD = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
GET = b"GET /version HTTP/1.1\r\nHost: x\r\n"
POD = f"{CORE}/pods/x".encode()
UPGRADE = b"Connection: Upgrade\r\nUpgrade: "
SOCKET = UPGRADE + b"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
# What is sent -> the first line's number of what comes back; None where the connection may just be closed
RAW: dict[str, tuple[bytes, set[int] | None]] = {
    "a body cut short": (HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"metadata"', {408}),
    "no body at all": (HEAD + b"Content-Length: 1000\r\n\r\n", {408}),
    "a chunk cut short": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", {408}),
    "a bad chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{", {400}),
    "a huge chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{", {400}),
    "a negative chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{", {400}),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", {400}),
    "length and chunks": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", {400}),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n{}", {400}),
    "a length that is none": (HEAD + b"Content-Length: x\r\n\r\n{}", {400}),
    "a length past 64 bits": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}", {400}),
    "a body of a petabyte": (HEAD + b"Content-Length: 1125899906842624\r\n\r\n{}", {413}),
    "an encoding that is none": (HEAD + b"Transfer-Encoding: gnu\r\n\r\n{}", {400}),
    "a head cut short": (HEAD[:30], None),
    "half a header": (GET + b"Accept: appl", None),
    "a long header": (GET + b"X: " + b"x" * 100_000 + b"\r\n\r\n", {400}),
    "many headers": (GET + b"".join(b"X%d: y\r\n" % i for i in range(2000)) + b"\r\n", {400}),
    "a long path": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "no HTTP": (b"\x16\x03\x01\x02\x00" + b"\0" * 100, {400}),
    "another HTTP": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "a bad version": (b"GET / HTTP/9.9\r\n\r\n", {400}),
    "no version": (b"GET /\r\n\r\n", None),
    "a bad method": (b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "line feeds": (b"\n" * 10_000, None),
    "a header without a name": (GET + b": y\r\n\r\n", {400}),
    "a header with a zero": (GET + b"X: a\0b\r\n\r\n", {400}),
    "a header over two lines": (GET + b"X: a\r\n b\r\n\r\n", {200, 400}),
    "a space before the colon": (GET + b"X : a\r\n\r\n", {400}),
    "a full URL": (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "a star": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 405}),
    "a tunnel": (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 405}),
    "an odd credential": (GET + b"Authorization: Basic \xff\xff\r\n\r\n", {200, 401}),
    "a bearer of nothing": (GET + b"Authorization: Bearer \r\n\r\n", {200, 401}),
    "a bearer of rubbish": (GET + b"Authorization: Bearer a.b.c\r\n\r\n", {401}),
    "a bearer of bytes": (GET + b"Authorization: Bearer \xc3\x28.\xff.\x00x\r\n\r\n", {400, 401}),
    "impersonation of nobody": (GET + b"Impersonate-Group: a\r\n\r\n", {400}),
    "impersonation with a bad key": (GET + b"Impersonate-User: a\r\nImpersonate-Extra-%zz: b\r\n\r\n", {200, 400}),
    "impersonation of bytes": (b"GET " + MAPS.encode() + b"?labelSelector=! HTTP/1.1\r\nHost: x\r\nImpersonate-User: \xff\xfe\r\n\r\n", {400, 403}),
    "a user agent of bytes": (HEAD + b"User-Agent: \xff\xfe/\xff\r\nContent-Length: 2\r\n\r\n{}", {422}),
    "a media type of bytes": (GET.replace(b"/version", MAPS.encode()) + b"Accept: \xff\xfe\r\n\r\n", {406}),
    "a path of bytes": (b"GET " + MAPS.encode() + b"/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "a query of bytes": (b"GET " + MAPS.encode() + b"?labelSelector=%ff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "a name of bytes": (b"GET " + MAPS.encode() + b"/%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "an expectation": (GET + b"Expect: the-impossible\r\n\r\n", {417, 200}),
    "an upgrade of a list": (b"GET " + MAPS.encode() + b" HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {200}),
    "exec without an upgrade": (b"POST " + POD + b"/exec?command=x HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "exec without a command": (b"GET " + POD + b"/exec HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {400}),
    "exec in no pod": (b"GET " + MAPS.replace("configmaps", "pods/none/exec").encode() + b" HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {404}),
    "exec in no container": (b"GET " + POD + b"/exec?command=x&container=none HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {400}),
    "exec by SPDY without a node": (b"POST " + POD + b"/exec?command=x HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"SPDY/3.1\r\n\r\n", {400}),
    "attach to nothing": (b"GET " + POD + b"/attach?stdin=x HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"rubbish\r\n\r\n", {400}),
    "a port-forward of no port": (b"GET " + POD + b"/portforward?ports=x HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {400}),
    "exec by PUT": (b"PUT " + POD + b"/exec HTTP/1.1\r\nHost: x\r\n" + SOCKET + b"\r\n", {405}),
    "an upgrade with a body": (b"POST " + POD + b"/exec HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n" + UPGRADE + b"SPDY/3.1\r\n\r\n123456789", {400}),
    "logs with a bad line count": (b"GET " + POD + b"/log?tailLines=x HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "logs with a negative line count": (b"GET " + POD + b"/log?tailLines=-5 HTTP/1.1\r\nHost: x\r\n\r\n", {422}),
    "logs since yesterday": (b"GET " + POD + b"/log?sinceTime=yesterday HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
}  # fmt: skip


def raw(server: Server, data: bytes, waiting: float) -> bytes:
    """Bytes as they are over TLS; what comes back until the end of a head, of the connection, or of our patience."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    got = b""
    with server.admin.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        try:
            secure.sendall(data)
            secure.settimeout(waiting)
            while b"\r\n\r\n" not in got and (more := secure.recv(65536)):
                got += more
        except (TimeoutError, OSError):
            pass
    return got


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_good_request_are_told_so(target: Server, name: str) -> None:
    data, codes = RAW[name]
    before = version(target)
    answer = raw(target, data, 10 if codes else 0.2)
    if codes is None:
        assert not answer or answer.split(b" ", 2)[1].startswith(b"4"), answer[:200]
    else:
        assert answer.startswith(b"HTTP/1."), answer[:200]
        assert int(answer.split(b" ", 2)[1]) in codes, answer[:300]
    assert version(target) == before


def test_a_pipelined_request_after_a_bad_one_is_not_mixed_up_with_it(target: Server) -> None:
    answer = raw(target, HEAD + b"Content-Length: 1\r\n\r\n{" + GET + b"\r\n", 5)
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_bytes_that_are_no_tls_end_with_their_connection(target: Server) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 300, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x80\x2e\x01", b"\0" * 5000, b""):
        with socket.create_connection(("127.0.0.1", target.port), timeout=5) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            try:
                while plain.recv(4096):
                    pass
            except ConnectionError:
                pass
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(("127.0.0.1", target.port), timeout=5) as plain:
        old.wrap_socket(plain)
    assert target.request("GET", "/readyz")[0] == 200


def test_connections_without_words_do_not_stop_others(target: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", target.port), timeout=5) for _ in range(50)]
    for plain in held[::2]:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    start = time.monotonic()
    assert target.request("GET", "/readyz")[0] == 200
    assert time.monotonic() - start < 5
    for plain in held:
        plain.close()


def test_a_certificate_of_nobody_we_know_is_not_let_in(target: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Server(tmp_path_factory.mktemp("other"))
    context = target.context(str(other.folder / "admin.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connection = target.connect(context)
        target.request("GET", "/version", connection=connection)
    other.close()


def test_half_sent_bodies_by_the_hundred_do_not_stop_others(target: Server) -> None:
    held = []
    try:
        for _ in range(100):
            plain = socket.create_connection(("127.0.0.1", target.port), timeout=5)
            secure = target.admin.wrap_socket(plain, server_hostname="127.0.0.1")
            secure.sendall(RAW["a body cut short"][0])
            held.append(secure)
        start = time.monotonic()
        for _ in range(10):
            query = {"dryRun": "All"}
            assert target.request("POST", MAPS, {"metadata": {"generateName": "meanwhile-"}}, query)[0] == 201
        assert time.monotonic() - start < 5
    finally:
        for secure in held:
            secure.close()
    assert target.request("GET", "/readyz")[0] == 200


def test_after_all_this_memory_is_where_it_was_and_the_log_knows_no_error(target: Server) -> None:
    before = memory(target)
    for group in REQUESTS:
        ask(target, group)
    grown = memory(target) - before
    assert grown < 24 * MIB, f"{grown / MIB:.1f} MiB more after the same requests once more"
    log = (target.folder / "log").read_text()
    assert "Traceback" not in log and "Error" not in log and "Unhandled" not in log, log[-3000:]
    assert target.process is not None and target.process.poll() is None
    for path, tree in GOOD.items():
        name = tree["metadata"]["name"]
        assert target.request("GET", f"{path}/{name}")[0] == 200
